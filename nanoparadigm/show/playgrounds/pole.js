// One complex number A that the reader moves: its impulse response, its kernel, and what a state
// with it remembers of some words. data: decay and frequency (A = -decay + i frequency), step, at
// (the present word), inputs (name -> the numbers u of its words).
const BLUE = "#0072B2", ORANGE = "#D55E00", GREY = "#808080";
const MOST = {decay: 2, frequency: Math.PI, step: 2};
const PRESETS = {"fades": [0.25, 0, 1], "fades fast": [1.5, 0, 1], "rings": [0.12, 0.8, 1],
  "alternates, a = −1": [0, Math.PI, 1], "forgets nothing": [0, 0, 1]};
const names = Object.keys(data.inputs);
let [decay, frequency, step, now, input] = [data.decay, data.frequency, data.step, data.at, names[0]];

// ----------------------------------------------------------------------------- one system
const response = (time) => Math.exp(-decay * time) * Math.cos(frequency * time);
const power = (j) => { // a^j = exp(j step A)
  const [size, angle] = [Math.exp(-decay * step * j), frequency * step * j];
  return [size * Math.cos(angle), size * Math.sin(angle)];
};
const weight = (j) => step * power(j)[0]; // K_j, for B = C = 1
const output = (u) => u.map((_, k) => u.slice(0, k + 1).reduce((sum, word, i) => sum + weight(k - i) * word, 0));

// ---------------------------------------------------------------------------- the drawings
const round = (number) => number.toFixed(1);
const text = (x, y, words, more = {}) =>
  kit.svg("text", {x, y, "font-size": 15, fill: "currentColor", "text-anchor": "middle", ...more}, words);
const stroke = (colour, width, more = {}) => kit.svg("path", {fill: "none", stroke: colour, "stroke-width": width, ...more});
const dot = (x, y, r, fill, more = {}) => kit.svg("circle", {cx: round(x), cy: round(y), r, fill, ...more});
const line = (points) => points.map(([x, y], n) => `${n ? "L" : "M"}${round(x)} ${round(y)}`).join("");
const sheet = (width, height, basis, title, ...children) => kit.svg("svg", {viewBox: `0 0 ${width} ${height}`,
  role: "img", style: `flex:1 1 ${basis}px;min-width:0;max-width:${Math.round(1.15 * width)}px`},
  text(8, 17, title, {"text-anchor": "start", "font-weight": "bold"}), ...children);

const [ZERO, MIDDLE, UNIT, ACROSS] = [184, 122, 28, 80]; // of the plane of A: where 0 is, and one unit
const plane = {pole: dot(0, 0, 9, ORANGE, {style: "cursor:move"}), mirror: dot(0, 0, 6, "none", {stroke: ORANGE, "stroke-width": 2})};
const spot = ([re, im]) => [ZERO + re * ACROSS, MIDDLE - im * UNIT];
plane.svg = sheet(220, 222, 150, "A: drag it", stroke(GREY, 1, {d: `M14 ${MIDDLE}H214M${ZERO} 28V216`}),
  text(ZERO - ACROSS, MIDDLE + 19, "−1"), text(ZERO + 9, MIDDLE + 19, "0"), text(ZERO + 18, MIDDLE - Math.PI * UNIT + 5, "πi"),
  stroke(GREY, 1, {d: `M${ZERO - ACROSS} ${MIDDLE - 4}v8M${ZERO - 4} ${MIDDLE - Math.PI * UNIT}h8`}), plane.mirror, plane.pole);
plane.svg.style.touchAction = "pan-y";
plane.pole.style.touchAction = "none";
plane.pole.addEventListener("pointerdown", (event) => plane.pole.setPointerCapture(event.pointerId));
plane.pole.addEventListener("pointermove", (event) => {
  if (!plane.pole.hasPointerCapture(event.pointerId)) return;
  const box = plane.svg.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * 220, y = ((event.clientY - box.top) / box.height) * 222;
  decay = Math.max(0, Math.min(MOST.decay, Math.round((100 * (ZERO - x)) / ACROSS) / 100));
  frequency = Math.max(0, Math.min(MOST.frequency, (MIDDLE - y) / UNIT));
  show();
});

