// The exact distribution of the next word, sharpened and truncated as a sampler would. The reader
// builds a text by pressing words, or has one drawn. data: words; arrows, rows of [state, word, p,
// next state]; states, the words that name each state; length of a text; start, the words shown at
// first; entropy, nats a word; temperature, at first; seed.
const L = data.length;
const after = []; // state -> [[word, p, next state], ...], the most probable first
for (const [s, v, p, to] of data.arrows) (after[s] = after[s] || []).push([v, p, to]);
for (const row of after) row.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
const MOST = Math.max(...after.map((row) => row.length));
const random = kit.random(data.seed || 1);

const settings = { T: data.temperature, k: MOST, p: 1 };
let text = []; // [word, its probability under the language, the state after it]
let tally = { words: 0, nats: 0 }; // of what was drawn under these settings

const stateNow = () => (text.length ? text[text.length - 1][2] : 0);

// the shares of the words of a row, largest first, once temperature, top-k and top-p are done
function shaped(row) {
  const { T, k, p } = settings;
  const most = Math.log(row[0][1]);
  let share = row.map(([, q], i) => (T === 0 ? Number(i === 0) : Math.exp((Math.log(q) - most) / T)));
  share = share.map((q, i) => (i < k ? q : 0));
  const whole = share.reduce((a, b) => a + b, 0);
  let sum = 0; // of the more probable ones
  share = share.map((q) => {
    const kept = sum < p - 1e-12 ? q / whole : 0;
    sum += q / whole;
    return kept;
  });
  const left = share.reduce((a, b) => a + b, 0);
  return share.map((q) => q / left);
}

// ---------------------------------------------------------------------------- what is seen
const line = kit.el("p", { "aria-label": "the text so far", style: "margin:0" });
// an unseen text of about the greatest length keeps its place
const ghost = kit.el("p", { style: "margin:0" });
for (let i = 0; i < L; i++) ghost.append(kit.el("span", { style: "padding:0 0.2em" }, "swims"), " ");
const place = kit.el("div", { style: "line-height:1.8;max-width:44em" }, kit.frames([ghost, line], 1));
const where = kit.el("p", { style: "margin:0;min-height:3em;line-height:1.5", "aria-live": "polite" });
const rows = Array.from({ length: MOST }, (_, i) => {
  const style =
    "display:grid;grid-template-columns:5em minmax(0,1fr) 3.2em 3.2em;gap:0.4em;width:100%;" +
    "font:inherit;color:inherit;background:none;border:1px solid transparent;border-radius:0.3em;" +
    "padding:0;height:1.9em;align-items:center;text-align:left;cursor:pointer";
  const edge = "border:1px solid #808080;border-radius:0.3em;padding:0 0.4em;justify-self:start";
  const word = kit.el("span", { style: edge });
  const bar = kit.el("span", { style: "display:block;height:1.1em;border:1px solid #808080" });
  const now = kit.el("span", { style: "text-align:right" });
  const was = kit.el("span", { style: "text-align:right" });
  const made = kit.el("button", { type: "button", style, onclick: () => press(i) }, word, bar, now, was);
  return Object.assign(made, { word, bar, now, was });
});
const head = kit.el(
  "div",
  {
    style:
      "display:grid;grid-template-columns:5em minmax(0,1fr) 3.2em 3.2em;gap:0.4em;font-size:0.9em",
    "aria-hidden": "true",
  },
  kit.el("span", null, "press"),
  kit.el("span"),
  kit.el("span", { style: "text-align:right" }, "drawn"),
  kit.el("span", { style: "text-align:right" }, "exact"),
);
const said = kit.el("p", { style: "margin:0.3em 0;min-height:4.5em;line-height:1.5" });

