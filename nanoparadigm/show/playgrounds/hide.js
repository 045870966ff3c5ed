// A text of a language given as an automaton. The reader hides words and reveals them; each hidden
// word shows what is most probable behind it, its background the stronger the surer that is, and
// the chosen one its whole distribution. All by forward-backward (language.js), exactly, in the page.
// data: words; start, a state; arrows, [state, word, p, next state]; text, the words by number;
// hidden, the positions hidden at first; chosen, the position whose distribution is shown at first;
// together, whether to say what writing the hidden words apart would lose; rows, bars at most.
const { words, arrows, text } = data;
const [L, V] = [text.length, words.length];
const S = 1 + arrows.reduce((most, [s, , , to]) => Math.max(most, s, to), data.start);
const says = new Float64Array(S * V), next = new Int32Array(S * V);
for (const [s, v, p, to] of arrows) [says[s * V + v], next[s * V + v]] = [p, to];
const ROWS = data.rows || Math.min(V, 7);
const hidden = new Set(data.hidden);
const first = data.chosen === undefined ? data.hidden[0] : data.chosen;
let chosen = first;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const scaled = (numbers) => {
  const total = sum(numbers);
  return numbers.map((number) => number / total);
};
const entropy = (p) => -sum(p.map((share) => (share > 0 ? share * Math.log(share) : 0)));

// p: of every word at every position given all visible words (L x V); before: given those before it
// alone; apart, together: the entropies of the hidden words, one by one and of all at once
function behind() {
  const seen = text.map((v, i) => (hidden.has(i) ? V : v));
  const { forward, backward } = messages({ V, S, says, next }, seen, data.start);
  const found = { p: [], before: [], apart: 0, together: 0 };
  for (let i = 0; i < L; i++) {
    const joint = new Array(V).fill(0), before = new Array(V).fill(0), [first, last] = fitting(seen[i], V);
    let spread = 0; // the entropy of word i given the state, which the words before it and all seen leave
    for (let s = 0; s < S; s++) {
      const onward = []; // what each word that may stand here weighs
      for (let v = 0, a = s * V; v < V; v++, a++) {
        const way = forward[i][s] * says[a];
        if (way === 0) continue;
        before[v] += way;
        const whole = v >= first && v < last ? way * backward[i + 1][next[a]] : 0;
        joint[v] += whole;
        if (whole > 0) onward.push(whole);
      }
      if (onward.length) spread += sum(onward) * entropy(scaled(onward));
    }
    found.p.push(scaled(joint));
    found.before.push(scaled(before));
    found.apart += entropy(found.p[i]);
    found.together += spread / sum(joint);
  }
  return found;
}

const longest = Math.max(...words.map((word) => word.length)) + 1;
const tokens = text.map((_, i) => {
  const style =
    "font:inherit;color:inherit;border-radius:0.3em;cursor:pointer;padding:0.1em 0;" +
    `width:${Math.max(3.2, 0.55 * longest + 0.6)}em;line-height:1.25;background:none`;
  return kit.el("button", { type: "button", style, onclick: () => press(i) });
});
const shown = kit.el("div", { role: "group", "aria-label": "the text" }, ...tokens);
shown.style.cssText = "display:flex;flex-wrap:wrap;gap:4px";
shown.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const to = tokens[tokens.indexOf(document.activeElement) + step];
  if (to) {
    event.preventDefault();
    to.focus();
  }
});
const several = (label, positions, then) =>
  kit.button(label, () => {
    hidden.clear();
    for (const i of positions) hidden.add(i);
    if (then !== undefined) chosen = then;
    if (!hidden.has(chosen)) chosen = positions[0];
    draw();
  });
const all = [...text.keys()];
const said = kit.el("p", { style: "margin:0", "aria-live": "polite" });
const list = kit.el("div", { style: `min-height:${1.6 * (ROWS + 1) + 1.5}em` });