const RADIUS = 84, powers = kit.svg("g"), spiral = stroke(BLUE, 1);
const circle = sheet(220, 222, 150, "a and its powers", stroke(GREY, 1, {d: "M14 122H206M110 28V216"}),
  kit.svg("circle", {cx: 110, cy: 122, r: RADIUS, fill: "none", stroke: GREY}), text(206, 116, "1"), spiral, powers);

const LONG = 12, curve = stroke(BLUE, 2), dots = kit.svg("g");
const [left, right] = [24, 212], level = (value) => 118 - 76 * value, across = (time) => left + ((right - left) * time) / LONG;
const impulse = sheet(220, 222, 150, "impulse response", stroke(GREY, 1, {d: `M${left} 118H${right}M${left} 30V206`}),
  text(12, level(1) + 5, "1"), text(right - 16, 217, "time"), curve, dots);

const WIDE = 480, TALL = 232, bars = kit.svg("g"), stems = kit.svg("g"), heard = stroke(BLUE, 2), ahead = stroke(BLUE, 1, {opacity: 0.4});
const place = (k) => 18 + 14.9 * k, mark = dot(0, 0, 5, BLUE), cursor = stroke(GREY, 1, {"stroke-dasharray": "3 3"});
const memory = sheet(WIDE, TALL, 300, "what the state remembers", text(472, 17, "words", {"text-anchor": "end"}),
  text(472, 102, "their weights now", {"text-anchor": "end", style: `fill:${ORANGE}`}), text(472, 126, "output y", {"text-anchor": "end", style: `fill:${BLUE}`}),
  stroke(GREY, 1, {d: `M8 70H${WIDE - 8}M8 180H${WIDE - 8}`}), cursor, bars, stems, ahead, heard, mark);

// --------------------------------------------------------------------- what the reader moves
const moved = (set) => (value) => { set(value); show(); };
const two = (value) => value.toFixed(2);
const sliders = {
  decay: kit.range("Decay, −Re A", {min: 0, max: MOST.decay, step: 0.01, value: decay}, moved((v) => { decay = v; }), () => two(decay)),
  frequency: kit.range("Frequency, Im A", {min: 0, max: 1, step: 0.005, value: frequency / Math.PI},
    moved((v) => { frequency = v * Math.PI; }), () => `${(frequency / Math.PI).toFixed(3)} π`),
  step: kit.range("Step size Δ", {min: 0.1, max: MOST.step, step: 0.05, value: step}, moved((v) => { step = v; }), () => two(step)),
};
const clock = kit.range("Word", {min: 0, max: data.inputs[input].length - 1, value: now}, moved((v) => { now = v; }), (k) => `${k + 1}`);
const buttons = Object.entries(PRESETS).map(([name, given]) =>
  kit.button(name, () => { [decay, frequency, step] = given; show(); }));
const select = kit.el("select", {"aria-label": "the words that come in", style: "background:transparent;color:inherit;"
  + "border:1px solid #808080;border-radius:.3em;font:inherit;padding:.1em", onchange: () => { input = select.value; show(); }},
  ...names.map((name) => kit.el("option", {value: name, style: "color:black;background:white"}, name)));
const said = kit.el("output", {style: `display:block;line-height:1.5;margin-top:.4em;
  min-height:calc(3em + clamp(0px, (760px - 100vw) * 99, 4.5em))`});

