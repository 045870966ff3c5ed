// Shannon's game: put chips on the words that may come next, then see the word and what it cost.
// data: words; groups, rows of word numbers; texts, each {words, given, likely}: given counts the
// words that are shown at first, likely[i] lists [word, p] of all that may stand at i; kept, the
// share spread over all words; lines, [label, nats] of the scale.
const V = data.words.length;
const HIGHEST = 3; // chips on a word
const state = { text: 0, at: 0, chips: new Map(), shown: false, count: 0, yours: 0, best: 0 };
const costs = []; // of each word of this text, nats; undefined where it was given

const shareOf = (word) => {
  const all = [...state.chips.values()].reduce((sum, n) => sum + n, 0);
  if (!all) return 1 / V;
  return ((1 - data.kept) * (state.chips.get(word) || 0)) / all + data.kept / V;
};
const truthOf = (word) => (text().likely[state.at].find(([v]) => v === word) || [0, 0])[1];
const text = () => data.texts[state.text];

// what changes stands before an unseen text of about the greatest length, which keeps its place
const kept = (element, longest) => {
  const ghost = kit.el("p", {}, longest);
  element.style.margin = ghost.style.margin = 0;
  return kit.el("div", { style: "line-height:1.6;margin:0.3em 0" }, kit.frames([ghost, element], 1));
};
const line = kit.el("p", { "aria-label": "the text so far" });
const said = kit.el("p", { "aria-live": "polite" });
const longest = data.texts.map(({ words }) => words.map((word) => data.words[word] + " ,.").join(" "));
const example =
  "swims: you gave it 48 %, which costs you 6.46 nats. The language gives it 24 %, 1.43 nats. " +
  "The buttons show what could have come, and how likely each was.";
const go = kit.button("Show the word", press);
const clear = kit.button("Clear", () => {
  state.chips.clear();
  draw();
});
const again = kit.button("Start again", () => begin(0, true));
const buttons = new Map();
const board = kit.el("div", { role: "group", "aria-label": "the words" });
for (const row of data.groups) {
  const style = "display:grid;grid-template-columns:repeat(8,minmax(0,1fr));gap:3px;margin-top:3px";
  board.append(kit.el("div", { style }, ...row.map(wordButton)));
}
const scale = kit.el("div", { style: "max-width:32em" });

function wordButton(word) {
  const style =
    "font:inherit;font-size:min(1em,3.2vw);color:inherit;border:1px solid #808080;padding:1px 0;" +
    "border-radius:0.3em;cursor:pointer;background:none;line-height:1.25;overflow:hidden";
  const small = kit.el("span", { style: "display:block;font-size:0.8em;height:1.3em" });
  const made = kit.el("button", { type: "button", style, onclick: () => chip(word) });
  made.append(data.words[word], small);
  made.small = small;
  buttons.set(word, made);
  return made;
}

function chip(word) {
  if (state.shown) next();
  const n = ((state.chips.get(word) || 0) + 1) % (HIGHEST + 1);
  if (n) state.chips.set(word, n);
  else state.chips.delete(word);
  draw();
}

function press() {
  if (state.shown) next();
  else {
    const word = text().words[state.at];
    costs[state.at] = -Math.log(shareOf(word));
    state.yours += costs[state.at];
    state.best -= Math.log(truthOf(word));
    state.count += 1;
    state.shown = true;
  }
  draw();
}

function next() {
  state.shown = false;
  state.chips.clear();
  state.at += 1;
  if (state.at === text().words.length) begin((state.text + 1) % data.texts.length);
}

function begin(number, anew) {
  Object.assign(state, { text: number, at: data.texts[number].given, shown: false });
  if (anew) Object.assign(state, { count: 0, yours: 0, best: 0 });
  state.chips.clear();
  costs.length = 0;
  draw();
}

