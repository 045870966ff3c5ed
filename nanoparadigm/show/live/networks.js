// The networks of this package in a browser, one text at a time: the equations of
// nanoparadigm/networks, read from the same files of weights.
//
// Vectors of n tokens lie one after another in a Float32Array (n, D). A causal network goes on with
// a text: `run(tokens, state, t)` returns the vectors of the new tokens and keeps what it must know
// of the old ones in `state`, which `fresh()` makes. The whole text at once is one such call.

// ------------------------------------------------------------------------------------ the weights

const half = (bits) => {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
};

// A file of safetensors: eight bytes that say how long the table of contents is, the table as
// JSON, and the numbers. Returns name -> { shape, data }, in single precision.
export function tensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const table = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const found = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(table)) {
    if (name === "__metadata__") continue;
    const bytes = buffer.slice(...data_offsets.map((offset) => 8 + length + offset));
    if (dtype !== "F16" && dtype !== "F32") throw new Error(`${name} is in ${dtype}: give F16 or F32`);
    const data =
      dtype === "F32" ? new Float32Array(bytes) : Float32Array.from(new Uint16Array(bytes), half);
    found[name] = { shape, data };
  }
  return found;
}

// The tensors whose names begin so, without that beginning.
const within = (weights, prefix) =>
  Object.fromEntries(
    Object.entries(weights)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor])
  );

// ------------------------------------------------------------------------------- elementary parts

// four sums at a time, as a processor can add while it multiplies
function dot(a, i, b, j, n) {
  let p = 0, q = 0, r = 0, s = 0, k = 0;
  for (; k + 3 < n; k += 4) {
    p += a[i + k] * b[j + k];
    q += a[i + k + 1] * b[j + k + 1];
    r += a[i + k + 2] * b[j + k + 2];
    s += a[i + k + 3] * b[j + k + 3];
  }
  for (; k < n; k++) p += a[i + k] * b[j + k];
  return p + q + (r + s);
}

// y = W x for each of n vectors: (n, d_in) -> (n, d_out)
function linear(x, { shape: [dOut, dIn], data }) {
  const n = x.length / dIn, y = new Float32Array(n * dOut);
  for (let i = 0; i < n; i++)
    for (let o = 0; o < dOut; o++) y[i * dOut + o] = dot(x, i * dIn, data, o * dIn, dIn);
  return y;
}

const EPS = 2 ** -23;

// x / rms(x) for each vector of `size` numbers
function rmsNorm(x, size) {
  const y = new Float32Array(x.length);
  for (let i = 0; i < x.length; i += size) {
    const scale = 1 / Math.sqrt(dot(x, i, x, i, size) / size + EPS);
    for (let k = i; k < i + size; k++) y[k] = x[k] * scale;
  }
  return y;
}

const silu = (x) => x / (1 + Math.exp(-x));
const softplus = (x) => (x > 20 ? x : Math.log1p(Math.exp(x)));
const plus = (x, y) => x.map((value, i) => value + y[i]);

// a weighted sum of K successive inputs of each channel: (K - 1 + n, E) -> (n, E)
function shortConv(padded, { shape: [K, E], data }, bias) {
  const y = new Float32Array(padded.length - (K - 1) * E);
  for (let i = 0; i < y.length; i++) {
    let sum = bias ? bias.data[i % E] : 0;
    for (let k = 0; k < K; k++) sum += padded[i + k * E] * data[k * E + (i % E)];
    y[i] = sum;
  }
  return y;
}

