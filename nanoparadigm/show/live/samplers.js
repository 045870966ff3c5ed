// How each model writes a text: the default samplers of nanoparadigm/decoding, one text at a time.
//
// A sampler is a generator. It is given a model { net, V, blockLength }, a text of L token ids, in
// which V stands for a word that is not there yet, and { steps, temperature, random }. After every
// step it yields { text, drawn, positions }: the text so far, [position, probability] of each token
// drawn, and how many positions the network computed for it. Tokens given never change.
import { kit } from "./kit.js";

// softmax of the i-th row of logits, sharpened; a temperature of 0 takes the most probable token
export function probabilities(logits, i, V, temperature) {
  const width = logits.width, row = Array.from(logits.data.subarray(i * width, i * width + V));
  const most = Math.max(...row), first = row.indexOf(most);
  if (temperature === 0) return row.map((_, v) => (v === first ? 1 : 0));
  const odds = row.map((x) => Math.exp((x - most) / temperature));
  const total = odds.reduce((a, b) => a + b, 0);
  return odds.map((x) => x / total);
}

// the network's logits and the width of a row of them
function logits(net, tokens, ...more) {
  const data = net.logits(tokens, ...more);
  return { data, width: data.length / tokens.length };
}

// One token after another. It sees only what lies to the left: a token given further on is read
// when its turn comes.
export function* leftToRight({ net, V }, given, { temperature, random }) {
  const text = [...given], state = net.fresh();
  let unread = [V]; // the start symbol, and then tokens whose logits nobody has asked for
  for (let i = 0; i < text.length; i++) {
    if (text[i] === V) {
      const read = logits(net, unread, state);
      const p = probabilities(read, unread.length - 1, V, temperature);
      text[i] = kit.choose(p, random);
      yield { text: [...text], drawn: [[i, p[text[i]]]], positions: unread.length };
      unread = [];
    }
    unread.push(text[i]);
  }
}

// Each hidden token is revealed by a coin of its own, with the probability that alpha = 1 - t asks
// for: q(z_s | z_t, x). The tokens of one step do not see each other.
function* unmask({ net, V }, text, end, { steps, temperature, random }) {
  for (let k = steps; k > 0; k--) {
    const drawn = [], hidden = [];
    text.forEach((v, i) => i < end && v === V && random() < 1 / k && hidden.push(i));
    if (hidden.length) {
      const read = logits(net, text);
      for (const i of hidden) {
        const p = probabilities(read, i, V, temperature);
        text[i] = kit.choose(p, random);
        drawn.push([i, p[text[i]]]);
      }
    }
    yield { text: [...text], drawn, positions: hidden.length ? text.length : 0 };
  }
}

export function* masked(model, given, options) {
  yield* unmask(model, [...given], given.length, options);
}

// Masked diffusion of one block after another; the blocks to come are hidden. The blocks with a gap
// share the steps evenly.
export function* blocks(model, given, options) {
  const text = [...given], S = model.blockLength, ends = [];
  for (let end = S; end < text.length + S; end += S)
    if (text.slice(end - S, end).includes(model.V)) ends.push(end);
  const steps = Math.ceil(options.steps / ends.length);
  for (const end of ends) yield* unmask(model, text, end, { ...options, steps });
}

// From random tokens: in every step each token may jump, by Bayes' rule with the network's
// leave-one-out prediction theta in place of the clean token.
export function* uniform({ net, V }, given, { steps, temperature, random }) {
  const known = given.map((v) => v !== V);
  const text = given.map((v) => (v === V ? Math.floor(random() * V) : v));
  yield { text: [...text], drawn: [], positions: 0 };
  for (let k = steps; k > 0; k--) {
    const a = 1 - k / steps, b = 1 - (k - 1) / steps, r = a / b, drawn = [];
    const read = logits(net, text, 1 - a);
    const before = [...text];
    before.forEach((z, i) => {
      if (known[i]) return;
      const theta = probabilities(read, i, V, temperature);
      const odds = theta.map((p, v) => {
        const here = v === z ? 1 : 0;
        return V * a * p * here + (r - a) * here + (b - a) * p + ((1 - r) * (1 - b)) / V;
      });
      text[i] = kit.choose(odds, random);
      if (text[i] !== z || k === 1) drawn.push([i, theta[text[i]]]);
    });
    yield { text: [...text], drawn, positions: text.length };
  }
}

// paradigm -> its sampler
export const SAMPLERS = {
  ar: leftToRight,
  mamba: leftToRight,
  diffusion: masked,
  flow: uniform,
  block: blocks,
};
