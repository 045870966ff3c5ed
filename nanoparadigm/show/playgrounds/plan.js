// A plan that the reader makes: which words of the tiny language are revealed in which step.
// data: words (names of the positions), H (the joint entropy of every set of positions, whose
// number in base 2 has the first position as its highest digit), start (the step of every position,
// from 1), named (label -> plan), best and worst (by number of steps: a plan), mixed (sizes as
// "2,2,1" -> [mean over the plans of these sizes, divergence of the sampler that draws one]).
const N = data.words.length, BLUE = "#0072B2", ORANGE = "#D55E00";
let step = [...data.start];

const bit = (i) => 1 << (N - 1 - i);
const nats = (value) => Math.max(0, value).toFixed(3);
// the total correlation of the words of one step, given those seen before
function cost(seen, words) {
  let sum = 0, all = seen;
  for (const i of words) {
    sum += data.H[seen | bit(i)] - data.H[seen];
    all |= bit(i);
  }
  return sum - (data.H[all] - data.H[seen]);
}
function stepsOf(plan) { // -> [the words, their cost] of every step
  let seen = 0;
  return data.words.map((_, n) => {
    const words = plan.flatMap((s, i) => (s === n + 1 ? [i] : []));
    const paid = cost(seen, words);
    for (const i of words) seen |= bit(i);
    return [words, paid];
  });
}
const total = (plan) => stepsOf(plan).reduce((sum, [, paid]) => sum + paid, 0);

// ------------------------------------------------------------------------------------ the plan
const line = (style, ...children) => kit.el("div", { style }, ...children);
const head = line("display:flex;gap:.3em", kit.el("span", { style: "flex:0 0 3.6em" }),
  ...data.words.map((word) => kit.el("span", { style: "flex:1;text-align:center" }, word)),
  kit.el("span", { style: "flex:0 0 3.6em;text-align:right" }, "nats"));
const rows = data.words.map((_, n) => {
  const places = data.words.map((word, i) => {
    const style = "font:inherit;color:inherit;flex:1;min-width:0;padding:.15em 0;cursor:pointer;" +
      "border:1px solid #808080;border-radius:.3em";
    return kit.el("button", { type: "button", style, "aria-label": `${word} word in step ${n + 1}`,
      onclick: () => choose(step.map((s, j) => (j === i ? n + 1 : s))) });
  });
  const number = kit.el("span", { style: "flex:0 0 3.6em;text-align:right" });
  const row = line("display:flex;gap:.3em;align-items:center;margin:.15em 0",
    kit.el("span", { style: "flex:0 0 3.6em" }, `step ${n + 1}`), ...places, number);
  return { row, places, number };
});

// ---------------------------------------------------------------------------------- the scale
const most = total(data.words.map(() => 1));
const bar = line(`height:100%;background:${ORANGE};opacity:.6`);
const mark = kit.el("span", { style: `position:absolute;top:-.2em;height:1.4em;border-left:3px solid ${BLUE}` });
const scale = line("position:relative;height:1em;border:1px solid #808080;margin:.6em 0 .5em", bar, mark);
const said = kit.el("output", { style: `display:block;line-height:1.5;
  min-height:calc(6em + clamp(0px, (640px - 100vw) * 99, 4.5em))` });
const presets = Object.entries(data.named).map(([name, plan]) => kit.button(name, () => choose(plan)));
const better = kit.button("The best plan in as many steps", () => choose(data.best[used()]));
const used = () => new Set(step).size;

function choose(plan) {
  step = [...plan];
  draw();
}

function draw() {
  const parts = stepsOf(step), T = used(), mine = total(step);
  rows.forEach(({ places, number }, n) => {
    const [words, paid] = parts[n];
    number.textContent = words.length ? nats(paid) : "";
    places.forEach((place, i) => {
      const here = step[i] === n + 1;
      place.textContent = here ? "●" : "\u00a0";
      place.setAttribute("aria-pressed", here);
      place.style.background = here ? kit.heat(1) : "none";
    });
  });
  const best = total(data.best[T]), worst = total(data.worst[T]);
  bar.style.width = `${(100 * mine) / most}%`;
  mark.style.left = `${(99 * best) / most}%`;
  const sizes = parts.map(([words]) => words.length).filter(Boolean);
  const [mean, mixture] = data.mixed[sizes.join()];
  said.textContent = "";
  said.append(
    kit.el("b", null, `Your plan: ${T} step${T > 1 ? "s" : ""}, ${nats(mine)} nats from the language.`),
    ` In as many steps: best ${nats(best)} (blue mark), worst ${nats(worst)}. ` +
      `Whole bar: ${nats(most)}, all at once.`,
    kit.el("br"),
    `Positions drawn anew for every text, sizes ${sizes.join(", ")}: plans ${nats(mean)} on average, ` +
      `the sampler itself ${nats(mixture)}.`);
}

root.append(kit.row(...presets, better), head, ...rows.map(({ row }) => row), scale, said);
draw();
