// A text is written by the exact posterior, one word or several in a call, in the reader's order.
// data: what `languageOf` reads; length; given ([position, word] of what is seen first); and seed.
const L = data.length, HIDDEN = data.words.length;
const { posterior, fewest, mistakes } = languageOf(data);

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
