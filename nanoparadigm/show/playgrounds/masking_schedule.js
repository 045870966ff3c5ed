// A noise schedule that the reader draws: five points of alpha(t), its rate, and the range of u.
// data: words, U (the uniform number of each: a word is there as long as alpha(t) > U), alpha (five
// values to start from), t.
const BLUE = "#0072B2", ORANGE = "#D55E00", GREY = "#808080";
const STEPS = 4, H = 1 / STEPS, TOP = 8; // TOP: the highest rate that is drawn
let points = [...data.alpha], now = data.t;

// --------------- the curve: a cubic spline through the points, its slopes limited so that it falls
let slopes = [];
function fit() {
  const d = Array.from({length: STEPS}, (_, k) => (points[k + 1] - points[k]) / H);
  const m = d[1] + d[2] - (d[0] + 5 * d[1] + 5 * d[2] + d[3]) / 12; // of the middle; then outwards
  const before = ((d[0] + 5 * d[1]) / 2 - m) / 2, after = ((d[3] + 5 * d[2]) / 2 - m) / 2;
  const first = (5 * d[0] + d[1]) / 2 - 2 * before, last = (5 * d[3] + d[2]) / 2 - 2 * after;
  slopes = [first, before, m, after, last].map((slope, k) => {
    const steepest = 3 * Math.max(d[Math.max(0, k - 1)], d[Math.min(STEPS - 1, k)]); // Hyman's limit
    return Math.max(steepest, Math.min(0, slope));
  });
}
function curve(t) { // -> alpha, and its derivative
  const k = Math.min(STEPS - 1, Math.floor(t / H)), r = t / H - k;
  const [a, b, m, n] = [points[k], points[k + 1], slopes[k] * H, slopes[k + 1] * H];
  const value = a + r * (m + r * (3 * (b - a) - 2 * m - n + r * (2 * (a - b) + m + n)));
  const rise = m + r * (2 * (3 * (b - a) - 2 * m - n) + 3 * r * (2 * (a - b) + m + n));
  return [value, Math.min(0, rise / H)];
}
function vanishes(U) { // when alpha falls to U
  if (points[0] <= U) return 0;
  if (points[STEPS] > U) return null;
  let low = 0, high = 1;
  for (let k = 0; k < 40; k++) {
    const middle = (low + high) / 2;
    if (curve(middle)[0] > U) low = middle; else high = middle;
  }
  return high;
}

// ------------------------------------------------------------------------- three drawings
const [W, T, LEFT, RIGHT, CEIL, FLOOR] = [300, 212, 30, 286, 40, 152];
const across = (u) => LEFT + (RIGHT - LEFT) * u;
const up = (share) => FLOOR - (FLOOR - CEIL) * Math.max(0, Math.min(1, share));
const written = (x, y, words, more = {}) =>
  kit.svg("text", {x, y, "font-size": 15, fill: "currentColor", "text-anchor": "middle", ...more}, words);
const stroke = (colour, more = {}) =>
  kit.svg("path", {fill: "none", stroke: colour, "stroke-width": 2, ...more});
