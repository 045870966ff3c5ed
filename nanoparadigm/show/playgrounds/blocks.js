// A text appears block by block: who reads whom, and what is computed, for a block length S.
// data: words, length, runs: {"S,m": {calls: [[[position, word], ...], ...], wrong: [positions]}},
// m words a call; lengths (the S), S, m and call, to start from.
const BLUE = "#0072B2", ORANGE = "#D55E00", GREY = "#808080", RED = "#d1242f";
const L = data.length, MASK = "▢";
let S = data.S, m = data.m, call = data.call, row = null; // row: the position asked about, or none
const log2 = (n) => Math.round(Math.log2(n));

// ------------------------------------------------------------------------ the state after a call
const block = (i) => Math.floor(i / S);
const run = () => data.runs[`${S},${m}`];
const total = () => run().calls.length;
function state() {
  const text = new Array(L).fill(null), fresh = new Set();
  run().calls.slice(0, call).forEach((drawn, n) => drawn.forEach(([i, v]) => {
    text[i] = v;
    if (n === call - 1) fresh.add(i);
  }));
  // the block that the last call worked on; before the first call, the one it will
  const now = call ? block(run().calls[call - 1][0][0]) : 0;
  return { text, fresh, now };
}
// positions computed until now: with a cache, and where the text so far is read again in each call
function costs() {
  let kept = 0, anew = 0;
  run().calls.slice(0, call).forEach((drawn, n) => {
    const b = block(drawn[0][0]), first = !n || block(run().calls[n - 1][0][0]) !== b;
    kept += S * (first && b ? 2 : 1); // the block before, finished now, is read once more and kept
    anew += S * (b + 1);
  });
  return [kept, anew];
}

// --------------------------------------------------------------------------------- the elements
const tokens = Array.from({ length: L }, (_, i) => {
  const style = "font:inherit;color:inherit;border-radius:.3em;padding:.1em 0;min-width:0;cursor:pointer;line-height:1.5";
  return kit.el("button", { type: "button", style, onclick: () => { row = row === i ? null : i; show(); } });
});
const text = kit.el("div", {
  style: "display:grid;grid-template-columns:repeat(auto-fill,minmax(4.2em,1fr));gap:.3em;max-width:44em;"
    + "font-family:monospace;font-size:.95em;min-height:calc(4.2em + clamp(0px,(640px - 100vw)*99,4.4em))",
}, ...tokens);

const SIDE = 14, EDGE = 22, W = EDGE + L * SIDE + 2;
const cells = [], grid = kit.svg("svg", {
  viewBox: `0 0 ${W} ${W}`, style: "flex:0 1 290px;width:290px;min-width:0;max-width:100%", role: "img",
});
for (let i = 0; i < L; i++)
  for (let j = 0; j < L; j++) {
    const cell = kit.svg("rect", { x: EDGE + j * SIDE, y: EDGE + i * SIDE, width: SIDE - 1, height: SIDE - 1,
      stroke: GREY, "stroke-width": 0.4 });
    cell.addEventListener("click", () => { row = row === i ? null : i; show(); });
    cells.push(cell);
    grid.append(cell);
  }
const small = (x, y, words, more = {}) => kit.svg("text",
  { x, y, "font-size": 11, fill: "currentColor", "text-anchor": "middle", ...more }, words);
for (const i of [0, L - 1]) {
  grid.append(small(EDGE + (i + 0.5) * SIDE, EDGE - 4, `${i + 1}`));
  grid.append(small(EDGE - 10, EDGE + (i + 0.5) * SIDE + 4, `${i + 1}`));
}
const frame = kit.svg("rect", { fill: "none", stroke: "currentColor", "stroke-width": 2.5, x: EDGE - 1, width: L * SIDE + 1 });
grid.append(frame);

const said = kit.el("output", { style: "display:block;line-height:1.5;flex:1 1 15em;min-width:0;min-height:15em" });

// --------------------------------------------------------------------------- what the reader moves
const lengths = kit.range("Block length S", { min: 0, max: data.lengths.length - 1, value: data.lengths.indexOf(S) },
  (n) => { S = data.lengths[n]; again(); }, (n) => `${data.lengths[n]} of ${L}`);
const together = kit.range("Words revealed in one call", { min: 0, max: log2(L), value: log2(m) },
  (n) => { m = Math.min(2 ** n, S); again(); }, (n) => (2 ** n > S ? `${S}, all of the block` : `${2 ** n}`));
