// Three optimisers on one bowl, (a^2 + k b^2) / 2. a and b are two weights, or, for Muon, the
// diagonal of a 2 x 2 matrix and so its singular values.
// data: start [a, b], steps, noise (of one text), muon [the polynomial], beta2, eps,
// rate, momentum, ratio (the settings it opens with).
const WIDE = 640, HIGH = 300, UNIT = 125;
const NAMES = ["gradient descent", "Adam", "Muon"];
const COLOURS = ["#0072B2", "#D55E00", "#009E73"];
const BATCHES = [Infinity, 64, 16, 4, 1];
const state = {
  rate: data.rate, momentum: data.momentum, ratio: data.ratio, batch: 0, falls: false, step: data.steps,
};

// ------------------------------------------------------------------------------- the arithmetic

function normals(count) {
  const uniform = kit.random(7), drawn = [];
  while (drawn.length < count) {
    const r = Math.sqrt(-2 * Math.log(1 - uniform())), turn = 2 * Math.PI * uniform();
    drawn.push(r * Math.cos(turn), r * Math.sin(turn));
  }
  return drawn;
}
const NOISE = normals(2 * data.steps);

// Muon's five rounds on a diagonal matrix: its entries are its singular values, with signs
function orthogonalised(g) {
  const norm = Math.max(Math.hypot(...g), 1e-7), [a, b, c] = data.muon;
  return g.map((entry) => {
    let s = entry / norm;
    for (let n = 0; n < 5; n++) s = s * (a + b * s ** 2 + c * s ** 4);
    return s;
  });
}

// the points that an optimiser (0, 1, 2) visits, the start first
function path(which) {
  const beta = state.momentum, deviation = data.noise / Math.sqrt(BATCHES[state.batch]);
  let w = [...data.start], m = [0, 0], v = [0, 0];
  const points = [w];
  for (let t = 1; t <= data.steps; t++) {
    const rate = state.rate * (state.falls ? (data.steps - t + 1) / data.steps : 1);
    const g = [w[0], state.ratio * w[1]].map((x, i) => x + deviation * NOISE[2 * t - 2 + i]);
    let d;
    if (which === 0) {
      m = m.map((x, i) => beta * x + g[i]);
      d = m;
    } else if (which === 1) {
      m = m.map((x, i) => beta * x + (1 - beta) * g[i]);
      v = v.map((x, i) => data.beta2 * x + (1 - data.beta2) * g[i] ** 2);
      d = m.map((x, i) => {
        const root = Math.sqrt(v[i] / (1 - data.beta2 ** t));
        return x / (1 - beta ** t) / (root + data.eps);
      });
    } else {
      m = m.map((x, i) => beta * x + (1 - beta) * g[i]);
      d = orthogonalised(m.map((x, i) => beta * x + (1 - beta) * g[i]));
    }
    w = w.map((x, i) => x - rate * d[i]);
    points.push(w);
  }
  return points;
}

const loss = (w) => (w[0] ** 2 + state.ratio * w[1] ** 2) / 2;
const limit = () => (2 * (1 + state.momentum)) / state.ratio;

// ----------------------------------------------------------------------------------- the picture

const place = (w) => [WIDE / 2 + UNIT * w[0], HIGH / 2 - UNIT * w[1]];
const bowl = kit.svg("g", { fill: "none", stroke: "currentColor", "stroke-opacity": "0.25" });
const paths = NAMES.map((_, i) =>
  kit.svg("polyline", {
    fill: "none", stroke: COLOURS[i], "stroke-width": "2", "stroke-linejoin": "round",
  }));
const ends = NAMES.map((_, i) => kit.svg("circle", { r: "6", fill: COLOURS[i] }));
const [x0, y0] = place(data.start);
const picture = kit.svg(
  "svg",
  { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", style: "width:100%;max-width:44rem;display:block;overflow:hidden",
    "aria-label": "Level lines of a bowl, and the paths of three optimisers from one start" },
  bowl,
  kit.svg("path", { d: `M${WIDE / 2 - 6} ${HIGH / 2}h12m-6 -6v12`, stroke: "currentColor", "stroke-width": "1.5" }),
  ...paths, ...ends,
  kit.svg("circle", { cx: x0, cy: y0, r: "4", fill: "currentColor" }),
);

