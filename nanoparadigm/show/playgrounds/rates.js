// Three states whose rates the reader sets: the flow of probability in the triangle of all laws, a
// crowd of walkers, and the path of one. data: rates (3 x 3, the diagonal unused), start, t, seed.
const BLUE = "#0072B2", ORANGE = "#D55E00", GREY = "#808080";
const NAMES = ["a", "b", "c"], END = 3, CROWD = 200, HIGHEST = 4;
const STEPS = 300; // of the exact flow
const PAIRS = [[0, 1], [1, 0], [1, 2], [2, 1], [2, 0], [0, 2]];
const STARTS = {"all start on a": [1, 0, 0], "all start on b": [0, 1, 0], "all start on c": [0, 0, 1],
  "a third on each": [1 / 3, 1 / 3, 1 / 3]};
const PRESETS = {
  "as in the text": data.rates,
  "only round and round": [[0, 2, 0], [0, 0, 2], [2, 0, 0]],
  "everything to b": [[0, 1.5, 0], [0, 0, 0], [0, 1.5, 0]],
  "uniform noise": [[0, 1, 1], [1, 0, 1], [1, 1, 0]],
};
let rates = data.rates.map((row) => [...row]), start = data.start, seed = data.seed, now = data.t;
let flow = [], crowd = [];

// ------------------------------------------------------------------ the exact flow and the walkers
const change = (q) => NAMES.map((_, j) =>
  rates.reduce((sum, row, i) => sum + (i === j ? 0 : q[i] * row[j] - q[j] * rates[j][i]), 0));
const moved = (q, d, h) => q.map((share, j) => share + h * d[j]);
function solve() { // Runge and Kutta's fourth order
  const h = END / STEPS;
  flow = [Object.values(STARTS)[start]];
  for (let n = 0; n < STEPS; n++) {
    const q = flow[n], k1 = change(q), k2 = change(moved(q, k1, h / 2));
    const k3 = change(moved(q, k2, h / 2)), k4 = change(moved(q, k3, h));
    flow.push(q.map((share, j) => share + (h / 6) * (k1[j] + 2 * k2[j] + 2 * k3[j] + k4[j])));
  }
}
function walk(random) { // -> [[time, state], ...]: wait, then jump
  let state = kit.choose(flow[0], random), time = 0;
  const path = [[0, state]];
  for (;;) {
    const exit = rates[state].reduce((sum, rate, j) => sum + (j === state ? 0 : rate), 0);
    if (!exit) return path;
    time -= Math.log(1 - random()) / exit;
    if (time >= END) return path;
    state = kit.choose(rates[state].map((rate, j) => (j === state ? 0 : rate)), random);
    path.push([time, state]);
  }
}
function begin() {
  solve();
  const random = kit.random(seed);
  crowd = Array.from({length: CROWD}, () => walk(random));
}
const at = (path, time) => path.reduce((state, [when, next]) => (when <= time ? next : state), 0);
const shares = (time) => {
  const count = [0, 0, 0];
  for (const path of crowd) count[at(path, time)]++;
  return count.map((n) => n / CROWD);
};

// ------------------------------------------------------------------------------- the drawings
const CORNERS = [[180, 52], [305, 268], [55, 268]], BIG = 28;
const place = (q) => [0, 1].map((k) => q.reduce((sum, share, i) => sum + share * CORNERS[i][k], 0));
const line = (points) => points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const path = (colour, width, more = {}) =>
  kit.svg("path", {fill: "none", stroke: colour, "stroke-width": width, "stroke-linejoin": "round", ...more});
const text = (x, y, words, more = {}) =>
  kit.svg("text", {x, y, "font-size": 15, fill: "currentColor", "text-anchor": "middle", ...more}, words);
