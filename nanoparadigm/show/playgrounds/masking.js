// When each word of a text vanishes, two times s < t, and what the step back from t to s reveals.
// data: words, times (when each vanishes, in the draw that is shown first), s, t.
const n = data.words.length;
const draws = [data.times];
const chance = kit.random(3);
const SHADE = "rgba(0,114,178,0.18)", BLUE = "#0072B2", ORANGE = "#D55E00";
const LEFT = "3.6em";
const place = (u) => `${(100 * u).toFixed(2)}%`;
const whole = (k) => k.toLocaleString("en-US");

// ------------------------------------------------------------------ a line for every word
const lanes = data.words.map((word) => {
  const name = kit.el("span", {style: `width:${LEFT};flex:none;text-align:right;padding-right:.6em;
    box-sizing:border-box`}, word);
  const there = kit.el("div", {style: "position:absolute;left:0;top:50%;border-top:2px solid"});
  const gone = kit.el("div", {style: "position:absolute;right:0;top:50%;border-top:2px dotted;opacity:.45"});
  const dot = kit.el("div", {style: `position:absolute;top:50%;width:.7em;height:.7em;
    margin:-.3em 0 0 -.35em;border-radius:50%`});
  const line = kit.el("div", {style: "position:relative;flex:1"}, there, gone, dot);
  return {name, there, gone, dot, row: kit.el("div", {style: "display:flex;height:1.45em"}, name, line)};
});
const band = kit.el("div", {style: `position:absolute;top:0;bottom:0;background:${SHADE}`});
const marks = ["s", "t"].map((letter) => {
  const named = kit.el("span", {style: `position:absolute;bottom:-1.4em;width:2em;margin-left:-1em;
    text-align:center;font-style:italic;font-weight:bold;font-family:serif`}, letter);
  return kit.el("div", {style: `position:absolute;top:0;bottom:0;border-left:2px solid ${BLUE};
    margin-left:-1px`}, named);
});
const over = kit.el("div", {style: `position:absolute;left:${LEFT};right:0;top:0;bottom:0;
  cursor:ew-resize;touch-action:pan-y`}, band, ...marks);
const board = kit.el("div", {style: "position:relative;margin:0 1em 0 0;user-select:none"},
  ...lanes.map((lane) => lane.row), over);
const axis = kit.el("div", {style: `display:flex;justify-content:space-between;font-size:.85em;
  margin:1.3em 1em .7em ${LEFT}`}, kit.el("span", {}, "0, the text"), kit.el("span", {}, "time"),
  kit.el("span", {}, "1, nothing"));

// ------------------------------------------------------------------ what the reader moves
const moved = (letter, words, value) => {
  const input = kit.el("input", {type: "range", min: letter === "t" ? 0.01 : 0, max: letter === "t" ? 1 : 0.99, step: 0.01, value,
    autocomplete: "off",
    "aria-label": words, style: "flex:1;min-width:6em", oninput: () => set(letter, +input.value)});
  const said = kit.el("span", {style: "width:5.2em"});
  return {input, said, row: kit.el("label", {style: "display:flex;gap:.6em;align-items:center"},
    said, input)};
};
const now = {s: data.s, t: data.t};
const sliders = {t: moved("t", "t, where we are", data.t), s: moved("s", "s, the earlier time", data.s)};
const more = (count) => () => {
  for (let k = 0; k < count && draws.length < 20000; k++) draws.push(data.words.map(() => chance()));
  show();
};

// ------------------------------------------------------------------ what it comes to
const text = (letter) => {
  const words = data.words.map((word) => kit.el("span", {style: "display:inline-block;line-height:1.3"}, word));
  const line = kit.el("div", {style: "line-height:1.8", role: "img"});
  words.forEach((word) => line.append(word, " "));
  const title = kit.el("span", {style: "font-size:.85em"});
  return {letter, words, line, title, all: kit.el("div", {style: "margin:.3em 0"}, title, line)};
};
const texts = {t: text("t"), s: text("s")};
// two lines more where the page is narrow
const output = kit.el("output", {style: `display:block;line-height:1.5;margin-top:.4em;
  min-height:calc(4.5em + clamp(0px, (640px - 100vw) * 99, 3em))`});

let gap = data.t - data.s;

