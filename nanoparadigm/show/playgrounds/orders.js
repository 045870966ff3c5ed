// Three masked words, to be revealed in any order: the chain rule's terms, and the six totals.
// data: words, start (a text), exact and network: p(word at i = v | z) as [z][i][v], where z counts
// the 64 noisy texts as numbers in base 4 and the digit 3 is the mask.
const L = 3;
const MASK = data.words.length;
const ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
const PLACES = ["1st", "2nd", "3rd"];
let denoiser = "exact";
let text = [...data.start];
let revealed = []; // positions, in the order in which they were clicked
const tried = new Set([0, 5]); // left to right and right to left: one more, and the reader begins

const nats = (value) => value.toFixed(2);
const at = (name, seen) =>
  data[name][text.reduce((z, word, i) => 4 * z + (seen.includes(i) ? word : MASK), 0)];
const terms = (order, name = denoiser) =>
  order.map((i, n) => -Math.log(at(name, order.slice(0, n))[i][text[i]]));
const total = (...given) => terms(...given).reduce((sum, term) => sum + term, 0);

// ------------------------------------------------------------------------------------- elements
const quiet = "background:transparent;color:inherit;border:1px solid currentColor;border-radius:4px";
const button = (label, act, style) =>
  kit.el("button", { type: "button", style: `${quiet};font:inherit;${style}`, onclick: act }, label);
const line = (style) => kit.el("div", { style });

const choices = { exact: "Bayes-optimal", network: "a network" };
const switches = Object.entries(choices).map(([name, label]) =>
  button(label, () => { denoiser = name; draw(); }, "padding:.3em .6em;margin:0 .4em .4em 0"));
const select = kit.el("select", {
  style: `${quiet};font:inherit;padding:.2em;margin-right:.8em`,
  onchange: () => { text = [...select.value].map((w) => data.words.indexOf(w)); again(); },
});
for (let n = 0; n < MASK ** L; n++) {
  const word = (i) => data.words[Math.floor(n / MASK ** (L - 1 - i)) % MASK];
  const name = word(0) + word(1) + word(2);
  const chosen = data.start.every((v, i) => data.words[v] === word(i));
  const ground = "color:black;background:white";
  select.append(kit.el("option", { value: name, selected: chosen, style: ground },
    [...name].join(" ")));
}

const cells = PLACES.map((place, i) => {
  const face = line("font-size:1.5em;line-height:1.5");
  const bars = data.words.map(() => line("padding:0 .4em;margin:1px 0;text-align:left"));
  const note = line("min-height:1.4em;font-weight:600");
  const box = button("", () => reveal(i), "flex:1;min-width:0;padding:.3em;cursor:pointer");
  box.append(face, ...bars, note);
  return { place, box, face, bars, note };
});
const sum = kit.el("div", { "aria-live": "polite", style: "line-height:1.5;min-height:3em;margin:.5em 0" });
const rows = ORDERS.map((order) => {
  const name = kit.el("span", { style: "flex:0 0 7.5em" }, order.map((i) => PLACES[i]).join(", "));
  const bar = line("height:.9em;background:rgba(0,114,178,.6);width:0");
  const track = kit.el("span", { style: "flex:1;position:relative" }, bar);
  const number = kit.el("span", { style: "flex:0 0 3em;text-align:right" });
  const row = kit.el("div", { style: "display:flex;align-items:center;line-height:1.6" }, name,
    track, number);
  return { row, bar, number };
});
const mean = line("line-height:1.5;min-height:6em;margin-top:.5em");
root.append(
  kit.el("div", {}, "Denoiser: ", ...switches),
  kit.el("div", { style: "margin-bottom:.6em" },
    kit.el("label", {}, "Text: ", select),
    button("Mask all again", again, "padding:.2em .6em;margin-right:.4em"),
    button("Try all six orders", everyOrder, "padding:.2em .6em")),
  kit.legend(),
  kit.el("div", { style: "display:flex;gap:.5em;margin-top:.3em" }, ...cells.map((c) => c.box)),
  sum,
  kit.el("div", { style: "font-weight:600" }, "The order, and the sum of its three terms in nats"),
  ...rows.map((row) => row.row),
  mean,
);

// -------------------------------------------------------------------------------------- actions
function reveal(i) {
  if (revealed.includes(i)) return;
  revealed.push(i);
  if (revealed.length === L) tried.add(ORDERS.findIndex((o) => o.join() === revealed.join()));
  draw();
}

function again() {
  revealed = [];
  draw();
}

function everyOrder() {
  ORDERS.forEach((_, n) => tried.add(n));
  draw();
}

function draw() {
  Object.keys(choices).forEach((name, n) => {
    switches[n].setAttribute("aria-pressed", name === denoiser);
    switches[n].style.fontWeight = name === denoiser ? "700" : "400";
    switches[n].style.borderWidth = name === denoiser ? "2px" : "1px";
  });
  const costs = terms(revealed);
  cells.forEach(({ place, box, face, bars, note }, i) => {
    const n = revealed.indexOf(i);
    const p = at(denoiser, n < 0 ? revealed : revealed.slice(0, n))[i];
    face.textContent = n < 0 ? "▢" : data.words[text[i]];
    bars.forEach((bar, v) => {
      bar.textContent = `${data.words[v]} ${p[v].toFixed(2)}`;
      bar.style.background = kit.heat(p[v]);
      bar.style.fontWeight = n >= 0 && v === text[i] ? "700" : "400";
    });
    note.textContent = n < 0 ? "reveal" : `${nats(costs[n])} nats`;
    const known = n < 0 ? "masked, reveal it" : `${data.words[text[i]]}, cost ${nats(costs[n])} nats`;
    box.setAttribute("aria-label", `${place} word: ${known}`);
    box.setAttribute("aria-disabled", n >= 0);
    box.style.borderStyle = n < 0 ? "dashed" : "solid";
  });
  sum.textContent = !costs.length
    ? "Click the words in any order: each costs −log of its probability."
    : `${costs.map(nats).join(" + ")}${costs.length > 1 ? ` = ${nats(total(revealed))}` : ""} nats` +
      (costs.length < L ? ", and on" : ", listed below");
  const totals = ORDERS.map((order) => total(order));
  const longest = Math.max(...totals) * 1.02;
  rows.forEach(({ row, bar, number }, n) => {
    const known = tried.has(n);
    bar.style.width = known ? `${(100 * totals[n]) / longest}%` : "0";
    number.textContent = known ? nats(totals[n]) : "–";
    row.style.fontWeight = ORDERS[n].join() === revealed.join() ? "700" : "400";
  });
  const known = totals.filter((_, n) => tried.has(n));
  const average = known.reduce((a, b) => a + b, 0) / known.length;
  const share = totals.reduce((a, b) => a + Math.exp(-b), 0) / totals.length;
  const truth = total(ORDERS[0], "exact");
  mean.textContent = known.length < ORDERS.length
    ? `Mean of the ${known.length} orders tried: ${nats(average)}. The mean of all six is the bound.`
    : `Mean of all six, the bound: ${nats(average)}. The −log p of this text in the model that ` +
      `draws its order at random: ${nats(-Math.log(share))}. In the language: ${nats(truth)}.`;
}
draw();