const calls = kit.range("Calls of the network", { min: 0, max: total(), value: call },
  (n) => { call = Math.min(n, total()); show(); }, (n) => `${n} of ${total()}`);
const player = kit.play(calls, 600);
let before = total();
function again() {
  if (player.textContent === "Pause") player.click();
  m = Math.min(2 ** Number(together.input.value), S);
  call = Math.round((call / before) * total()); // stay at the same part of the text
  before = total();
  calls.input.max = before;
  calls.set(call);
}

// -------------------------------------------------------------------------------------------- show
function show() {
  const { text: words, fresh, now } = state(), wrong = new Set(call === total() ? run().wrong : []);
  tokens.forEach((token, i) => {
    const shown = words[i] !== null, b = block(i);
    token.textContent = shown ? data.words[words[i]] : b > now ? "·" : MASK;
    const colour = b < now ? BLUE : b === now ? ORANGE : GREY;
    token.style.border = `1.5px ${b > now ? "dotted" : "solid"} ${colour}`;
    token.style.boxShadow = row === i ? "0 0 0 2px currentColor" : "none";
    token.style.background = fresh.has(i) ? "rgba(213,94,0,.3)" : "transparent";
    token.style.textDecoration = wrong.has(i) ? `underline wavy ${RED}` : "none";
    const what = shown ? data.words[words[i]] : b > now ? "not begun" : "mask";
    token.setAttribute("aria-label", `position ${i + 1}: ${what}${wrong.has(i) ? ", a mistake" : ""}`);
    token.setAttribute("aria-pressed", String(row === i));
  });
  cells.forEach((cell, n) => {
    const i = Math.floor(n / L), j = n % L, reads = block(j) <= block(i);
    const here = row === null ? block(i) === now : i === row;
    cell.setAttribute("fill", !reads ? "transparent" : block(j) < block(i) ? BLUE : ORANGE);
    cell.setAttribute("fill-opacity", here ? 0.85 : 0.25);
  });
  frame.setAttribute("y", EDGE + (row === null ? now * S : row) * SIDE - 1);
  frame.setAttribute("height", (row === null ? S : 1) * SIDE + 1);
  const [kept, anew] = costs(), end = call === total();
  const asked = row === null ? now * S : row, b = block(asked), size = `${S === 1 ? "its own mask" : `the ${S} positions of its block`}`;
  said.textContent = "";
  const line = (...parts) => said.append(kit.el("div", { style: "margin-bottom:.5em" }, ...parts));
  const strong = (words) => kit.el("b", {}, words);
  line(row === null ? `Framed: the block being written. Each of its words reads ` : `Word ${row + 1} reads `,
    strong(size), b ? ` and the ${b * S} finished words before it, which never change.` : "; nothing stands before it.");
  line(`Positions computed: `, strong(`${kept} with a cache`), `, ${anew} without. `,
    `A GPT with a cache: ${words.filter((v) => v !== null).length}.`);
  if (end) {
    const n = run().wrong.length;
    line(`Whole: ${total()} calls, ${n ? `${n} mistake${n === 1 ? "" : "s"}, underlined` : "no mistake"}. `,
      m > 1 ? "The words of one call did not see each other." : "Each word was drawn given all that were there.");
  } else line(S === 1 ? "S = 1: the chain rule, word by word." : S === L ? `S = ${L}: masked diffusion of the whole text.`
    : "Left to right over blocks, any order inside.");
  grid.setAttribute("aria-label", `Who reads whom, ${L} by ${L}: a word reads its own block and all blocks before. Block length ${S}.`);
}

const key = (colour, words) => kit.el("span", { style: "margin-right:1em;white-space:nowrap" },
  kit.el("span", { style: `display:inline-block;width:.8em;height:.8em;background:${colour};margin-right:.35em` }), words);
root.append(
  kit.el("div", { style: "display:flex;flex-wrap:wrap;gap:0 2em" }, lengths, together),
  kit.el("div", { style: "display:flex;flex-wrap:wrap;gap:0 1em;align-items:end;margin:.3em 0 .6em" }, player, calls),
  text,
  kit.el("div", { style: "display:flex;flex-wrap:wrap;gap:1em;margin-top:.8em;align-items:flex-start" }, grid, said),
  kit.el("div", { style: "font-size:.9em;line-height:1.6" },
    key(ORANGE, "read, and computed again in every call"), key(BLUE, "read from the cache"),
    "Rows: the word predicted. Press a word or a row to see what it reads."),
);
show();
