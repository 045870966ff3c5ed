// Forward-backward on an automaton of V words and S states. says: p(word | state), next: the state after
// a word, both S x V in a row; text: the words by number, V for a hidden one; start: the first state.
// Returns rows of S weights, each up to a factor: forward[i], of the state before word i together with
// the words seen before it; backward[i], of the words seen from word i on, given that state.
function messages({ V, S, says, next }, text, start = 0) {
  const L = text.length, forward = [new Float64Array(S)], backward = [];
  const scaled = (row) => {
    const most = row.reduce((x, y) => Math.max(x, y), 1e-300);
    return row.map((x) => x / most);
  };
  forward[0][start] = 1;
  backward[L] = new Float64Array(S).fill(1);
  for (let i = 0; i < L; i++) {
    const to = new Float64Array(S), [first, last] = fitting(text[i], V);
    for (let s = 0; s < S; s++) {
      if (forward[i][s] === 0) continue;
      for (let a = s * V + first; a < s * V + last; a++) to[next[a]] += forward[i][s] * says[a];
    }
    forward.push(scaled(to));
  }
  for (let i = L - 1; i >= 0; i--) {
    const here = new Float64Array(S), [first, last] = fitting(text[i], V);
    for (let s = 0; s < S; s++) {
      for (let a = s * V + first; a < s * V + last; a++) here[s] += says[a] * backward[i + 1][next[a]];
    }
    backward[i] = scaled(here);
  }
  return { forward, backward };
}

// the words that agree with what is seen: from the first to before the last
function fitting(seen, V) {
  return seen === V ? [0, V] : [seen, seen + 1];
}

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
  const automaton = { V, S, says, next };

  // p(word i | what is seen) for every hidden word i, null for the others
  function posterior(text) {
    const { forward, backward } = messages(automaton, text);
    return text.map((seen, i) => {
      if (seen !== V) return null;
      const p = new Float64Array(V);
      for (let s = 0; s < S; s++) {
        for (let v = 0, a = s * V; v < V; v++, a++) p[v] += forward[i][s] * says[a] * backward[i + 1][next[a]];
      }
      const sum = p.reduce((x, y) => x + y, 0);
      return p.map((x) => x / sum);
    });
  }

  // the fewest mistakes that any text which agrees with what is seen must have
  function fewest(text) {
    let cost = new Float64Array(S).fill(Infinity);
    cost[0] = 0;
    for (const seen of text) {
      const after = new Float64Array(S).fill(Infinity), [first, last] = fitting(seen, V);
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