function panel(title, x, high) {
  const ticks = kit.svg("g"), drawn = kit.svg("g");
  const dot = kit.svg("circle", {r: 5, fill: ORANGE}), stem = stroke(ORANGE, {"stroke-dasharray": "3 3"});
  const svg = kit.svg("svg", {viewBox: `0 0 ${W} ${T}`, style: "flex:1 1 230px;min-width:0;max-width:400px",
    role: "img", "aria-label": title},
    written(LEFT - 16, 18, title, {"text-anchor": "start", "font-weight": "bold"}),
    stroke(GREY, {d: `M${LEFT} ${CEIL - 8}V${FLOOR}H${RIGHT}`, "stroke-width": 1}),
    written(LEFT - 8, CEIL + 5, high, {"text-anchor": "end"}), written(LEFT - 8, FLOOR + 4, "0", {"text-anchor": "end"}),
    written(LEFT, FLOOR + 38, "0"), written(RIGHT, FLOOR + 38, "1"),
    written((LEFT + RIGHT) / 2, FLOOR + 38, x), ticks, stem, drawn, dot);
  return {svg, ticks, drawn, dot, stem};
}
const A = panel("α(t): drag the points", "time t", "1");
const R = panel("w: rate per unit of time", "time t", TOP);
const N = panel("1/u: rate per unit of noise", "noise level u", TOP);
const line = {A: stroke(BLUE), R: stroke(BLUE), N: stroke(BLUE), rest: stroke(GREY, {"stroke-dasharray": "2 4"})};
A.drawn.append(line.A);
R.drawn.append(line.R);
N.drawn.append(line.rest, line.N);
const handles = points.map((_, k) => {
  const handle = kit.svg("circle", {r: 9, fill: BLUE, "fill-opacity": 0.55, stroke: BLUE,
    style: "cursor:ns-resize;touch-action:none"});
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = A.svg.getBoundingClientRect();
    const y = ((event.clientY - box.top) / box.height) * T;
    move(k, Math.round((100 * (FLOOR - y)) / (FLOOR - CEIL)) / 100);
  });
  A.svg.append(handle);
  return handle;
});
A.svg.append(A.dot);

// ------------------------------------------------------------------ what the reader moves
const NAMES = ["0", "¼", "½", "¾", "1"];
const inputs = NAMES.map((name, k) => kit.el("input", {type: "range", min: 0, max: 1, step: 0.01,
  value: points[k], autocomplete: "off", "aria-label": `alpha at t = ${name}`, style: "width:100%;min-width:0;margin:0",
  oninput: () => move(k, +inputs[k].value)}));
const values = NAMES.map(() => kit.el("span", {style: "display:block;line-height:1.3"}));
const sliders = kit.el("div", {style: "display:flex;gap:.6em"}, ...NAMES.map((_, k) =>
  kit.el("label", {style: "flex:1;min-width:0;font-size:.85em"}, `α(${NAMES[k]})`, values[k], inputs[k])));
const clock = kit.el("input", {type: "range", min: 0, max: 1, step: 0.01, value: now, autocomplete: "off",
  "aria-label": "time t",
  style: "flex:1;min-width:6em", oninput: () => { now = +clock.value; show(); }});
const timed = kit.el("span", {style: "width:5em"});
const PRESETS = {"linear": [1, 0.75, 0.5, 0.25, 0], "like the cosine": data.alpha,
  "like the square root": [1, 0.5, 0.293, 0.134, 0], "with both ends cut": [0.9, 0.8, 0.55, 0.3, 0.1]};
const buttons = Object.entries(PRESETS).map(([name, alpha]) =>
  kit.button(name, () => { points = [...alpha]; show(); }));

// a point stays between its neighbours, so that alpha never rises
function move(k, value) {
  points[k] = Math.max(k < STEPS ? points[k + 1] : 0, Math.min(k ? points[k - 1] : 1, value));
  show();
}

const output = kit.el("output", {style: `display:block;line-height:1.5;margin-top:.4em;
  min-height:calc(6em + clamp(0px, (760px - 100vw) * 99, 6em))`});
const spoken = kit.el("div", {style: "line-height:1.8;font-family:monospace;font-size:.95em", role: "img"});
const words = data.words.map((word) => kit.el("span", {style: "display:inline-block;line-height:1.3"}, word));
words.forEach((word) => spoken.append(word, " "));

