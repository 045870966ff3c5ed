// A text is written by the exact posterior, from masks or from random words, and the reader may break
// words on the way. data: words; arrows (rows of [state, word, p, next]); length; steps; seed; kind
// (which of KINDS is shown first); at (the step shown first); broken ([step, position, word] of words
// that are broken at first).
const V = data.words.length, L = data.length, T = data.steps;
const S = 1 + Math.max(...data.arrows.flatMap(([s, , , next]) => [s, next]));
const KINDS = ["masks", "random words: wait, and jump once", "random words: noise run backwards"];
let kind = data.kind, seed = data.seed, broken = data.broken.map((row) => [...row]);

// p(x_i = v | all tokens but z_i) of each position, by forward-backward; word V is the mask
function leaveOneOut(z, doubt) {
  const evidence = z.map((seen) => Float64Array.from({ length: V }, (_, v) =>
    seen === V ? 1 : (v === seen ? 1 : 0) + doubt));
  const scaled = (row) => {
    const sum = row.reduce((a, b) => a + b, 0);
    return row.map((x) => x / sum);
  };
  const forward = [new Float64Array(S)];
  forward[0][0] = 1;
  for (let i = 0; i < L; i++) {
    const to = new Float64Array(S);
    for (const [s, v, p, next] of data.arrows) to[next] += forward[i][s] * p * evidence[i][v];
    forward.push(scaled(to));
  }
  const found = new Array(L);
  let backward = new Float64Array(S).fill(1);
  for (let i = L - 1; i >= 0; i--) {
    const says = new Float64Array(V), to = new Float64Array(S);
    for (const [s, v, p, next] of data.arrows) {
      says[v] += forward[i][s] * p * backward[next];
      to[s] += p * evidence[i][v] * backward[next];
    }
    found[i] = scaled(says);
    backward = scaled(to);
  }
  return found;
}
const doubtAt = (alpha) => (kind === 0 ? 1e-6 : (1 - alpha) / Math.max(alpha, 1e-9) / V);
// how sure the posterior is of the token that stands there
function sureOf(z, alpha, says) {
  const doubt = doubtAt(alpha);
  return z.map((seen, i) => (seen === V ? null : (says[i][seen] * (1 + doubt)) / (says[i][seen] + doubt)));
}

// one step from alpha = a to b
function step(z, a, b, says, random) {
  const r = a / b, doubt = doubtAt(a);
  return z.map((seen, i) => {
    const u = random(), draw = random(); // two numbers for every token, whatever happens to it
    const pick = (weights) => kit.choose(weights, () => draw);
    if (kind === 2)
      return pick(says[i].map((p, v) => (b * p + (1 - b) / V) * ((v === seen ? r : 0) + (1 - r) / V)));
    if ((kind === 0 && seen !== V) || u >= (b - a) / (1 - a)) return seen;
    return pick(kind === 0 ? says[i] : says[i].map((p, v) => p * ((v === seen ? 1 : 0) + doubt)));
  });
}

// the whole way: the text after each step, how sure of it, how often words have jumped so far
let way = [];
function write() {
  const random = kit.random(seed), start = [], jumps = [0];
  for (let i = 0; i < L; i++) start.push(Math.floor(random() * V));
  let z = kind === 0 ? start.map(() => V) : start;
  way = [];
  for (let k = 0; k <= T; k++) {
    const marks = new Set();
    for (const [at, i, word] of broken)
      if (at === k && (kind !== 0 || z[i] !== V)) {
        z = z.map((seen, j) => (j === i ? word : seen));
        marks.add(i);
      }
    const says = leaveOneOut(z, doubtAt(k / T));
    const last = way[k - 1];
    const fresh = new Set(last ? z.map((v, i) => (v !== last.z[i] && !marks.has(i) ? i : -1)) : []);
    fresh.delete(-1);
    if (last) for (const i of last.marks) if (z[i] === last.z[i]) marks.add(i);
    if (last) jumps.push(jumps[k - 1] + fresh.size);
    way.push({ z, marks, fresh, sure: sureOf(z, k / T, says), jumps: jumps[k] });
    if (k < T) z = step(z, k / T, (k + 1) / T, says, kit.random(seed * 1000 + k));
  }
}
// the first word that the language forbids where it stands, or -1
function forbidden(z) {
  let state = 0;
  for (let i = 0; i < L; i++) {
    const arrow = data.arrows.find(([s, v]) => s === state && v === z[i]);
    if (!arrow) return i;
    state = arrow[3];
  }
  return -1;
}