function draw() {
  bowl.textContent = "";
  for (const level of [0.02, 0.1, 0.3, 0.7, 1.4, 2.5, 5, 10, 20, 40]) {
    bowl.append(kit.svg("ellipse", {
      cx: WIDE / 2, cy: HIGH / 2,
      rx: UNIT * Math.sqrt(2 * level), ry: UNIT * Math.sqrt((2 * level) / state.ratio),
    }));
  }
  const found = NAMES.map((_, i) => path(i));
  found.forEach((points, i) => {
    const seen = points.slice(0, state.step + 1);
    const drawn = [];
    for (const point of seen.map(place)) {  // what has left the sheet does not come back as a line
      drawn.push(point.map((x) => Math.max(-9999, Math.min(9999, x)).toFixed(1)).join());
      if (!(Math.hypot(...point) < 5000)) break;
    }
    paths[i].setAttribute("points", drawn.join(" "));
    const [x, y] = place(seen[seen.length - 1]);
    ends[i].setAttribute("cx", Math.abs(x) < 5000 ? x.toFixed(1) : -99);
    ends[i].setAttribute("cy", Math.abs(y) < 5000 ? y.toFixed(1) : -99);
    const now = loss(seen[seen.length - 1]);
    cells[i].textContent = now < 1e4 ? shown(now) : "diverged";
  });
  root.dataset.losses = JSON.stringify(found.map((points) => loss(points[state.step])));
  const where = state.rate < limit() ? "below" : state.rate > limit() ? "above" : "at it";
  const verdict = state.falls ? `${where}, and falls to zero.` : `${where}.`;
  const top = state.momentum ? "2 (1 + momentum)" : "2";
  said.textContent = sentence(top, state.ratio, shown(limit()), shown(state.rate), verdict);
}

function sentence(top, ratio, most, yours, verdict) {
  return `Gradient descent converges if its rate stays below ${top} / ${ratio} = ${most}. ` +
    `Yours, ${yours}, is ${verdict}`;
}

function shown(x) {
  return x === 0 ? "0" : x >= 0.001 ? String(Number(x.toPrecision(3))) : x.toExponential(0);
}

// ---------------------------------------------------------------------------------- the controls

const right = "text-align:right;font-variant-numeric:tabular-nums;width:5em;padding:0";
const cells = NAMES.map(() => kit.el("td", { style: right }));
const STEPS = ["rate × g", "rate × m / √v", "rate × U Vᵀ"];
const left = "text-align:left;padding:0 0.6em 0 0";
const swatch = (i) => kit.el("span", {
  style: `display:inline-block;width:0.7em;height:0.7em;background:${COLOURS[i]}`, "aria-hidden": "true",
});
const table = kit.el(
  "table", { style: "border-collapse:collapse;margin:0.4em 0;width:100%;max-width:26em" },
  kit.el("tr", {}, kit.el("th", { scope: "col", style: left }, "optimiser"),
    kit.el("th", { scope: "col", style: left }, "its step"),
    kit.el("th", { scope: "col", style: right }, "loss")),
  ...NAMES.map((name, i) => kit.el(
    "tr", {},
    kit.el("th", { scope: "row", style: left + ";font-weight:inherit" }, swatch(i), ` ${name}`),
    kit.el("td", { style: left }, STEPS[i]), cells[i])));
const said = kit.el("p", { style: "margin:0.3em 0" });
const longest = kit.el("p", { style: "margin:0.3em 0", "aria-hidden": "true" },  // keeps its place free
  sentence("2 (1 + momentum)", 50, "0.0000", "0.0000", "above, and falls to zero."));

const opens = Math.log10(data.rate);
const rate = kit.range(
  "rate", { min: -3, max: 0, step: 0.01, value: opens.toFixed(2) },
  (x) => { state.rate = rateAt(x); draw(); }, (x) => shown(rateAt(x)));
// the slider stands on hundredths of a logarithm, and the opening rate need not
function rateAt(x) {
  return Math.abs(x - opens) < 0.0051 ? data.rate : Number((10 ** x).toPrecision(2));
}
const momentum = kit.range(
  "momentum", { min: 0, max: 0.95, step: 0.05, value: data.momentum },
  (x) => { state.momentum = x; draw(); }, (x) => x.toFixed(2));
const ratio = kit.range(
  "curvatures", { min: 1, max: 50, value: data.ratio },
  (x) => { state.ratio = x; draw(); }, (x) => `${x} to 1`);
const last = BATCHES.length - 1;
const batch = kit.range(
  "batch", { min: 0, max: last, value: last }, (x) => { state.batch = last - x; draw(); },
  (x) => (x === last ? "all texts, no noise" : BATCHES[last - x] === 1 ? "1 text" : `${BATCHES[last - x]} texts`));
const step = kit.range(
  "step", { min: 0, max: data.steps, value: data.steps }, (x) => { state.step = x; draw(); });
const falls = kit.el("label", {},
  kit.el("input", {
    type: "checkbox", autocomplete: "off",
    onchange: (event) => { state.falls = event.target.checked; draw(); },
  }),
  " let the rate fall to zero");

const two = "display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,16em),1fr));gap:0 1.5em";
root.append(
  kit.el("div", { style: two }, rate, ratio, momentum, batch, step,
    kit.el("div", { style: "align-self:center" }, kit.play(step, 120), " ", falls)),
  picture, table, kit.frames([said, longest]));
draw();
