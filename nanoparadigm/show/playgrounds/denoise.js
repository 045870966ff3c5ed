// A text is written by the exact posterior, one word or several in a call, in the reader's order.
// data: words, kinds (letters of their classes: d determiner, n noun, v verb), length, slip, given
// ([position, word] of what is seen first); and the automaton: arrows (rows of [state, word, p, next]),
// after (state -> [word, next] where a mistake moves the listener), wrong (state -> a row of
// reasons), reasons (rows of one letter a word), names (letter -> kind of mistake).
const L = data.length, V = data.words.length, S = data.wrong.length, HIDDEN = -1;

// ------------------------------------------------------------------ the language, with rare slips
const says = new Float64Array(S * V).fill(data.slip / V); // p(word | state)
const next = new Int32Array(S * V); // the state after a word
const wrong = new Uint8Array(S * V).fill(1); // the grammar forbids it
for (let s = 0; s < S; s++) {
  next.fill(s, s * V, (s + 1) * V);
  for (const [v, to] of data.after[s]) next[s * V + v] = to;
}
for (const [s, v, p, to] of data.arrows) {
  says[s * V + v] += (1 - data.slip) * p;
  next[s * V + v] = to;
  wrong[s * V + v] = 0;
}

// forward-backward: p(word i | what is seen) for every hidden word i, null for the others
function posterior(text) {
  const forward = [new Float64Array(S)];
  forward[0][0] = 1;
  const words = (i) => (text[i] === HIDDEN ? [0, V] : [text[i], text[i] + 1]);
  const scaled = (row) => {
    let most = 1e-300;
    for (const x of row) if (x > most) most = x;
    return row.map((x) => x / most);
  };
  for (let i = 0; i < L; i++) {
    const from = forward[i], to = new Float64Array(S), [first, last] = words(i);
    for (let s = 0; s < S; s++) {
      if (from[s] === 0) continue;
      for (let a = s * V + first; a < s * V + last; a++) to[next[a]] += from[s] * says[a];
    }
    forward.push(scaled(to));
  }
  const found = new Array(L).fill(null);
  let backward = new Float64Array(S).fill(1);
  for (let i = L - 1; i >= 0; i--) {
    const to = new Float64Array(S), p = new Float64Array(V), [first, last] = words(i);
    for (let s = 0; s < S; s++) {
      const here = forward[i][s];
      for (let v = first, a = s * V + first; v < last; v++, a++) {
        const onward = says[a] * backward[next[a]];
        to[s] += onward;
        p[v] += here * onward;
      }
    }
    if (text[i] === HIDDEN) {
      const sum = p.reduce((x, y) => x + y, 0);
      found[i] = p.map((x) => x / sum);
    }
    backward = scaled(to);
  }
  return found;
}

// the fewest mistakes that any text which agrees with what is seen must have
function fewest(text) {
  let cost = new Float64Array(S).fill(Infinity);
  cost[0] = 0;
  for (const seen of text) {
    const after = new Float64Array(S).fill(Infinity);
    for (let s = 0; s < S; s++) {
      if (cost[s] === Infinity) continue;
      const [first, last] = seen === HIDDEN ? [0, V] : [seen, seen + 1];
      for (let a = s * V + first; a < s * V + last; a++)
        after[next[a]] = Math.min(after[next[a]], cost[s] + wrong[a]);
    }
    cost = after;
  }
  return Math.min(...cost);
}

// the mistakes of a whole text: [position, kind, words back to the word that forbids it]
function mistakes(text) {
  const found = [], subjects = [];
  let state = 0, topic = 0;
  text.forEach((v, i) => {
    const kind = wrong[state * V + v] ? data.names[data.reasons[data.wrong[state]][v]] : null;
    const waiting = subjects.length ? subjects[subjects.length - 1] : 0;
    const back = { agreement: waiting, topic, echo: 0 };
    if (kind) found.push([i, kind, i - (kind in back ? back[kind] : i - 1)]);
    state = next[state * V + v];
    if (kind === "order") return;
    if (data.kinds[v] === "d") subjects.push(i);
    else if (data.kinds[v] === "v") subjects.pop();
    else if (data.kinds[v] === "n" && subjects.length === 1) topic = i;
  });
  return found;
}