// --------------------------------------------------------------------------------- show
function words() {
  const half = decay * step > 1e-9 ? Math.LN2 / (decay * step) : Infinity;
  const turn = Math.round((180 * frequency * step) / Math.PI);
  const fade = half === Infinity ? "A word's weight never fades" : `A word's weight halves every ${half < 10 ? half.toFixed(1) : Math.round(half)} words`;
  return `a = e^(ΔA) has size ${Math.exp(-decay * step).toFixed(2)}. ${fade}${turn ? ` and turns by ${turn}° a word` : ""}. `;
}
function show() {
  const given = {decay, frequency: frequency / Math.PI, step};
  for (const [name, slider] of Object.entries(sliders)) {
    slider.input.value = given[name];
    const told = name === "frequency" ? `${given.frequency.toFixed(3)} π` : two(given[name]);
    slider.querySelector("span").textContent = told;
    slider.input.setAttribute("aria-valuetext", told);
  }
  for (const [part, im] of [[plane.pole, frequency], [plane.mirror, -frequency]]) {
    const [x, y] = spot([-decay, im]);
    part.setAttribute("cx", round(x));
    part.setAttribute("cy", round(y));
  }
  const inside = Array.from({length: 40}, (_, j) => power(j)).map(([re, im]) => [110 + RADIUS * re, 122 - RADIUS * im]);
  spiral.setAttribute("d", line(inside));
  powers.replaceChildren(...inside.slice(1).map(([x, y], j) => dot(x, y, j ? 3 : 7, j ? BLUE : ORANGE)).reverse());
  curve.setAttribute("d", line(Array.from({length: 241}, (_, k) => [across(k / 20), level(response(k / 20))])));
  dots.replaceChildren(...Array.from({length: Math.floor(LONG / step) + 1}, (_, j) => dot(across(j * step), level(response(j * step)), 4, ORANGE)));

  const u = data.inputs[input], y = output(u), high = Math.max(1, ...y.map(Math.abs));
  const at = (k) => [place(k), 180 - (44 * y[k]) / high];
  stems.replaceChildren(...u.flatMap((word, k) => word ? [stroke("currentColor", 1.5, {opacity: k > now ? 0.3 : 0.8,
    d: `M${place(k)} 70V${70 - 36 * word}`}), dot(place(k), 70 - 36 * word, 3.5, "currentColor", {opacity: k > now ? 0.3 : 0.8})] : []));
  bars.replaceChildren(...u.slice(0, now + 1).map((_, k) => {
    const value = 36 * power(now - k)[0];
    return kit.svg("rect", {x: place(k) - 5, width: 10, y: round(70 - Math.max(0, value)), height: round(Math.abs(value)), fill: ORANGE, "fill-opacity": 0.45});
  }));
  heard.setAttribute("d", line(u.slice(0, now + 1).map((_, k) => at(k))));
  ahead.setAttribute("d", line(u.map((_, k) => at(k))));
  mark.setAttribute("cx", place(now));
  mark.setAttribute("cy", round(at(now)[1]));
  cursor.setAttribute("d", `M${place(now)} 28V226`);
  plane.svg.setAttribute("aria-label", `A = −${two(decay)} + ${two(frequency)} i, in the plane of complex numbers`);
  circle.setAttribute("aria-label", `the powers of a, whose size is ${two(Math.exp(-decay * step))}, inside the unit circle`);
  impulse.setAttribute("aria-label", "the impulse response over time, and the kernel, its values at multiples of the step size");
  memory.setAttribute("aria-label", `words, their weights at word ${now + 1}, and the output, now ${two(y[now])}`);
  said.textContent = `${words()}At word ${now + 1} the output is ${two(y[now])}.`;
}

const three = kit.el("div", {style: "display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,11em),1fr));gap:0 1em"},
  ...Object.values(sliders));
root.append(
  kit.row(...buttons),
  kit.el("div", {style: "display:flex;flex-wrap:wrap;gap:.4em"}, plane.svg, circle, impulse), three,
  kit.el("div", {style: "display:flex"}, memory),
  kit.row(kit.play(clock, 250), kit.el("label", {}, "Words that come in: ", select)), clock, said,
);
show();