// t alone; s follows it
function sweep(value) {
  now.t = Math.max(0.01, +value);
  now.s = Math.max(0, now.t - gap);
  show();
}

function set(letter, value) {
  if (letter === "t") {
    now.t = Math.max(0.01, value);
    now.s = Math.min(now.s, now.t - 0.01);
  } else {
    now.s = Math.min(0.99, value);
    now.t = Math.max(now.t, now.s + 0.01);
  }
  gap = now.t - now.s;
  show();
}

function show() {
  const {s, t} = now, times = draws[draws.length - 1];
  band.style.left = place(s);
  band.style.width = place(t - s);
  marks[0].style.left = place(s);
  marks[1].style.left = place(t);
  for (const letter of ["s", "t"]) {
    const {input, said} = sliders[letter];
    input.value = now[letter];
    input.setAttribute("aria-valuetext", `${letter} = ${now[letter].toFixed(2)}`);
    said.textContent = `${letter} = ${now[letter].toFixed(2)}`;
    const {words, line, title} = texts[letter];
    words.forEach((word, i) => {
      const masked = times[i] < now[letter], back = letter === "s" && !masked && times[i] < t;
      word.style.color = masked ? "transparent" : "inherit";
      word.style.userSelect = masked ? "none" : "auto";
      word.style.borderBottom = `2px solid ${masked ? "#808080" : "transparent"}`;
      word.style.background = back ? SHADE : "transparent";
      word.style.fontWeight = back ? "bold" : "normal";
    });
    line.setAttribute("aria-label",
      data.words.map((word, i) => (times[i] < now[letter] ? "mask" : word)).join(" "));
    const count = times.filter((time) => time < now[letter]).length;
    title.textContent = `at ${letter} = ${now[letter].toFixed(2)}, ${count} masked:`;
  }
  lanes.forEach(({name, there, gone, dot}, i) => {
    const time = times[i], back = s <= time && time < t;
    there.style.width = place(time);
    gone.style.left = place(time);
    dot.style.left = place(time);
    dot.style.background = back ? ORANGE : time < t ? "transparent" : "currentColor";
    dot.style.boxShadow = `inset 0 0 0 2px ${back ? ORANGE : "currentColor"}`;
    name.style.fontWeight = back ? "bold" : "normal";
  });
  let masked = 0, revealed = 0;
  for (const drawn of draws)
    for (const time of drawn)
      if (time < t) {
        masked++;
        if (time >= s) revealed++;
      }
  const here = times.filter((time) => time < t).length;
  const back = times.filter((time) => s <= time && time < t).length;
  const share = masked ? (revealed / masked).toFixed(3) : "none";
  output.textContent = "";
  output.append(
    `Of the ${here} words masked at t, ${back} vanished after s: the step back reveals `
      + `${back === 1 ? "it" : back ? "them" : "nothing"}.`,
    kit.el("br"),
    `Over ${draws.length === 1 ? "this one draw" : `all ${whole(draws.length)} draws`}: `
      + `${whole(masked)} masked, ${whole(revealed)} revealed, a share of ${share}.`,
    kit.el("br"),
    `The rule to be derived: (t − s) / t = ${((t - s) / t).toFixed(3)}.`,
  );
}

// the nearer of the two lines follows the pointer
let held = null;
const at = (event) => {
  const box = over.getBoundingClientRect();
  return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
};
const drag = (event) => {
  if (held) set(held, Math.round(100 * at(event)) / 100);
};
over.addEventListener("pointerdown", (event) => {
  held = Math.abs(at(event) - now.s) < Math.abs(at(event) - now.t) ? "s" : "t";
  over.setPointerCapture(event.pointerId);
  drag(event);
});
over.addEventListener("pointermove", drag);
for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, () => (held = null));

root.append(
  kit.el("div", {style: "font-family:monospace;font-size:.95em"}, board),
  axis, sliders.t.row, sliders.s.row,
  kit.el("div", {style: "display:flex;flex-wrap:wrap;gap:.4em;margin:.4em 0"},
    kit.play({input: sliders.t.input, set: sweep}, 60),
    kit.button("Draw new times", more(1)), kit.button("Draw 1,000 times", more(1000))),
  kit.el("div", {style: "font-family:monospace;font-size:.95em"}, texts.t.all, texts.s.all),
  output,
);
show();