// an arrow from [x, y] along the unit vector [u, v], with a head of a size
const arrowed = ([x, y], [u, v], length, head) => {
  const [p, q] = [x + u * length, y + v * length];
  return `M${x.toFixed(1)} ${y.toFixed(1)}L${p.toFixed(1)} ${q.toFixed(1)}` + [1, -1].map((s) =>
    `M${(p - head * (u + 0.6 * s * v)).toFixed(1)} ${(q - head * (v - 0.6 * s * u)).toFixed(1)}L${p.toFixed(1)} ${q.toFixed(1)}`).join("");
};
const edges = PAIRS.map(([i, j], n) => {
  const [[x, y], [u, v]] = [CORNERS[i], CORNERS[j]], long = Math.hypot(u - x, v - y);
  const along = [(u - x) / long, (v - y) / long], middle = [180, 196];
  let out = [along[1], -along[0]];
  if (out[0] * (x - middle[0]) + out[1] * (y - middle[1]) < 0) out = out.map((o) => -o);
  const off = n % 2 ? 31 : 15;
  const from = [0, 1].map((k) => CORNERS[i][k] + along[k] * (BIG + 16) + out[k] * off);
  const drawn = path("currentColor", 2, {d: arrowed(from, along, long - 2 * BIG - 32, 8)});
  return drawn;
});
const field = path(GREY, 1, {opacity: 0.75});
const ahead = path(BLUE, 1.2, {"stroke-dasharray": "2 4"}), behind = path(BLUE, 3), trail = path(ORANGE, 1.2);
const exact = kit.svg("circle", {r: 6, fill: BLUE});
const mean = kit.svg("circle", {r: 7, fill: "none", stroke: ORANGE, "stroke-width": 2.5});
const disks = CORNERS.map(([cx, cy]) => kit.svg("circle", {cx, cy, fill: ORANGE, "fill-opacity": 0.35}));
const walker = kit.svg("circle", {r: 6, fill: ORANGE, stroke: "currentColor", "stroke-width": 1.5});
const triangle = kit.svg("svg", {viewBox: "0 0 360 320", role: "img",
  style: "flex:1 1 300px;min-width:0;max-width:440px"},
  path(GREY, 1, {d: `${line(CORNERS)}Z`}), field, ...edges, ahead, trail, behind, ...disks,
  ...CORNERS.map(([x, y], i) => text(x, y + 5, NAMES[i], {"font-weight": "bold"})), mean, exact, walker);
const LEFT = 24, RIGHT = 290, level = (state) => 40 + 55 * state, across = (time) => LEFT + ((RIGHT - LEFT) * time) / END;
const walked = path(ORANGE, 3), cursor = path("currentColor", 1, {"stroke-dasharray": "3 3"});
const one = kit.svg("svg", {viewBox: "0 0 310 210", role: "img", style: "flex:1 1 220px;min-width:0;max-width:400px"},
  text(157, 16, "the path of the marked walker"),
  ...NAMES.map((name, i) => text(10, level(i) + 5, name)),
  ...NAMES.map((_, i) => path(GREY, 0.7, {d: `M${LEFT} ${level(i)}H${RIGHT}`, "stroke-dasharray": "1 4"})),
  ...[0, 1, 2, 3].map((time) => text(across(time), 196, time)), cursor, walked);

// ----------------------------------------------------------------------- what the reader moves
const says = PAIRS.map(() => kit.el("span", {style: "display:inline-block;min-width:2em"}));
const inputs = PAIRS.map(([i, j], n) => kit.el("input", {type: "range", min: 0, max: HIGHEST, step: 0.1,
  value: rates[i][j], autocomplete: "off", "aria-label": `rate from ${NAMES[i]} to ${NAMES[j]}`,
  style: "display:block;width:100%;min-width:0;height:1.6em;margin:0",
  oninput: () => { rates[i][j] = Number(inputs[n].value); begin(); show(); }}));
const sliders = kit.el("div", {style: "display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:.2em .9em;flex:1 1 100%"},
  ...[0, 2, 4, 1, 3, 5].map((n) => kit.el("label", {style: "min-width:0"},
    `${NAMES[PAIRS[n][0]]} → ${NAMES[PAIRS[n][1]]}: `, says[n], inputs[n])));
const buttons = Object.entries(PRESETS).map(([name, given]) =>
  kit.button(name, () => { rates = given.map((row) => [...row]); begin(); show(); }));
const select = kit.el("select", {"aria-label": "where the walkers start",
  style: "background:transparent;color:inherit;border:1px solid #808080;border-radius:.3em;font:inherit;padding:.1em",
  onchange: () => { start = select.selectedIndex; begin(); show(); }},
  ...Object.keys(STARTS).map((name, n) =>
    kit.el("option", {selected: n === start, style: "color:black;background:white"}, name)));