// --------------------------------------------------------------------- what the reader sees
let now = data.at;
const cells = Array.from({ length: L }, (_, i) => kit.el("button", {
  type: "button", onclick: () => spoil(i),
  style: "font:inherit;color:inherit;min-width:0;height:2em;padding:0;border-radius:0.3em;cursor:pointer;"
    + "border:2px solid transparent;overflow:hidden;background:none",
}));
const grid = kit.el("div", {
  style: "display:grid;grid-template-columns:repeat(auto-fill,minmax(max(4.4em,11%),1fr));gap:0.25em;"
    + "font-family:monospace;max-width:44em",
}, ...cells);
const status = kit.el("output", { style: "display:block;line-height:1.5", "aria-live": "polite" });
const longest = kit.el("div", { style: "line-height:1.5" },
  "α = 0.97. So far 888 changes of a word. “crabs” (word 30) cannot stand there. 32 of the words that you broke are still there.");
const range = kit.range("Step", { min: 0, max: T, value: now }, (k) => { now = k; show(); },
  (k) => `${k} of ${T}`);
const group = `flow-${Math.random()}`; // two views on a page are two groups
const choices = KINDS.map((name, k) => {
  const input = kit.el("input", { type: "radio", name: group, checked: k === kind,
    autocomplete: "off", style: "margin:0 0.4em 0 0" });
  input.addEventListener("change", () => {
    kind = k;
    choices.forEach((choice, other) => (choice.input.checked = other === k));
    write();
    show();
  });
  const label = kit.el("label", { style: "display:block;line-height:1.7;cursor:pointer" }, input, name);
  label.input = input;
  return label;
});

// a word becomes another one, and what follows is written anew
function spoil(i) {
  const { z } = way[now];
  if (z[i] === V) return;
  broken = broken.filter(([at, j]) => at < now || (at === now && j !== i));
  const word = (z[i] + 1 + Math.floor(kit.random(seed + 97 * i + now)() * (V - 1))) % V;
  broken.push([now, i, word]);
  write();
  show();
}

function show() {
  const { z, marks, fresh, sure, jumps } = way[now];
  const bad = now === T ? forbidden(z) : null;
  cells.forEach((cell, i) => {
    const hidden = z[i] === V;
    cell.textContent = hidden ? "____" : data.words[z[i]];
    cell.style.background = hidden ? "none" : kit.heat(sure[i]);
    cell.style.borderColor = marks.has(i) ? "currentColor" : "transparent";
    cell.style.fontWeight = fresh.has(i) ? "bold" : "normal";
    cell.style.textDecoration = bad === i ? "underline wavy 2px" : "none";
    const what = hidden ? "a mask" : `${data.words[z[i]]}, sure ${sure[i].toFixed(2)}${marks.has(i) ? ", broken by you" : ""}`;
    cell.setAttribute("aria-label", `word ${i + 1}: ${what}`);
  });
  const made = broken.filter(([at, i]) => at <= now && way[at].marks.has(i)).length, kept = marks.size;
  const parts = [`α = ${(now / T).toFixed(2)}. So far ${jumps} ${jumps === 1 ? "change" : "changes"} of a word.`];
  if (bad !== null) parts.push(bad < 0 ? "A text of the language."
    : `“${data.words[z[bad]]}” (word ${bad + 1}) cannot stand there.`);
  if (made) parts.push(kept ? `${kept} of the words that you broke ${kept === 1 ? "is" : "are"} still there.`
    : "None of the words that you broke is still there.");
  status.textContent = parts.join(" ");
}

root.append(
  ...choices, grid, kit.el("div", { style: "margin-top:0.4em" }, kit.legend("doubted", "sure")), range,
  kit.row(kit.play(range, 250),
    kit.button("Mend all", () => { broken = []; write(); show(); }),
    kit.button("Another text", () => { seed += 1; broken = []; write(); show(); })),
  kit.frames([longest, status], 1),
);
write();
show();
