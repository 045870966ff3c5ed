// A memory of one number: one gate for all words, or a gate for each, and the state that results.
// data: u (a number for each word), marked (the positions to be remembered), gate (of all words).
const n = data.u.length;
const GREEN = "#009E73", ORANGE = "#D55E00";
const HIGH = 60; // pixels from the zero line to the edge of a bar's box
const SCALE = HIGH / 1.6;
let each = false; // whether every word has a gate of its own
let all = data.gate;
const open = data.u.map(() => false);

const signed = (x) => `${x < 0 ? "−" : ""}${Math.abs(x).toFixed(1)}`;
const targets = data.u.map((_, k) =>
  data.u[Math.max(...data.marked.filter((i) => i <= k))]);
function states(gates) {
  let h = 0;
  return data.u.map((u, k) => (h = (1 - gates[k]) * h + gates[k] * u));
}
const mistake = (h) => h.reduce((sum, x, k) => sum + (x - targets[k]) ** 2, 0) / n;
const same = (gate) => mistake(states(data.u.map(() => gate)));
const best = Array.from({ length: 101 }, (_, k) => k / 100).reduce((a, b) =>
  same(b) < same(a) ? b : a);

// ------------------------------------------------------------------------------------- elements
const line = (style) => kit.el("div", { style });
const columns = data.u.map((u, k) => {
  const mark = data.marked.includes(k);
  const gate = line("font-size:.8em;line-height:1.4");
  const button = kit.el("button", {
    type: "button",
    style: "font:inherit;color:inherit;background:none;width:100%;padding:.3em 0;cursor:pointer;" +
      `border-radius:.3em;border:2px solid ${mark ? ORANGE : "#808080"};` +
      `font-weight:${mark ? 700 : 400};white-space:nowrap;font-size:.85em`,
    onclick: () => { turn(k); },
  }, signed(u));
  const bar = line(`position:absolute;left:15%;width:70%;background:${GREEN};opacity:.7`);
  const tick = line(`position:absolute;left:0;width:100%;height:0;border-top:3px solid ${ORANGE}`);
  const zero = line(`position:absolute;left:0;width:100%;top:${HIGH}px;border-top:1px solid #808080`);
  const box = kit.el("div", { style: `position:relative;height:${2 * HIGH}px;margin-top:.3em` },
    zero, bar, tick);
  tick.style.top = `${HIGH - SCALE * targets[k] - 1.5}px`;
  const column = kit.el("div", { style: "flex:1;min-width:0;text-align:center" }, button, gate, box);
  return { mark, gate, button, bar, tick, column };
});
const share = kit.range("One gate for all words, g", { min: 0, max: 1, step: 0.01, value: all },
  (value) => { all = value; each = false; draw(); }, (value) => value.toFixed(2));
const until = kit.range("Words read", { min: 1, max: n, value: n }, () => draw(),
  (value) => `${value} of ${n}`);
const said = kit.el("output", { style: "display:block;line-height:1.5;min-height:6em;margin-top:.5em" });
root.append(
  share,
  kit.row(
    kit.button("One gate for all", () => { each = false; draw(); }),
    kit.button("A gate for each word", () => { each = true; draw(); }),
    kit.button("Open at the marks only", () => {
      each = true;
      open.forEach((_, k) => (open[k] = data.marked.includes(k)));
      draw();
    }),
  ),
  kit.el("div", { style: "display:flex;gap:3px;max-width:44em" }, ...columns.map((c) => c.column)),
  kit.el("div", { style: "font-size:.9em;margin-top:.3em" },
    "Press a word to open or shut its gate. Green: the state. Orange line: the last marked number."),
  kit.row(kit.play(until, 600)), until, said,
);

// -------------------------------------------------------------------------------------- actions
function turn(k) {
  each = true;
  open[k] = !open[k];
  draw();
}

function draw() {
  const gates = each ? open.map(Number) : data.u.map(() => all);
  const h = states(gates), read = Number(until.input.value);
  columns.forEach(({ mark, gate, button, bar, tick }, k) => {
    const seen = k < read, height = SCALE * Math.max(-1.6, Math.min(1.6, h[k]));
    gate.textContent = each ? (open[k] ? "open" : "shut") : all.toFixed(2);
    bar.style.visibility = tick.style.visibility = seen ? "" : "hidden";
    bar.style.top = `${HIGH - Math.max(0, height)}px`;
    bar.style.height = `${Math.max(1, Math.abs(height))}px`;
    button.style.background = gates[k] ? kit.heat(gates[k]) : "none";
    button.setAttribute("aria-pressed", each && open[k]);
    const now = seen ? `, state ${h[k].toFixed(2)}, to be ${targets[k].toFixed(1)}` : "";
    button.setAttribute("aria-label",
      `word ${k + 1}: ${signed(data.u[k])}${mark ? ", marked" : ""}, gate ${gate.textContent}${now}`);
  });
  const found = mistake(h);
  said.textContent =
    `After ${read} ${read > 1 ? "words" : "word"} the state is ${h[read - 1].toFixed(2)}; ` +
    `the last marked number is ${targets[read - 1].toFixed(1)}. ` +
    `Mean squared error over all ${n} words: ${found.toFixed(2)}. ` +
    (each
      ? found < 0.005 ? "One number is enough, because the words decide." : "Open the gates of the marked words, and no others."
      : `The best single gate here, g = ${best.toFixed(2)}, leaves ${same(best).toFixed(2)}.`);
}
draw();