const clock = kit.range("Time", {min: 0, max: END, step: 0.05, value: now}, (time) => { now = time; show(); },
  (time) => time.toFixed(2));
const others = kit.button("Other walkers", () => { seed++; begin(); show(); });
const output = kit.el("output", {style: `display:block;line-height:1.5;margin-top:.4em;
  min-height:calc(6.2em + clamp(0px, (760px - 100vw) * 99, 2.8em))`});

// -------------------------------------------------------------------------------------- show
function arrows() {
  const N = 9;
  let drawn = "";
  for (let i = 1; i < N; i++)
    for (let j = 1; j < N - i; j++) {
      const q = [i / N, j / N, 1 - (i + j) / N], d = change(q), [x, y] = place(q);
      const [u, v] = [0, 1].map((k) => d.reduce((sum, part, s) => sum + part * CORNERS[s][k], 0));
      const speed = Math.hypot(u, v), length = Math.min(15, speed / 16);
      if (length > 1) drawn += arrowed([x - (u / speed) * length / 2, y - (v / speed) * length / 2], [u / speed, v / speed], length, 4);
    }
  return drawn;
}
function show() {
  PAIRS.forEach(([i, j], n) => {
    inputs[n].value = rates[i][j];
    says[n].textContent = rates[i][j].toFixed(1);
    inputs[n].setAttribute("aria-valuetext", rates[i][j].toFixed(1));
    edges[n].setAttribute("stroke-width", 0.8 + 1.4 * rates[i][j]);
    edges[n].setAttribute("opacity", rates[i][j] ? 0.8 : 0.12);
  });
  field.setAttribute("d", arrows());
  const n = Math.round((now / END) * STEPS), q = flow[n], seen = shares(now), points = flow.map(place);
  ahead.setAttribute("d", line(points));
  behind.setAttribute("d", line(points.slice(0, n + 1)));
  trail.setAttribute("d", line(Array.from({length: Math.round(now / 0.05) + 1}, (_, k) => place(shares(0.05 * k)))));
  for (const [dot, share] of [[exact, q], [mean, seen]]) {
    const [x, y] = place(share);
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
  }
  disks.forEach((disk, i) => disk.setAttribute("r", BIG * Math.sqrt(seen[i])));
  const mine = crowd[0].filter(([time]) => time <= now), here = mine[mine.length - 1][1];
  walker.setAttribute("cx", CORNERS[here][0] + 15);
  walker.setAttribute("cy", CORNERS[here][1] - 13);
  let d = "";
  mine.forEach(([time, state], k) => { d += `${k ? "V" : `M${across(time)} `}${level(state)}H${across(k + 1 < mine.length ? mine[k + 1][0] : now)}`; });
  walked.setAttribute("d", d);
  cursor.setAttribute("d", `M${across(now)} 26V178`);
  const three = (share) => NAMES.map((name, i) => `${name} ${share[i].toFixed(2)}`).join(", ");
  const jumps = mine.length - 1, slope = change(q);
  triangle.setAttribute("aria-label", `probabilities ${three(q)}; of the walkers ${three(seen)}`);
  one.setAttribute("aria-label", `the marked walker has jumped ${jumps} times and is on ${NAMES[here]}`);
  output.textContent = "";
  output.append(
    `Probability (blue dot): ${three(q)}. Of ${CROWD} walkers (discs, and the orange ring, their mean): ${three(seen)}.`,
    kit.el("br"),
    Math.max(...slope.map(Math.abs)) < 0.005
      ? "The flow has come to rest: as much flows into each state as out of it. The walkers go on jumping."
      : `Flow in minus flow out, per unit of time: ${NAMES.map((name, i) => `${name} ${slope[i] < -0.005 ? "−" : "+"}${Math.abs(slope[i]).toFixed(2)}`).join(", ")}.`,
  );
}

root.append(
  kit.el("div", {style: "display:flex;flex-wrap:wrap;gap:.4em;align-items:center"}, triangle, one),
  kit.row(kit.play(clock, 90), others, select), clock, sliders, kit.row(...buttons), output,
);
begin();
show();
