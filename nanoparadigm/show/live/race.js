// <nano-race>: models write the same text in the page, side by side, each in its own way.
//
//   <script type="module" src="live/race.js"></script>
//   <nano-race given="la some _ _ a hen" steps="32" seed="1">what stands here without scripts</nano-race>
//
// Attributes, all optional: set (language or shakespeare), models (names, with spaces between), given
// (the words that stand, _ for a hidden one), steps, temperature, seed, clock (compute or calls),
// play (to begin when it is scrolled into view).
import { kit } from "./kit.js";
import { languageOf } from "./language.js";

const { el } = kit;
const SECONDS = 12; // how long a race is shown, if the models keep up
const STYLE = `
  :host { display: block; position: relative; font: inherit; font-size: .95rem; color: inherit }
  [hidden] { display: none !important }
  button, input, select { font: inherit; color: inherit }
  button, select, input[type=text], input[type=number] { background: none; border: 1px solid #808080;
    border-radius: .3em; padding: .15em .6em }
  select option { color: CanvasText; background: Canvas }
  button { cursor: pointer }
  button.main { font-weight: 600; min-width: 5em; border-width: 2px }
  :focus-visible { outline: 3px solid #0072b2; outline-offset: 1px }
  .bar { display: flex; flex-wrap: wrap; gap: .4em 1em; align-items: center; margin: .5em 0 }
  .bar label { display: inline-flex; gap: .4em; align-items: center; font-size: .9em }
  .bar input[type=text] { flex: 1 1 14em; min-width: 8em }
  .bar input[type=number] { width: 5em }
  .grow { flex: 1 1 20em }
  .panes { display: grid; gap: .6em; grid-template-columns: repeat(auto-fit, minmax(min(100%, 16.5em), 1fr)) }
  section { border: 1.5px solid rgb(var(--hue)); border-radius: .5em; padding: .3em .6em; min-width: 0 }
  .name { font-weight: 600 }
  .name small { font-weight: 400; font-size: .85em; opacity: .85 }
  .name span { color: rgb(var(--hue)) }
  .text, .given { font: .86em/1.6 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; margin: .3em 0 }
  .words { display: grid; grid-template-columns: repeat(auto-fill, minmax(3.5em, 1fr)); justify-items: start }
  .chars { white-space: pre-wrap; overflow-wrap: anywhere; min-height: 13em }
  .text span, .given button { font: inherit; border: 0; border-radius: .2em; padding: 0 .12em; margin: 0;
    background: rgb(var(--hue, 128 128 128) / calc(var(--p, 0) * .55)) }
  .given button { border-bottom: 1px dashed #808080; border-radius: 0 }
  .text span { cursor: default }
  .chars span { padding: 0 }
  .hidden { opacity: .75 }
  .text .known { font-style: italic }
  .text .wrong { text-decoration: underline wavy #d1242f 2px; text-underline-offset: .2em; font-weight: 600 }
  .small { font-size: .85em; font-variant-numeric: tabular-nums; min-height: 1.5em }
  .said { line-height: 1.35; min-height: 2.7em }
  .heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
  details { font-size: .9em } details p { margin: .3em 0 }
  summary { cursor: pointer }
`;
const DEFAULTS = { set: "language", given: "", steps: 32, temperature: 1, seed: 1, clock: "compute" };
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// where a file is: beside this module, or in the page itself, which then says so
const place = (path) => globalThis.raceFiles?.[path] ?? new URL(path, import.meta.url);

async function fetched(path, kind) {
  const answer = await fetch(place(path));
  if (!answer.ok) throw new Error(`${path} did not come (${answer.status}).`);
  return answer[kind]();
}

let races = 0; // begun so far
let made; // the facts of the site: a promise of live.json
const facts = () => (made ||= fetched("./live.json", "json"));

class NanoRace extends HTMLElement {
  async connectedCallback() {
    if (this.shadowRoot) return;
    this.attachShadow({ mode: "open" });
    try {
      this.facts = await facts();
    } catch {
      this.shadowRoot.append(el("slot")); // half of the site is missing: what stands inside stays
      return;
    }
    this.truth = languageOf(this.facts.language);
    this.shadowRoot.append(el("style", {}, STYLE));
    this.state = { ...DEFAULTS };
    this.recall();
    this.build();
    if (this.hasAttribute("play") && !still()) {
      const watch = new IntersectionObserver(([seen]) => {
        if (!seen.isIntersecting) return;
        watch.disconnect();
        this.play();
      }, { threshold: 0.3 });
      watch.observe(this);
    }
  }