function draw() {
  const { at, shown, chips } = state;
  const words = text().words;
  line.replaceChildren();
  words.slice(0, at + (shown ? 1 : 0)).forEach((word, i) => {
    const cost = costs[i];
    const style = cost === undefined ? "" : `background:${kit.heat(Math.exp(-cost))};`;
    const title = cost === undefined ? null : `${cost.toFixed(2)} nats`;
    const more = shown && i === at ? "font-weight:bold;text-decoration:underline" : "";
    line.append(kit.el("span", { style: style + "padding:0 0.2em;" + more, title }, data.words[word]), " ");
  });
  if (!shown) line.append(kit.el("span", { "aria-label": "the next word" }, "____"));

  for (const [word, button] of buttons) {
    const n = chips.get(word) || 0;
    const p = shown ? truthOf(word) : 0;
    button.small.textContent = shown ? (p ? kit.percent(p) : "") : "●".repeat(n);
    button.style.background = shown && p ? kit.heat(p) : "none";
    button.style.outline = shown && word === words[at] ? "2px solid currentColor" : "none";
    const told = shown ? `, ${kit.percent(p)}` : n ? `, ${n} chip${n > 1 ? "s" : ""}` : "";
    button.setAttribute("aria-label", data.words[word] + told);
  }
  go.textContent = shown ? "Next word" : "Show the word";
  tell();
  ruler();
}

function tell() {
  const { at, shown, chips } = state;
  if (!shown) {
    const marked = [...chips.keys()].sort((a, b) => chips.get(b) - chips.get(a));
    const first = marked.slice(0, 3).map((word) => `${data.words[word]} ${kit.percent(shareOf(word))}`);
    const hint = marked.length
      ? `Your guess: ${first.join(", ")}${marked.length > 3 ? " …" : ""}. ` +
        `Of the whole, ${kit.percent(data.kept)} is spread over all ${V} words, so that none is impossible.`
      : "Put chips on every word that you think may come next; up to three on one. " +
        `Without chips, all ${V} words count as equally likely.`;
    said.textContent = hint;
    return;
  }
  const word = text().words[at];
  const yours = costs[at];
  const best = -Math.log(truthOf(word));
  said.replaceChildren(
    kit.el("b", {}, data.words[word]),
    `: you gave it ${kit.percent(Math.exp(-yours))}, which costs you ${yours.toFixed(2)} nats. ` +
      `The language gives it ${kit.percent(Math.exp(-best))}, ${best.toFixed(2)} nats. ` +
      "The buttons show what could have come, and how likely each was."
  );
}

// the scale from 0 nats to those of knowing nothing
function ruler() {
  const [W, LEFT, RIGHT] = [360, 12, 330];
  const top = Math.log(V);
  const x = (nats) => LEFT + ((RIGHT - LEFT) * Math.min(nats, top * 1.05)) / top;
  const drawn = kit.svg("svg", {
    viewBox: `0 0 ${W} 92`,
    role: "img",
    style: "width:100%;display:block",
    "font-size": 12,
    fill: "currentColor",
  });
  const add = (tag, attributes, words) => drawn.append(kit.svg(tag, attributes, words || ""));
  add("path", { d: `M${LEFT} 44H${W - 8}`, stroke: "#808080", fill: "none" });
  for (const [i, [label, nats]] of data.lines.entries()) {
    add("path", { d: `M${x(nats)} 38v12`, stroke: "currentColor", fill: "none" });
    const anchor = i === data.lines.length - 1 ? "end" : i ? "start" : "middle";
    const u = anchor === "end" ? W - 4 : x(nats) - (anchor === "start" ? 4 : 0);
    add("text", { x: u, y: i % 2 ? 80 : 64, "text-anchor": anchor }, `${label} ${nats.toFixed(2)}`);
  }
  const { count, yours, best } = state;
  if (count) {
    const u = x(yours / count);
    add("path", { d: `M${u} 42l-6 -10h12z`, fill: "#D55E00" });
    const anchor = u < 40 ? "start" : u > W - 60 ? "end" : "middle";
    add("text", { x: u, y: 26, "text-anchor": anchor, "font-weight": "bold" }, `you ${(yours / count).toFixed(2)}`);
  }
  const words = count
    ? `${count} word${count > 1 ? "s" : ""}: you ${yours.toFixed(1)} nats, ` +
      `the language itself ${best.toFixed(1)}. In nats a word:`
    : "Your average, in nats a word, will stand on this scale:";
  scale.replaceChildren(kit.el("p", { style: "margin:0.3em 0 0" }, words), drawn);
}

root.append(
  kept(line, longest.reduce((a, b) => (a.length > b.length ? a : b))),
  board,
  kit.row(go, clear, again),
  kept(said, example),
  scale
);
begin(0, true);
