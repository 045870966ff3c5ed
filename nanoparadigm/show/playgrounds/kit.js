// What every playground may use: `kit.el` makes an element, `kit.heat` the colour of a certainty.
const kit = {
  // attributes: `style` is text, `on...` are listeners, what else there is becomes an attribute
  el(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child != null));
    return made;
  },
  svg(tag, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
    made.append(...children);
    return made;
  },
  // strong = sure, as everywhere in the book
  heat: (share) => `rgba(213,94,0,${(0.55 * Math.max(0, Math.min(1, share))).toFixed(2)})`,
  // numbers from 0 to 1, the same for the same seed
  random(seed) {
    let a = seed >>> 0;
    return () => {
      a = (a + 0x6d2b79f5) | 0;
      let t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  },
  // the index of one of the weights, each as likely as it is large; random: what kit.random returns
  choose(weights, random) {
    let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
    let found = 0; // never one of weight zero, however the sum was rounded
    for (let i = 0; i < weights.length && left >= 0; i++) {
      if (weights[i] > 0) found = i;
      left -= weights[i];
    }
    return found;
  },
  percent: (p) => (p > 0 && p < 0.005 ? "<1 %" : `${Math.round(100 * p)} %`),
  row: (...children) =>
    kit.el("div", { style: "display:flex;flex-wrap:wrap;gap:0.4em;margin:0.5em 0" }, ...children),
  // the strip that says what the strength of `kit.heat` means
  legend(low = "unsure", high = "sure") {
    const strip = "display:inline-block;width:5em;height:0.8em;border:1px solid #808080;";
    const ground = `background:linear-gradient(to right,${kit.heat(0)},${kit.heat(1)})`;
    const line = kit.el("div", { style: "font-size:0.9em" }, `${low} `);
    line.append(kit.el("span", { style: strip + ground }), ` ${high}`);
    return line;
  },
  button(text, pressed) {
    const style =
      "font:inherit;color:inherit;background:none;border:1px solid #808080;" +
      "border-radius:0.3em;padding:0.1em 0.6em;min-width:4.5em;cursor:pointer";
    return kit.el("button", { type: "button", style, onclick: pressed }, text);
  },
  // A range below its label. changed(number): what a move does; say(number): the number in words.
  // The element itself is `.input`, and `.set(number)` moves it as a reader would.
  range(label, { min, max, step = 1, value = min }, changed, say = String) {
    const style = "display:block;width:min(100%,24em);height:2em;margin:0";
    const more = { type: "range", min, max, step, value, style, autocomplete: "off" };
    const input = kit.el("input", more);
    const said = kit.el("span"); // an output would take the label for itself
    const tell = () => {
      said.textContent = say(Number(input.value));
      input.setAttribute("aria-valuetext", said.textContent);
    };
    input.addEventListener("input", () => {
      tell();
      changed(Number(input.value));
    });
    tell();
    const made = kit.el("label", { style: "display:block" }, `${label}: `, said, input);
    made.input = input;
    made.set = (number) => {
      input.value = number;
      input.dispatchEvent(new Event("input"));
    };
    return made;
  },
  // A button that moves a `kit.range` once to its end, from the first value unless it was paused.
  // Whoever wants less motion moves it a step at each press.
  play(range, wait = 350) {
    const { input } = range;
    const atEnd = () => Number(input.value) >= Number(input.max);
    const step = () => range.set(Number(input.value) + Number(input.step));
    let timer = 0;
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      made.textContent = "Play";
    };
    const made = kit.button("Play", () => {
      if (timer) return stop();
      if (matchMedia("(prefers-reduced-motion: reduce)").matches)
        return atEnd() ? range.set(input.min) : step();
      if (atEnd() || input.value === input.defaultValue) range.set(input.min);
      made.textContent = "Pause";
      timer = setInterval(() => {
        step();
        if (atEnd() || !made.isConnected) stop();
      }, wait);
    });
    input.addEventListener("input", (event) => {
      if (timer && event.isTrusted) stop(); // the reader has taken hold of it
    });
    return made;
  },
  // Children of which one is seen at a time, in the space of the largest: `.show(index)`.
  frames(children, first = 0) {
    const style = "display:grid;grid-template-columns:minmax(0,1fr)";
    const made = kit.el("div", { style }, ...children);
    made.show = (index) =>
      children.forEach((child, i) => (child.style.visibility = i === index ? "" : "hidden"));
    for (const child of children) child.style.gridArea = "1 / 1";
    made.show(first);
    return made;
  },
};
