// Texts that models have written, call by call. data: words, length, and samples: each a name, its
// calls (lists of [position, word, the probability it had]) and the mistakes in the end
// ([position, kind, words back to the word that forbids it]).
const L = data.length;
let sample = 0;

const cells = Array.from({ length: L }, () =>
  kit.el("span", {
    style:
      "height:1.8em;line-height:1.8em;text-align:center;border-radius:0.3em;overflow:hidden;" +
      "border:1px solid transparent",
  }));
const grid = kit.el("div", {
  style:
    "display:grid;grid-template-columns:repeat(auto-fill,minmax(max(4.4em,11%),1fr));gap:0.25em;" +
    "font-family:monospace;max-width:44em",
}, ...cells);
const list = kit.el("output", { style: "display:block;min-height:9.5em;line-height:1.5", "aria-live": "polite" });

const choices = data.samples.map(({ name }, i) => {
  const press = () => {
    sample = i;
    again();
  };
  return kit.button(name, press);
});

function show(n) {
  const { calls, mistakes } = data.samples[sample];
  const whole = n === calls.length;
  const seen = new Map(calls.slice(0, n).flat().map(([i, v, p]) => [i, [v, p]]));
  const fresh = new Set(n ? calls[n - 1].map(([i]) => i) : []);
  const bad = new Map(whole ? mistakes.map((m) => [m[0], m]) : []);
  cells.forEach((cell, i) => {
    const [v, p] = seen.get(i) || [null, 0];
    cell.textContent = v == null ? "____" : data.words[v];
    cell.style.background = v == null ? "none" : kit.heat(p);
    cell.style.borderColor = fresh.has(i) && !whole ? "currentColor" : "transparent";
    cell.style.textDecoration = bad.has(i) ? "underline wavy 2px" : "none";
    cell.style.fontWeight = bad.has(i) ? "bold" : "normal";
    cell.title = v == null ? "" : `probability ${p.toFixed(2)}`;
  });
  list.textContent = "";
  if (!whole) return;
  const count = `${mistakes.length} ${mistakes.length === 1 ? "mistake" : "mistakes"} in ${L} words`;
  list.append(mistakes.length ? `${count}, underlined.` : "No mistake.", kit.el("br"));
  for (const [i, kind, back] of mistakes.slice(0, 4))
    list.append(`“${data.words[seen.get(i)[0]]}” (word ${i + 1}): ${kind}, ${back} back.`, kit.el("br"));
  if (mistakes.length > 4) list.append(`… and ${mistakes.length - 4} more.`);
}

const range = kit.range("Calls of the network", { min: 0, max: 0 }, show, // again() says how many
  (n) => `${n} of ${data.samples[sample].calls.length}`);

function again() {
  const { calls } = data.samples[sample];
  choices.forEach((choice, i) => {
    choice.setAttribute("aria-pressed", i === sample);
    choice.style.boxShadow = i === sample ? "inset 0 0 0 2px currentColor" : "none";
  });
  range.input.max = calls.length;
  range.set(calls.length);
}

root.append(
  kit.el("div", { style: "display:flex;flex-wrap:wrap;gap:0.4em;margin-bottom:0.5em" }, ...choices),
  grid, kit.el("div", { style: "margin-top:0.4em" }, kit.legend()), range, kit.play(range), list,
);
again();
