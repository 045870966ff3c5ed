// The language whose truth is known, in a page. facts: words; arrows (rows of [state, word, p,
// next]); after (state -> [word, next] where a mistake moves the listener); wrong (state -> a row of
// reasons), reasons (rows of one letter a word), names (letter -> kind of mistake); classes (one
// letter a word: d determiner, n noun, v verb); slip (how often a word is replaced by a random one).
// A hidden word has the id V, the number of words.
function languageOf(facts) {
  const V = facts.words.length, S = facts.wrong.length, { slip } = facts;
  const says = new Float64Array(S * V).fill(slip / V); // p(word | state)
  const next = new Int32Array(S * V); // the state after a word
  const wrong = new Uint8Array(S * V).fill(1); // the grammar forbids it
  for (let s = 0; s < S; s++) {
    next.fill(s, s * V, (s + 1) * V);
    for (const [v, to] of facts.after[s]) next[s * V + v] = to;
  }
  for (const [s, v, p, to] of facts.arrows) {
    says[s * V + v] += (1 - slip) * p;
    next[s * V + v] = to;
    wrong[s * V + v] = 0;
  }
  const words = (seen) => (seen === V ? [0, V] : [seen, seen + 1]);

  // forward-backward: p(word i | what is seen) for every hidden word i, null for the others
  function posterior(text) {
    const forward = [new Float64Array(S)], L = text.length;
    forward[0][0] = 1;
    const scaled = (row) => {
      let most = 1e-300;
      for (const x of row) if (x > most) most = x;
      return row.map((x) => x / most);
    };
    for (let i = 0; i < L; i++) {
      const from = forward[i], to = new Float64Array(S), [first, last] = words(text[i]);
      for (let s = 0; s < S; s++) {
        if (from[s] === 0) continue;
        for (let a = s * V + first; a < s * V + last; a++) to[next[a]] += from[s] * says[a];
      }
      forward.push(scaled(to));
    }
    const found = new Array(L).fill(null);
    let backward = new Float64Array(S).fill(1);
    for (let i = L - 1; i >= 0; i--) {
      const to = new Float64Array(S), p = new Float64Array(V), [first, last] = words(text[i]);
      for (let s = 0; s < S; s++) {
        const here = forward[i][s];
        for (let v = first, a = s * V + first; v < last; v++, a++) {
          const onward = says[a] * backward[next[a]];
          to[s] += onward;
          p[v] += here * onward;
        }
      }
      if (text[i] === V) {
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
      const after = new Float64Array(S).fill(Infinity), [first, last] = words(seen);
      for (let s = 0; s < S; s++) {
        if (cost[s] === Infinity) continue;
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
      const kind = wrong[state * V + v] ? facts.names[facts.reasons[facts.wrong[state]][v]] : null;
      const waiting = subjects.length ? subjects[subjects.length - 1] : 0;
      const back = { agreement: waiting, topic, echo: 0 };
      if (kind) found.push([i, kind, i - (kind in back ? back[kind] : i - 1)]);
      state = next[state * V + v];
      if (kind === "order") return;
      if (facts.classes[v] === "d") subjects.push(i);
      else if (facts.classes[v] === "v") subjects.pop();
      else if (facts.classes[v] === "n" && subjects.length === 1) topic = i;
    });
    return found;
  }

  // -log p(word | the words before it) of each word of a whole text, nats
  function surprises(text) {
    let state = 0;
    return text.map((v) => {
      const nats = -Math.log(says[state * V + v]);
      state = next[state * V + v];
      return nats;
    });
  }

  return { posterior, fewest, mistakes, surprises };
}