// n hidden words at random, each drawn from its own distribution, blind to the others of the call
function reveal(text, n, random, p) {
  const hidden = text.map((v, i) => (v === HIDDEN ? i : -1)).filter((i) => i >= 0);
  for (let i = hidden.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [hidden[i], hidden[j]] = [hidden[j], hidden[i]];
  }
  return draw(text, hidden.slice(0, n), random, p);
}

function draw(text, places, random, p = posterior(text)) {
  const after = text.slice();
  for (const i of places) after[i] = kit.choose(p[i], random);
  return { text: after, sure: places.map((i) => [i, p[i][after[i]]]) };
}

// ------------------------------------------------------------------ what the reader sees
const SIZES = [1, 2, 4, 8, 16, 32];
const random = kit.random(data.seed || 1);
const tally = new Map(); // words in a call -> [texts, mistakes]
let text, sure, calls, size = 0, sizes;

const cells = Array.from({ length: L }, (_, i) => {
  const style =
    "font:inherit;color:inherit;min-width:0;height:2em;padding:0;border-radius:0.3em;" +
    "border:1px solid transparent;overflow:hidden";
  const tell = () => describe(i);
  return kit.el("button", { type: "button", style, onclick: () => pick(i), onfocus: tell, onmouseenter: tell });
});
const grid = kit.el("div", {
  style:
    "display:grid;grid-template-columns:repeat(auto-fill,minmax(max(4.4em,11%),1fr));gap:0.25em;" +
    "font-family:monospace;max-width:44em",
}, ...cells);
const lines = (...children) => {
  const made = kit.el("div", { style: "line-height:1.5" });
  for (const child of children) made.append(child, kit.el("br"));
  return made;
};
// room for the longest that may come, below what is there
const roomy = (longest, live) => kit.frames([longest, live], 1);
const behind = lines(), list = lines();
const status = kit.el("output", { style: "display:block;line-height:1.5", "aria-live": "polite" });
const HELP = "Point at a word, or move to it with the Tab key, to see what may stand there; press it to draw one.";
const bad = (word, i, kind, back) =>
  `“${word}” (word ${i + 1}) breaks ${kind}: the word that forbids it is ${back} back.`;
const label = (n) => (n === 1 ? "1 word" : n < L ? `${n} words` : "all words");
const range = kit.range("Words revealed in one call", { min: 0, max: SIZES.length - 1, value: 0 },
  (k) => (size = k), (k) => label(SIZES[k]));

function told(counts) {
  const parts = [...counts].sort((a, b) => a[0] - b[0]).map(([n, [texts, all]]) =>
    `${label(n)} ${(all / texts).toFixed(1)} (${texts} ${texts === 1 ? "text" : "texts"})`);
  return [kit.el("b", {}, "Mistakes a text so far, by words in a call: "), parts.join(" · ")];
}