// ----------------------------------------------------------------------------------- show
const path = (from, to, y) => {
  let parts = "", shown = false; // what lies above the top is left out
  for (let k = 0; k <= 160; k++) {
    const u = from + ((to - from) * k) / 160, inside = y(u) <= 1;
    if (inside) parts += `${shown ? "L" : "M"}${across(u).toFixed(1)} ${up(y(u)).toFixed(1)}`;
    shown = inside;
  }
  return parts;
};
const rate = (t) => {
  const [alpha, slope] = curve(t);
  return alpha < 1 ? -slope / (1 - alpha) : slope < 0 ? Infinity : 0;
};
const percent = (share) => `${Math.round(100 * share)} %`;
const tick = (place, on, colour) => kit.svg("path", {d: `M${across(place)} ${FLOOR + 3}v14`,
  stroke: colour, "stroke-width": on ? 3 : 2, opacity: on ? 1 : 0.5});

function show() {
  fit();
  const [alpha, slope] = curve(now), u = 1 - alpha, w = rate(now);
  const start = 1 - points[0], end = 1 - points[STEPS];
  line.A.setAttribute("d", path(0, 1, (t) => curve(t)[0]));
  line.R.setAttribute("d", path(0.004, 1, (t) => rate(t) / TOP));
  line.rest.setAttribute("d", path(1 / TOP, 1, (v) => 1 / v / TOP));
  line.N.setAttribute("d", end > start ? path(Math.max(start, 1 / TOP), Math.max(end, 1 / TOP), (v) => 1 / v / TOP) : "");
  handles.forEach((handle, k) => {
    handle.setAttribute("cx", across(k * H));
    handle.setAttribute("cy", up(points[k]));
    inputs[k].value = points[k];
    inputs[k].setAttribute("aria-valuetext", points[k].toFixed(2));
    values[k].textContent = points[k].toFixed(2);
  });
  for (const [{dot, stem}, x, y] of [[A, now, alpha], [R, now, w / TOP], [N, u, 1 / u / TOP]]) {
    dot.setAttribute("cx", across(x));
    dot.setAttribute("cy", up(y));
    stem.setAttribute("d", `M${across(x)} ${up(y)}V${FLOOR + 17}`);
  }
  for (const part of [A, R, N]) part.ticks.textContent = "";
  words.forEach((word, i) => {
    const time = vanishes(data.U[i]), masked = alpha <= data.U[i];
    if (time !== null) for (const part of [A, R]) part.ticks.append(tick(time, masked, "currentColor"));
    N.ticks.append(tick(1 - data.U[i], masked, "currentColor"));
    word.style.color = masked ? "transparent" : "inherit";
    word.style.borderBottom = `2px solid ${masked ? GREY : "transparent"}`;
  });
  spoken.setAttribute("aria-label",
    data.words.map((word, i) => (alpha <= data.U[i] ? "mask" : word)).join(" "));
  clock.value = now;
  clock.setAttribute("aria-valuetext", `t = ${now.toFixed(2)}`);
  timed.textContent = `t = ${now.toFixed(2)}`;
  const size = (v) => (v > 99 ? "very large" : v.toFixed(2));
  output.textContent = "";
  output.append(
    `Here u = 1 − α = ${u.toFixed(2)}. The rate is ${size(w)} per unit of time: α falls at ${size(-slope)}, `
      + `times ${u ? size(1 / u) : "very large"} = 1/u per unit of noise.`,
    kit.el("br"),
    start < 0.005 && end > 0.995 ? "u runs from 0, the whole text, to 1, nothing but masks, as with every full schedule."
      : [start >= 0.005 ? `At t = 0 already ${percent(start)} of the words are masked: sampling ends before it reveals them.` : "",
        end <= 0.995 ? `At t = 1 still ${percent(1 - end)} of the words are there: a sampler that starts from masks alone starts elsewhere.` : "",
      ].filter(Boolean).join(" "),
  );
}

root.append(
  kit.el("div", {style: "display:flex;flex-wrap:wrap;gap:.4em"}, A.svg, R.svg, N.svg),
  sliders, kit.el("div", {style: "display:flex;flex-wrap:wrap;gap:.4em;margin:.5em 0"}, ...buttons),
  kit.el("label", {style: "display:flex;gap:.6em;align-items:center"}, timed, clock), spoken, output,
);
show();
