// Who hears whom in one head of Mamba-2: the matrix exp(c_t - c_s) of a text, whose steps a reader
// sets word by word, and the chunks in which it is computed. data: words, delta (a step for each),
// A (negative), chosen (a word), chunks (the sizes on offer), chunk.
const GREY = "#808080", L = data.words.length;
const LEAST = 0.01, MOST = 5; // of a step
let delta = [...data.delta], chosen = data.chosen, chunk = data.chunk;

// a range from 0 to 100 is the step on a logarithmic scale
const stepOf = (value) => LEAST * (MOST / LEAST) ** (value / 100);
const valueOf = (step) => Math.round((100 * Math.log(step / LEAST)) / Math.log(MOST / LEAST));
function matrix() { // rows t, columns s <= t
  let c = 0;
  const sums = delta.map((step) => (c += step * data.A));
  return sums.map((now, t) => sums.slice(0, t + 1).map((then) => Math.exp(now - then)));
}

// --------------------------------------------------------------------------- the drawing
const CELL = 20, X = 96, Y = 12, SIDE = L * CELL;
const cells = [], rows = [], marks = kit.svg("g"), lines = kit.svg("g");
const written = (x, y, text, more = {}) =>
  kit.svg("text", {x, y, "font-size": 14, fill: "currentColor", ...more}, text);
const drawing = kit.svg("svg", {viewBox: `0 0 ${X + SIDE + 8} ${Y + SIDE + 30}`, role: "img",
  style: "display:block;width:100%;max-width:520px"});
for (let t = 0; t < L; t++) {
  rows.push(written(X - 8, Y + (t + 0.72) * CELL, data.words[t], {"text-anchor": "end", style: "cursor:pointer"}));
  rows[t].addEventListener("click", () => choose(t));
  cells.push(Array.from({length: t + 1}, (_, s) => kit.svg("rect", {x: X + s * CELL, y: Y + t * CELL,
    width: CELL, height: CELL, stroke: GREY, "stroke-width": 0.4})));
  drawing.append(rows[t], ...cells[t]);
}
drawing.append(lines, marks, written(X + SIDE / 2, Y + SIDE + 20, "the word that wrote", {"text-anchor": "middle"}));

// ------------------------------------------------------------------- what the reader moves
const styled = "font:inherit;color:inherit;background:none;border:1px solid #808080;border-radius:.3em";
const picker = kit.el("select", {style: styled, "aria-label": "word", autocomplete: "off",
  onchange: () => choose(+picker.value)},
  ...data.words.map((word, t) => kit.el("option", {value: t}, `${t + 1}. ${word}`)));
const range = kit.range("Its step Δ", {min: 0, max: 100, value: valueOf(delta[chosen])}, (value) => {
  delta[chosen] = stepOf(value);
  show();
}, (value) => stepOf(value).toFixed(2));
const sizes = kit.el("select", {style: styled, autocomplete: "off", "aria-label": "words in a chunk",
  onchange: () => { chunk = +sizes.value; show(); }},
  ...data.chunks.map((size) => kit.el("option", {value: size}, size === L ? `${size}, all` : size)));
const afresh = kit.button("Reset", () => {
  delta = [...data.delta];
  sizes.value = chunk = data.chunk;
  choose(data.chosen);
});
const output = kit.el("output", {style: "display:block;line-height:1.5;min-height:calc(4.6em + clamp(0px, (700px - 100vw) * 99, 4.6em))"});

function choose(t) {
  chosen = t;
  picker.value = t;
  const step = delta[t];
  range.set(valueOf(step)); // which rounds it
  delta[t] = step;
  show();
}

// ------------------------------------------------------------------------------------ show
const line = (d, width, colour = "currentColor") =>
  kit.svg("path", {d, stroke: colour, "stroke-width": width, fill: "none"});
function show() {
  const M = matrix();
  cells.forEach((row, t) => row.forEach((cell, s) => cell.setAttribute("fill", `rgba(0,114,178,${M[t][s].toFixed(3)})`)));
  rows.forEach((row, t) => row.setAttribute("font-weight", t === chosen ? "bold" : "normal"));
  lines.textContent = marks.textContent = "";
  for (let k = chunk; k < L; k += chunk) {
    const at = k * CELL;
    lines.append(line(`M${X} ${Y + at}H${X + SIDE}M${X + at} ${Y}V${Y + SIDE}`, 1.6));
  }
  lines.append(line(`M${X} ${Y}h${SIDE}v${SIDE}h${-SIDE}Z`, 1, GREY));
  marks.append(kit.svg("rect", {x: X, y: Y + chosen * CELL, width: (chosen + 1) * CELL, height: CELL,
    fill: "none", stroke: "#D55E00", "stroke-width": 2.5}));
  const last = M[L - 1], held = last.reduce((sum, share) => sum + (share >= 0.5), 0);
  const heard = chosen ? M[chosen][chosen - 1] : null;
  const inside = Array.from({length: Math.ceil(L / chunk)}, (_, k) => Math.min(chunk, L - k * chunk));
  const entries = inside.reduce((sum, n) => sum + (n * (n + 1)) / 2, 0);
  output.textContent = (heard === null ? "Before the first word there is nothing to forget. "
    : `“${data.words[chosen]}” keeps ${kit.percent(heard)} of what was there before it. `)
    + `At the end, ${kit.percent(last[0])} of “${data.words[0]}” is left; of ${held} of the ${L} words, at least half. `
    + (inside.length > 1 ? `${inside.length} chunks compute ${entries} of ${(L * (L + 1)) / 2} entries; ${inside.length - 1} `
      + `state${inside.length > 2 ? "s carry" : " carries"} the rest.` : `One chunk computes all ${entries} entries, as attention does.`);
  drawing.setAttribute("aria-label", `Rows for the word that reads, columns for the word that wrote. ${output.textContent}`);
}

picker.value = chosen;
sizes.value = chunk;
root.append(
  kit.row(kit.el("label", null, "Word: ", picker), kit.el("label", null, "Words in a chunk: ", sizes)),
  range, kit.row(kit.play(range, 60), afresh), drawing, output,
);
show();