let known = null; // the posterior of what stands there
function show() {
  known = posterior(text);
  const whole = !text.includes(HIDDEN);
  const found = new Map(whole ? mistakes(text).map((m) => [m[0], m]) : []);
  cells.forEach((cell, i) => {
    const hidden = text[i] === HIDDEN;
    const share = hidden ? Math.max(...known[i]) : sure[i];
    cell.textContent = hidden ? "____" : data.words[text[i]];
    cell.style.background = share == null ? "none" : kit.heat(share);
    cell.style.borderColor = hidden ? "#808080" : "transparent";
    cell.style.borderStyle = hidden ? "dashed" : "solid";
    cell.style.cursor = hidden ? "pointer" : "default";
    cell.style.textDecoration = found.has(i) ? "underline wavy 2px" : "none";
    cell.style.fontWeight = found.has(i) ? "bold" : "normal";
    const what = hidden ? "hidden: reveal it" : data.words[text[i]] + (found.has(i) ? `, a mistake of ${found.get(i)[1]}` : "");
    cell.setAttribute("aria-label", `word ${i + 1}, ${what}`);
  });
  const left = text.filter((v) => v === HIDDEN).length, least = whole ? found.size : fewest(text);
  const fits = least === 0
    ? whole ? "A text of the language, without a mistake." : "A text of the language still fits."
    : whole ? `${least} ${least === 1 ? "mistake" : "mistakes"}, underlined.`
      : `No text of the language fits any more: at least ${least} ${least === 1 ? "mistake" : "mistakes"}.`;
  status.textContent = `${calls} ${calls === 1 ? "call" : "calls"}, ${left} hidden. ${fits}`;
  list.textContent = "";
  for (const [i, kind, back] of [...found.values()].slice(0, 3))
    list.append(bad(data.words[text[i]], i, kind, back), kit.el("br"));
  if (found.size > 3) list.append(`… and ${found.size - 3} more.`, kit.el("br"));
  if (tally.size) list.append(...told(tally));
}

function describe(i) {
  if (text[i] !== HIDDEN) {
    behind.textContent = sure[i] == null
      ? `Word ${i + 1}, “${data.words[text[i]]}”, was given.`
      : `Word ${i + 1}, “${data.words[text[i]]}”, had probability ${sure[i].toFixed(2)} when it was drawn.`;
    return;
  }
  const best = [...known[i]].map((p, v) => [p, v]).sort((a, b) => b[0] - a[0]).slice(0, 5);
  const words = best.filter(([p]) => p >= 0.005).map(([p, v]) => `${data.words[v]} ${p.toFixed(2)}`);
  behind.textContent = `Behind word ${i + 1}: ${words.join(" · ")}${best[4][0] >= 0.005 ? " …" : ""}`;
}

function advance(drawn, n) {
  text = drawn.text;
  for (const [i, p] of drawn.sure) sure[i] = p;
  calls++;
  sizes.add(n);
  if (!text.includes(HIDDEN) && sizes.size === 1 && calls >= L / n) count(n, mistakes(text).length);
  show();
}

function count(n, found) {
  const [texts, all] = tally.get(n) || [0, 0];
  tally.set(n, [texts + 1, all + found]);
}

function pick(i) {
  if (text[i] === HIDDEN) advance(draw(text, [i], random, known), 1);
  describe(i);
}

function begin(given) {
  text = new Array(L).fill(HIDDEN);
  sure = new Array(L).fill(null);
  calls = 0;
  sizes = new Set();
  for (const [i, v] of given) text[i] = v;
  behind.textContent = HELP;
  show();
}

function whole(n) {
  let blank = new Array(L).fill(HIDDEN);
  while (blank.includes(HIDDEN)) blank = reveal(blank, n, random).text;
  count(n, mistakes(blank).length);
}

const some = () => text.includes(HIDDEN) && advance(reveal(text, SIZES[size], random, known), SIZES[size]);
const buttons = [
  kit.button("Reveal", some),
  kit.button("To the end", () => { while (text.includes(HIDDEN)) some(); }),
  kit.button("Hide all", () => begin([])),
  kit.button("Write 10 texts", () => { for (let k = 0; k < 10; k++) whole(SIZES[size]); show(); }),
];
const most = new Map(SIZES.map((n) => [n, [100, 2000]]));
const longest = lines(...[0, 1, 2].map(() => bad("crabs", 30, "agreement", 30)), "… and 29 more.");
longest.append(...told(most));
root.append(
  grid, kit.el("div", { style: "margin-top:0.4em" }, kit.legend()), roomy(lines(HELP), behind), range,
  kit.el("div", { style: "display:flex;flex-wrap:wrap;gap:0.4em;margin:0.4em 0" }, ...buttons),
  roomy(lines(`${L} calls, ${L} hidden. No text of the language fits any more: at least ${L} mistakes.`), status),
  roomy(longest, list),
);
begin(data.given);