  disconnectedCallback() {
    this.worker?.terminate();
    this.worker = null;
    cancelAnimationFrame(this.ticking);
  }

  // -------------------------------------------------------------------------- the reader's wishes

  change(key, value) {
    const number = typeof DEFAULTS[key] === "number", read = number ? Number(value) : String(value);
    if (number && !Number.isFinite(read)) return;
    const limits = { steps: [1, 256], temperature: [0, 2], seed: [0, 2 ** 31 - 1] }[key];
    this.state[key] = limits ? Math.min(limits[1], Math.max(limits[0], read)) : read;
    if (key === "steps" || key === "seed") this.state[key] = Math.round(this.state[key]);
  }

  // what the element's attributes ask for, and then what a link does
  recall() {
    const asked = [...this.attributes].map(({ name, value }) => [name, value]);
    for (const [key, value] of [...asked, ...new URLSearchParams(location.hash.slice(1))])
      if (key in DEFAULTS) this.change(key, value);
    if (!this.facts.sets[this.state.set]) this.state.set = DEFAULTS.set;
  }

  link() {
    return `${location.href.split("#")[0]}#${new URLSearchParams(this.state)}`;
  }

  get set() {
    return this.facts.sets[this.state.set];
  }

  get models() {
    const wanted = this.getAttribute("models")?.split(/\s+/);
    return this.set.models.filter(({ name }) => !wanted || wanted.includes(name));
  }

  // the tokens that stand, V where one is hidden; a word nobody knows is an Error that says so
  tokens() {
    const { symbols, length, joiner } = this.set, V = symbols.length;
    const parts = joiner ? this.state.given.split(/\s+/).filter(Boolean) : [...this.state.given];
    const unit = joiner ? "words" : "characters";
    if (parts.length > length) throw new Error(`A text here has ${length} ${unit}; these are ${parts.length}.`);
    const known = joiner ? "The words they know are listed below." : "They know those of Tiny Shakespeare alone.";
    const found = parts.map((part) => {
      if (/^_+$|^░$/.test(part)) return V;
      const id = symbols.indexOf(part);
      if (id < 0) throw new Error(`The models have never seen “${part}”. ${known}`);
      return id;
    });
    return [...found, ...new Array(length - found.length).fill(V)];
  }

  // ------------------------------------------------------------------------------------- the page

  build() {
    this.go = el("button", { type: "button", class: "main", onclick: () => this.toggle() }, "Play");
    const again = { type: "button", "aria-label": "again, with another seed", onclick: () => this.again() };
    this.dice = el("button", again, "⚄ again");
    this.moment = el("input", {
      type: "range", class: "grow", min: 0, max: 1, step: "any", value: 0, disabled: true,
      "aria-label": "moment of the race", oninput: () => this.seek(Number(this.moment.value)),
    });
    this.said = el("div", { class: "small said" });
    this.heard = el("div", { class: "heard", role: "status" });
    this.panes = el("div", { class: "panes" });
    this.given = this.field("given", { type: "text", spellcheck: "false", autocomplete: "off" });
    this.standing = el("div", { class: "given" });
    this.words = el("p", {});
    this.seed = this.field("seed", { type: "number", min: 0, step: 1 });
    const label = (name, field, more) => el("label", more || {}, name, field);
    const sets = Object.entries(this.facts.sets).map(([name, { title }]) => [name, title]);
    const clocks = [["compute", "equal compute"], ["calls", "equal network calls"]];
    this.shadowRoot.append(
      el("div", { class: "bar" }, this.go, this.dice, this.moment),
      this.said,
      this.heard,
      this.panes,
      el("div", { class: "bar" }, label("given", this.given, { class: "grow" })),
      this.standing,
      el("div", { class: "bar" },
        sets.length > 1 ? label("text", this.choice("set", sets)) : null,
        label("steps", this.field("steps", { type: "number", min: 1, max: 256 })),
        label("temperature", this.field("temperature", { type: "number", min: 0, max: 2, step: 0.1 })),
        label("seed", this.seed),
        label("clock", this.choice("clock", clocks)),
        location.protocol === "about:" ? null : this.copier()), // in a notebook no link leads here
      el("details", {}, el("summary", {}, "What am I looking at?"),
        ...this.facts.help.map((line) => el("p", {}, line)), this.words),
    );
    this.lay();
  }