const set = (name, value) => {
  settings[name] = value;
  tally = { words: 0, nats: 0 };
  show();
};
const ranges = kit.el(
  "div",
  { style: "display:grid;grid-template-columns:repeat(auto-fit,minmax(11em,1fr));gap:0 1.5em" },
  kit.range("Temperature", { min: 0, max: 2, step: 0.1, value: data.temperature }, (n) => set("T", n), (n) => n.toFixed(1)),
  kit.range("Top-k", { min: 1, max: MOST, step: 1, value: MOST }, (n) => set("k", n), (n) =>
    n === MOST ? "all" : String(n)),
  kit.range("Top-p", { min: 0.1, max: 1, step: 0.05, value: 1 }, (n) => set("p", n), (n) => n.toFixed(2)),
);
const one = kit.button("Draw a word", () => draw(1));
const rest = kit.button("Draw to the end", () => {
  if (text.length === L) text = [];
  draw(L);
});
const back = kit.button("One back", () => {
  text.pop();
  show();
});
const anew = kit.button("Start again", () => {
  text = [];
  show();
});

// ------------------------------------------------------------------------------ what happens
function add(row, i) {
  text.push(row[i]);
  return -Math.log(row[i][1]);
}

function press(i) {
  const row = after[stateNow()];
  if (text.length < L && i < row.length) add(row, i);
  show();
}

function draw(n) {
  for (let i = 0; i < n && text.length < L; i++) {
    const row = after[stateNow()];
    tally.nats += add(row, kit.choose(shaped(row), random));
    tally.words += 1;
  }
  show();
}

const number = (p) => (p === 0 ? "0" : p < 0.001 ? "<.001" : p.toFixed(3).replace(/^0/, ""));

function show() {
  const s = stateNow(), full = text.length === L;
  const row = full ? [] : after[s], share = full ? [] : shaped(row);
  line.replaceChildren();
  for (const [v, p] of text) {
    const style = `background:${kit.heat(p)};padding:0 0.2em`;
    const title = `${data.words[v]}: p = ${p.toFixed(3)}`;
    line.append(kit.el("span", { style, title }, data.words[v]), " ");
  }
  if (!full) line.append(kit.el("span", { "aria-label": "the next word" }, "____"));
  const nats = text.reduce((sum, [, p]) => sum - Math.log(p), 0);
  const so = `${text.length} of ${L} words, ${nats.toFixed(1)} nats. `;
  where.textContent = so + (full ? "The text is complete." : `State: ${data.states[s]}.`);
  rows.forEach((button, i) => {
    const there = i < row.length;
    button.style.visibility = there ? "" : "hidden";
    if (!there) return;
    const [v, p] = row[i];
    button.word.textContent = data.words[v];
    button.bar.style.background =
      `linear-gradient(to right,${kit.heat(1)} ${100 * share[i]}%,transparent ${100 * share[i]}%)`;
    button.now.textContent = share[i] === 0 ? "cut" : number(share[i]);
    button.was.textContent = number(p);
    const told = share[i] === 0 ? "never drawn" : `drawn with probability ${share[i].toFixed(3)}`;
    button.setAttribute("aria-label", `${data.words[v]}: ${told}, exact ${p.toFixed(3)}`);
  });
  one.disabled = full;
  back.disabled = anew.disabled = text.length === 0;
  for (const button of [one, back, anew]) button.style.opacity = button.disabled ? 0.5 : 1;
  rest.textContent = full ? "Draw another" : "Draw to the end";
  said.textContent = tally.words
    ? `Drawn with these settings: ${tally.words} words, which cost the language ` +
      `${(tally.nats / tally.words).toFixed(2)} nats each. Its entropy is ${data.entropy.toFixed(2)} nats a word.`
    : `Draw a few texts, and see what their words cost the language on average. Its entropy is ` +
      `${data.entropy.toFixed(2)} nats a word.`;
}

for (const word of data.start) press(after[stateNow()].findIndex(([v]) => v === word));
const buttons = kit.row(one, rest, back, anew);
root.append(place, where, head, ...rows, ranges, buttons, said);
show();