// a visible word is hidden; a hidden one is chosen, and revealed when it is pressed again
function press(i) {
  if (!hidden.has(i)) hidden.add(i);
  else if (chosen === i) hidden.delete(i);
  chosen = hidden.has(i) ? i : undefined;
  draw();
}

function draw() {
  const found = behind();
  tokens.forEach((token, i) => {
    const sure = Math.max(...found.p[i]);
    const guess = words[found.p[i].indexOf(sure)];
    const away = hidden.has(i);
    const small = kit.el("span", { style: "display:block;font-size:0.8em;height:1.3em" });
    small.textContent = away ? kit.percent(sure) : "";
    token.replaceChildren(away ? `${guess}?` : words[text[i]], small);
    token.style.background = away ? kit.heat(sure) : "none";
    token.style.border = away ? "1px dashed currentColor" : "1px solid transparent";
    token.style.outline = i === chosen ? "2px solid currentColor" : "";
    const state = away ? `hidden, ${guess} with ${kit.percent(sure)}` : words[text[i]];
    token.setAttribute("aria-label", `word ${i + 1}: ${state}`);
    token.setAttribute("aria-pressed", String(away));
  });
  const certain = [...hidden].filter((i) => Math.max(...found.p[i]) > 1 - 1e-9).length;
  const { apart, together } = found;
  said.textContent = hidden.size
    ? summary(hidden.size, certain, apart, together)
    : "Nothing is hidden. Press a word to hide it.";
  distribution(found);
}

function summary(away, certain, apart, together) {
  const lost = Math.max(0, apart - together);
  return (
    `${away} of ${L} words hidden, ${certain || "none"} of them certain.` +
    (data.together
      ? ` Their entropies add up to ${apart.toFixed(2)} nats; together they have ` +
        `${together.toFixed(2)}. Writing them independently would cost ${lost.toFixed(2)} nats.`
      : "")
  );
}

function distribution(found) {
  if (chosen === undefined || !hidden.has(chosen)) {
    list.replaceChildren(kit.el("p", { style: "margin:0" }, "Press a hidden word to see what it may be."));
    return;
  }
  const [p, before] = [found.p[chosen], found.before[chosen]];
  const order = [...p.keys()].sort((a, b) => p[b] - p[a] || before[b] - before[a]);
  const rows = order.slice(0, ROWS).filter((v) => p[v] > 0 || before[v] > 0);
  const grid = `display:grid;grid-template-columns:${longest}ch 1fr 3.2em 4.2em;gap:0 0.5em;line-height:1.6`;
  const cells = [kit.el("span"), kit.el("b", {}, "both sides"), kit.el("span")];
  cells.push(kit.el("span", { style: "text-align:right;opacity:0.75" }, "left only"));
  for (const v of rows) {
    const bar = `background:${kit.heat(1)};width:${(100 * p[v]).toFixed(2)}%;height:0.9em;margin-top:0.35em`;
    cells.push(
      kit.el("span", {}, words[v]),
      kit.el("span", { style: bar }),
      kit.el("span", { style: "text-align:right" }, kit.percent(p[v])),
      kit.el("span", { style: "text-align:right;opacity:0.75" }, kit.percent(before[v]))
    );
  }
  const title = `Word ${chosen + 1} may be (press it again to reveal it):`;
  list.replaceChildren(kit.el("div", {}, title), kit.el("div", { style: grid }, ...cells));
}

const every = all.filter((i) => i % 2 === 0);
const bar = kit.row(
  several("Reveal all", []),
  several("Every second", every),
  several("Hide all", all),
  several("Start again", data.hidden, first)
);
// the longest summary, unseen, keeps the place of all
const longestSaid = kit.el("p", { style: "margin:0" }, summary(L, 0, 99, 99));
const place = kit.el("div", { style: "line-height:1.6;margin:0.3em 0" }, kit.frames([longestSaid, said], 1));
draw();
root.append(shown, bar, kit.legend(), place, list);