  field(key, attributes) {
    const changed = ({ target }) => {
      this.change(key, target.value);
      target.value = this.state[key];
      this.fresh();
    };
    return el("input", { ...attributes, value: this.state[key], onchange: changed });
  }

  choice(key, options) {
    const changed = ({ target }) => {
      this.change(key, target.value);
      if (key === "set") this.given.value = this.state.given = "";
      this.lay();
    };
    const rows = options.map(([value, text]) => el("option", { value }, text));
    const made = el("select", { onchange: changed }, ...rows);
    made.value = this.state[key];
    return made;
  }

  // the button that copies an address at which everything stands as it does here
  copier() {
    const label = "link to this", copy = async () => {
      const link = this.link();
      history.replaceState(null, "", link);
      const copied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
      button.textContent = copied ? "copied" : "in the address bar";
      setTimeout(() => (button.textContent = label), 2000);
    };
    const button = el("button", { type: "button", onclick: copy }, label);
    return button;
  }

  // a pane for each model
  lay() {
    const { joiner, symbols } = this.set, kind = joiner ? "words" : "chars";
    this.words.textContent = joiner ? `The words: ${symbols.join(" ")}` : "";
    this.given.placeholder = joiner ? "for example: la some _ _ a hen" : "for example: ROMEO:";
    this.panesOf = new Map();
    this.panes.replaceChildren(...this.models.map((model) => {
      const text = el("div", { class: `text ${kind}`, onkeydown: (event) => this.walk(event) });
      const cost = el("div", { class: "small" }), tally = el("div", { class: "small tally" });
      this.panesOf.set(model.name, { model, text, cost, tally, frames: [], spans: [] });
      const shape = el("span", { "aria-hidden": "true" }, `${model.shape} `);
      const heading = el("div", { class: "name" }, shape, `${model.name} `, el("small", {}, model.how));
      const frame = { style: `--hue: ${model.hue}`, "aria-label": model.title };
      return el("section", frame, heading, text, cost, tally);
    }));
    this.fresh();
  }

  // the given text, word by word: press one to hide it or to bring it back
  row(tokens) {
    const { symbols, joiner } = this.set, V = symbols.length;
    const given = joiner ? tokens.slice(0, tokens.findLastIndex((v) => v !== V) + 1) : [];
    const buttons = given.map((v, i) => {
      const hidden = v === V, word = hidden ? "____" : symbols[v];
      const does = hidden ? "hidden, bring it back" : `${word}, hide it`;
      const label = { "aria-pressed": String(hidden), "aria-label": `word ${i + 1}: ${does}` };
      return el("button", { type: "button", ...label, onclick: () => this.hide(given, i) }, word);
    });
    this.standing.replaceChildren(...buttons.flatMap((b, i) => (i ? [" ", b] : [b])));
    if (buttons.length) this.standing.append(el("span", { class: "hidden" }, " … press a word to hide it"));
  }

  hide(given, i) {
    const { symbols } = this.set, V = symbols.length, was = (this.covered ||= new Map());
    if (given[i] !== V) was.set(i, symbols[given[i]]);
    const parts = given.map((v) => (v === V ? "_" : symbols[v]));
    parts[i] = given[i] === V ? was.get(i) || "_" : "_";
    this.given.value = this.state.given = parts.join(" ");
    this.fresh();
  }

  // ------------------------------------------------------------------------------------- the race

  // nothing is written yet
  fresh() {
    this.pause();
    this.race = null;
    this.worker?.postMessage({ stop: true });
    this.at = 0;
    this.moment.disabled = true;
    this.say("");
    let tokens;
    try {
      tokens = this.tokens();
    } catch (error) {
      this.say(error.message);
    }
    this.go.disabled = this.dice.disabled = !tokens;
    if (!tokens) return;
    this.row(tokens);
    this.known = tokens.map((v) => v !== this.set.symbols.length);
    const { set, given, steps, temperature } = this.state;
    const key = JSON.stringify([set, given, steps, temperature]);
    for (const pane of this.panesOf.values()) {
      pane.frames = [{ text: tokens, drawn: [], positions: 0, calls: 0 }];
      pane.done = pane.whole = false;
      if (this.key !== key) pane.written = pane.mistakes = 0;
      this.fill(pane);
    }
    this.key = key;
    this.show();
  }