function joined(a, b) {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

// the inputs that a convolution of K taps will still need
const tail = (padded, { shape: [K, E] }) => padded.slice(padded.length - (K - 1) * E);

// W_2 f(W_1 x), f the gated SiLU or the squared ReLU
function mlp(x, weights, kind) {
  const up = linear(x, weights["up.weight"]);
  if (kind === "relu2") return linear(up.map((v) => Math.max(v, 0) ** 2), weights["down.weight"]);
  const inner = weights["down.weight"].shape[1], h = new Float32Array(up.length / 2);
  for (let i = 0; i < h.length; i++) {
    const at = 2 * inner * Math.floor(i / inner) + (i % inner);
    h[i] = silu(up[at]) * up[at + inner];
  }
  return linear(h, weights["down.weight"]);
}

// ------------------------------------------------------------------------- what causal ones share

class Causal {
  constructor(weights, sizes) {
    this.sizes = sizes;
    this.D = sizes.n_embd;
    this.embedding = weights["embedding.weight"].data;
    this.mix = weights["time.mix"];
    this.readout = weights.readout;
    this.blocks = [];
    for (let n = 0; ; n++) {
      const block = within(weights, `blocks.${n}.`);
      if (!Object.keys(block).length) break;
      this.blocks.push({ ...block, mlp: within(block, "mlp."), mixer: within(block, "forwards.") });
    }
  }

  // tokens as vectors of unit root mean square
  embed(tokens) {
    const { D } = this, e = new Float32Array(tokens.length * D);
    tokens.forEach((z, i) => e.set(this.embedding.subarray(z * D, (z + 1) * D), i * D));
    return rmsNorm(e, D);
  }

  // the noise level as a vector: a learned mix of sines and cosines, which is added to every token
  addTime(h, t) {
    if (!this.mix) return h;
    const { shape: [twice, D], data } = this.mix, n = twice / 2, vector = new Float32Array(D);
    for (let f = 0; f < n; f++) {
      const angle = Math.fround(t) * Math.fround(10 ** (f / (n - 1)));
      for (let d = 0; d < D; d++)
        vector[d] += Math.sin(angle) * data[f * D + d] + Math.cos(angle) * data[(f + n) * D + d];
    }
    return h.map((value, i) => value + vector[i % D]);
  }

  // logits (n, V) of the tokens that follow each of these
  logits(tokens, state = this.fresh(), t = 0) {
    return linear(rmsNorm(this.run(tokens, state, t), this.D), this.readout);
  }
}

// --------------------------------------------------------------------------------- the transformer

const SHARPNESS = 12;

export class Transformer extends Causal {
  constructor(weights, sizes) {
    super(weights, sizes);
    this.conv = weights.conv;
  }

  fresh() {
    const before = new Float32Array((this.conv.shape[0] - 1) * this.D);
    const none = () => ({ keys: new Float32Array(0), values: new Float32Array(0) });
    return { before, length: 0, caches: this.blocks.map(none) };
  }

  run(tokens, state, t) {
    const padded = joined(state.before, this.embed(tokens));
    state.before = tail(padded, this.conv);
    let h = this.addTime(shortConv(padded, this.conv), t);
    this.blocks.forEach((block, n) => {
      const qkv = linear(rmsNorm(h, this.D), block["attention.qkv.weight"]);
      const seen = this.attend(qkv, state.caches[n], state.length);
      h = plus(h, linear(seen, block["attention.out.weight"]));
      h = plus(h, mlp(rmsNorm(h, this.D), block.mlp, this.sizes.mlp));
    });
    state.length += tokens.length;
    return h;
  }

  // Each pair of neighbours of `size` numbers at x[at], divided by their root mean square, turns by
  // an angle in proportion to the position.
  rotate(x, at, size, position) {
    const scale = 1 / Math.sqrt(dot(x, at, x, at, size) / size + EPS);
    for (let k = 0; k < size; k += 2) {
      const angle = position * 10000 ** (-k / size), cos = Math.cos(angle), sin = Math.sin(angle);
      const a = x[at + k] * scale, b = x[at + k + 1] * scale;
      x[at + k] = a * cos - b * sin;
      x[at + k + 1] = a * sin + b * cos;
    }
  }

  // softmax(q k^T) v of every head, over the tokens so far; the new keys and values join the cache
  attend(qkv, cache, start) {
    const { D } = this, H = this.sizes.n_head, d = D / H, n = qkv.length / (3 * D);
    const keys = new Float32Array(n * D), values = new Float32Array(n * D);
    for (let i = 0; i < n; i++) {
      for (let h = 0; h < 2 * H; h++) this.rotate(qkv, 3 * D * i + h * d, d, start + i);
      keys.set(qkv.subarray(3 * D * i + D, 3 * D * i + 2 * D), i * D);
      values.set(qkv.subarray(3 * D * i + 2 * D, 3 * D * (i + 1)), i * D);
    }
    cache.keys = joined(cache.keys, keys);
    cache.values = joined(cache.values, values);
    const y = new Float32Array(n * D), weight = new Float64Array(start + n);
    for (let i = 0; i < n; i++) {
      for (let h = 0; h < H; h++) {
        const seen = start + i + 1, q = 3 * D * i + h * d, at = i * D + h * d;
        let most = -Infinity, total = 0;
        for (let j = 0; j < seen; j++) {
          weight[j] = (SHARPNESS / d) * dot(qkv, q, cache.keys, j * D + h * d, d);
          most = Math.max(most, weight[j]);
        }
        for (let j = 0; j < seen; j++) total += weight[j] = Math.exp(weight[j] - most);
        for (let j = 0; j < seen; j++)
          for (let k = 0; k < d; k++)
            y[at + k] += (weight[j] / total) * cache.values[j * D + h * d + k];
      }
    }
    return y;
  }
}

// ----------------------------------------------------------------------------------------- Mamba

export class Mamba extends Causal {
  fresh() {
    const none = (block) => {
      const { shape: [K, E] } = block["forwards.conv"], N = block["forwards.A_log"].shape[1];
      return { before: new Float32Array((K - 1) * E), s: new Float32Array(E * N) };
    };
    return this.blocks.map(none);
  }

  run(tokens, state, t) {
    let h = this.addTime(this.embed(tokens), t);
    this.blocks.forEach((block, n) => {
      h = plus(h, this.mixed(rmsNorm(h, this.D), block.mixer, state[n]));
    });
    return h;
  }

  // x, z = W_in h;  x <- SiLU(conv(x));  W_out (scan(x) * SiLU(z))
  mixed(h, weights, state) {
    const { shape: [E, N] } = weights.A_log, both = linear(h, weights["in_proj.weight"]);
    const n = h.length / this.D, x = new Float32Array(n * E), z = new Float32Array(n * E);
    for (let i = 0; i < n; i++) {
      x.set(both.subarray(2 * E * i, 2 * E * i + E), i * E);
      z.set(both.subarray(2 * E * i + E, 2 * E * (i + 1)), i * E);
    }
    const padded = joined(state.before, x);
    state.before = tail(padded, weights.conv);
    const u = shortConv(padded, weights.conv, weights.conv_bias).map(silu);
    const y = this.scan(u, weights, state.s, E, N);
    return linear(y.map((value, i) => value * silu(z[i])), weights["out_proj.weight"]);
  }

  // s <- exp(delta A) s + delta B u,  y = <C, s> + D u,  delta = softplus(W r + b)
  scan(u, weights, s, E, N) {
    const R = weights["delta_proj.weight"].shape[1], width = R + 2 * N;
    const rBC = linear(u, weights["x_proj.weight"]), y = new Float32Array(u.length);
    for (let i = 0; i * E < u.length; i++) {
      const B = width * i + R, C = B + N;
      for (let e = 0; e < E; e++) {
        const r = dot(rBC, width * i, weights["delta_proj.weight"].data, e * R, R);
        const delta = softplus(r + weights.delta_bias.data[e]), x = u[i * E + e];
        let sum = weights.D.data[e] * x;
        for (let k = 0; k < N; k++) {
          const decay = Math.exp(-delta * Math.exp(weights.A_log.data[e * N + k]));
          s[e * N + k] = decay * s[e * N + k] + delta * rBC[B + k] * x;
          sum += rBC[C + k] * s[e * N + k];
        }
        y[i * E + e] = sum;
      }
    }
    return y;
  }
}

// ------------------------------------------------------------------------------------- the hollow

// Two causal networks read a text from its two ends, each shifted by one token, so that neither has
// seen the i-th token when they meet at i.
export class Hollow {
  constructor(weights, sizes) {
    this.sizes = sizes;
    this.readout = weights.readout;
    this.mlp = within(weights, "mlp.");
    [this.left, this.right] = ["left.", "right."].map(
      (side) => new Transformer(within(weights, side), sizes)
    );
    this.start = this.left.embedding.length / sizes.n_embd - 1;
  }

  // logits (L, V) of each token given all others, at noise level t
  logits(tokens, t) {
    const D = this.sizes.n_embd, L = tokens.length;
    const read = (network, text) =>
      rmsNorm(network.run([this.start, ...text.slice(0, -1)], network.fresh(), t), D);
    const a = read(this.left, tokens), b = read(this.right, [...tokens].reverse());
    let h = new Float32Array(L * D);
    for (let i = 0; i < L; i++)
      for (let k = 0; k < D; k++) h[i * D + k] = a[i * D + k] + b[(L - 1 - i) * D + k];
    h = plus(h, mlp(rmsNorm(h, D), this.mlp, this.sizes.mlp));
    return linear(rmsNorm(h, D), this.readout);
  }
}

const NETWORKS = { transformer: Transformer, mamba: Mamba, hollow: Hollow };

// A network from config.json and the bytes of model.safetensors beside it.
export function network(config, buffer) {
  const { recipe } = config, kind = NETWORKS[recipe.network];
  if (!kind) throw new Error(`no network here is called ${recipe.network}`);
  return new kind(within(tensors(buffer), "net."), recipe);
}