  play() {
    if (this.go.disabled) return;
    if (!this.race || (this.over() && this.at >= this.end())) {
      this.fresh();
      const given = this.panesOf.values().next().value.frames[0].text;
      if (!given.includes(this.set.symbols.length)) {
        this.say("Every word is given: hide one, and the models have something to write.");
        return;
      }
      const { steps, temperature, seed } = this.state;
      const models = this.models.map(({ name, path }) => ({ name, path }));
      this.race = races += 1;
      this.begin({ id: this.race, given, steps, temperature, seed, models });
      this.say("The models are on their way …");
    }
    this.go.textContent = "Pause";
    let before = null;
    const tick = (now) => {
      const speed = this.end() / SECONDS, frontier = this.frontier();
      if (before !== null) this.at = Math.min(this.at + (speed * (now - before)) / 1000, frontier);
      if (still() && this.over()) this.at = this.end();
      before = now;
      this.show();
      if (this.over() && this.at >= this.end()) return this.pause();
      this.ticking = requestAnimationFrame(tick);
    };
    this.ticking = requestAnimationFrame(tick);
  }

  toggle() {
    if (this.ticking) this.pause();
    else this.play();
  }

  again() {
    this.seed.value = this.state.seed = (this.state.seed + 1) % 2 ** 31;
    this.fresh();
    this.play();
  }

  seek(moment) {
    this.pause();
    this.at = moment;
    this.moment.setAttribute("aria-valuetext", this.computed());
    this.show();
  }

  // what moves in every frame is seen only; a screen reader hears where the race stops, and how
  pause() {
    if (this.ticking && this.at > 0) {
      this.heard.textContent = [this.said.textContent, ...this.results()].join(" ");
      this.moment.setAttribute("aria-valuetext", this.computed());
    }
    cancelAnimationFrame(this.ticking);
    this.ticking = null;
    if (this.go) this.go.textContent = "Play";
  }

  say(words) {
    this.said.textContent = this.heard.textContent = words;
  }

  begin(race) {
    if (!this.worker) {
      this.worker = new Worker(place("./worker.js"), { type: "module" });
      this.worker.onmessage = ({ data }) => this.hear(data);
      this.worker.onerror = () => this.fail("This browser cannot run the models beside the page.");
      this.sent = new Map(); // path -> a promise that the worker has this model
    }
    this.worker.postMessage({ race });
    this.bring(race).catch((error) => race.id === this.race && this.fail(error.message));
  }

  // the models one after another, so that the first can write while the others are on their way
  async bring({ models }) {
    const { worker, sent } = this;
    for (const { path } of models) {
      if (!sent.has(path)) sent.set(path, this.send(worker, path));
      await sent.get(path).catch((error) => {
        sent.delete(path); // what failed may succeed the next time
        throw error;
      });
    }
  }

  async send(worker, path) {
    const [config, weights] = await Promise.all([
      fetched(`./${path}/config.json`, "json"),
      fetched(`./${path}/model.safetensors`, "arrayBuffer"),
    ]);
    worker.postMessage({ model: path, config, weights }, [weights]);
  }

  fail(message) {
    this.pause();
    this.race = null;
    this.say(`${message} Press Play to try again.`);
  }

  hear({ race, name, frame, text, further }) {
    if (race !== this.race) return;
    const pane = this.panesOf.get(name);
    if (frame) pane.frames.push(frame);
    if (text) {
      pane.written += 1;
      if (this.set.truth) pane.mistakes += this.truth.mistakes(text).length;
      if (!further) pane.done = true;
      this.tell(pane);
    }
  }

  stamp(frame) {
    return this.state.clock === "calls" ? frame.calls : frame.positions;
  }

  over() {
    return Boolean(this.race) && [...this.panesOf.values()].every((pane) => pane.done);
  }

  // up to which moment every model has been heard, and when the last one is done
  frontier() {
    const writing = [...this.panesOf.values()].filter((pane) => !pane.done);
    const stamps = writing.map((pane) => this.stamp(pane.frames.at(-1)));
    return stamps.length ? Math.min(...stamps) : this.end();
  }

  end() {
    const panes = [...this.panesOf.values()], { length } = this.set;
    const guess = this.state.clock === "calls" ? this.state.steps : this.state.steps * length;
    return this.over() ? Math.max(...panes.map((pane) => this.stamp(pane.frames.at(-1)))) : guess;
  }

  // ----------------------------------------------------------------------------------- what is seen

  fill(pane) {
    pane.spans = pane.frames[0].text.map((_, i) => {
      const tell = () => this.explain(pane, i);
      const listens = { onfocus: tell, onmouseenter: tell, onclick: tell };
      return el("span", { role: "button", tabindex: i ? -1 : 0, ...listens });
    });
    pane.text.replaceChildren(...pane.spans);
    pane.shown = -1;
    this.tell(pane);
  }

  show() {
    this.moment.disabled = !this.over();
    this.moment.max = this.end();
    this.moment.value = this.at;
    for (const pane of this.panesOf.values()) {
      let n = pane.frames.length - 1;
      while (n > 0 && this.stamp(pane.frames[n]) > this.at) n--;
      this.draw(pane, n);
    }
    if (this.race && this.at > 0) {
      const ended = this.over() && this.at >= this.end();
      const hint = ended ? " Point at a word to see how likely it was." : "";
      this.said.textContent = `Each has computed ${this.computed()}, or finished with fewer.${hint}`;
    }
  }

  computed() {
    return plural(Math.floor(this.at), this.state.clock === "calls" ? "network call" : "position");
  }

  draw(pane, n) {
    const whole = pane.done && n === pane.frames.length - 1;
    if (n === pane.shown && whole === pane.whole) return;
    if (n < pane.shown) pane.shown = -1;
    if (pane.shown < 0) pane.sure = pane.spans.map(() => null);
    for (const { drawn } of pane.frames.slice(pane.shown + 1, n + 1))
      for (const [i, p] of drawn) pane.sure[i] = p;
    pane.shown = n;
    const { symbols, joiner } = this.set, V = symbols.length, { text, positions, calls } = pane.frames[n];
    pane.now = text;
    pane.whole = whole;
    pane.bad = new Map(whole && this.set.truth ? this.truth.mistakes(text).map((m) => [m[0], m]) : []);
    pane.spans.forEach((span, i) => {
      const hidden = text[i] === V, word = hidden ? (joiner ? "____" : "░") : symbols[text[i]];
      if (span.textContent !== word) span.textContent = word;
      span.classList.toggle("hidden", hidden);
      span.classList.toggle("known", this.known[i]);
      span.classList.toggle("wrong", pane.bad.has(i));
      span.style.setProperty("--p", (pane.sure[i] || 0).toFixed(2));
    });
    pane.cost.textContent = `${plural(calls, "call")}, ${plural(positions, "position")}`;
    this.tell(pane);
  }

  // what stands below the finished texts, a sentence for each
  results() {
    const whole = [...this.panesOf.values()].filter((pane) => pane.whole);
    return whole.map(({ model, tally }) => `${model.name}: ${tally.textContent.replace(" · ", ", ")}.`);
  }

  // the mistakes of this text, and of all that the model has written with these settings
  tell(pane) {
    const said = [], { truth } = this.set;
    if (pane.whole) said.push(truth ? plural(pane.bad.size, "mistake") : "done");
    if (pane.written > 1) {
      const each = truth ? `, ${(pane.mistakes / pane.written).toFixed(1)} mistakes each` : "";
      said.push(`${plural(pane.written, "text")}${each}`);
    }
    pane.tally.textContent = said.join(" · ");
  }

  // the arrow keys go from word to word of a pane
  walk(event) {
    const next = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    const there = next && event.target[next];
    if (!there) return;
    event.target.tabIndex = -1;
    there.tabIndex = 0;
    there.focus();
    event.preventDefault();
  }

  explain(pane, i) {
    const { symbols } = this.set, V = symbols.length;
    if (this.ticking || !pane.now || pane.now[i] === V) return;
    const parts = [`${pane.model.name}, “${symbols[pane.now[i]].replace("\n", "↵")}”:`];
    if (this.known[i]) parts.push("given.");
    else if (pane.sure[i] !== null) parts.push(`the model gave it ${pane.sure[i].toFixed(2)} when it wrote it.`);
    else parts.push("noise so far.");
    if (this.set.truth && !pane.now.includes(V)) {
      const bad = pane.bad.get(i), nats = this.truth.surprises(pane.now)[i];
      const p = Math.exp(-nats).toFixed(2), surprise = `a surprise of ${nats.toFixed(2)} nats.`;
      parts.push(bad ? `A mistake of ${bad[1]}: the word that forbids it is ${bad[2]} back.`
        : `After the words before it the language gives it ${p}, ${surprise}`);
    }
    this.say(parts.join(" "));
  }
}

if (!customElements.get("nano-race")) customElements.define("nano-race", NanoRace);
