"""The networks once more, from the formulas at the heads of their modules: one text, one position,
one head and one pair at a time, in numpy and float64. Only the weights are taken from the network.
"""

import math

import numpy as np

EPS = np.finfo(np.float64).eps


def unit(x):
    return x / np.sqrt(np.mean(x * x) + EPS)


def silu(x):
    return x / (1 + np.exp(-x))


def weights(module):
    return {name: p.detach().double().numpy() for name, p in module.named_parameters()}


def within(w, prefix):
    return {name[len(prefix) :]: p for name, p in w.items() if name.startswith(prefix)}


def mlp(w, x, kind):
    """swiglu: the first half of the inner units gates the second."""
    inner = w["up.weight"] @ x
    if kind == "relu2":
        return w["down.weight"] @ np.maximum(inner, 0) ** 2
    half = len(inner) // 2
    return w["down.weight"] @ (silu(inner[:half]) * inner[half:])


def turned(x, position):
    """Rotary positions: the k-th pair turns by base^(-2k / d) at every step."""
    y = np.empty_like(x)
    for k in range(len(x) // 2):
        angle = position * 10_000.0 ** (-2 * k / len(x))
        a, b = x[2 * k], x[2 * k + 1]
        y[2 * k] = a * math.cos(angle) - b * math.sin(angle)
        y[2 * k + 1] = a * math.sin(angle) + b * math.cos(angle)
    return y


def attention(w, xs, heads, causal):
    """Logits are 12 times the cosine of query and key; the values are neither normed nor turned."""
    parts = [np.split(w["qkv.weight"] @ x, 3) for x in xs]
    q, k, v = ([np.split(part[i], heads) for part in parts] for i in range(3))
    out = []
    for i in range(len(xs)):
        seen, heard = range(i + 1) if causal else range(len(xs)), []
        for h in range(heads):
            logits = []
            for j in seen:
                a, b = turned(q[i][h], i), turned(k[j][h], j)
                logits.append(12 * a @ b / math.sqrt(a @ a * (b @ b)))
            share = np.exp(np.array(logits) - max(logits))
            share /= share.sum()
            heard.append(sum(p * v[j][h] for p, j in zip(share, seen, strict=True)))
        out.append(w["out.weight"] @ np.concatenate(heard))
    return out


def time_features(mix, t):
    """Eight frequencies from 1 to 10, evenly in their logarithms: sines, then cosines."""
    angles = [t * 10 ** (k / 7) for k in range(8)]
    return np.array([*map(math.sin, angles), *map(math.cos, angles)]) @ mix


def embedded(w, z, t):
    h = [unit(w["embedding.weight"][i]) for i in z]
    return h, 0 if t is None else time_features(w["time.mix"], t)


def transformer(w, z, t, heads, kind, causal):
    """Up to the read-out, a list of vectors."""
    e, time = embedded(w, z, t)
    conv, L = w["conv"], len(z)
    before = len(conv) - 1 if causal else len(conv) // 2
    h = []
    for i in range(L):
        near = [(k, i + k - before) for k in range(len(conv))]
        h.append(sum(conv[k] * e[j] for k, j in near if 0 <= j < L) + time)
    for n in range(1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks"))):
        block = within(w, f"blocks.{n}.")
        y = attention(within(block, "attention."), [unit(x) for x in h], heads, causal)
        h = [a + b for a, b in zip(h, y, strict=True)]
        h = [x + mlp(within(block, "mlp."), unit(x), kind) for x in h]
    return h


def mixer(w, xs):
    """x, z = W_in h; x <- SiLU(conv x); the recurrence; y SiLU(z), of every position."""
    E, N = w["A_log"].shape
    R = len(w["x_proj.weight"]) - 2 * N
    K = len(w["conv"])
    pairs = [np.split(w["in_proj.weight"] @ x, 2) for x in xs]
    state, out = np.zeros((E, N)), []
    for i in range(len(xs)):
        near = [(k, i + k - (K - 1)) for k in range(K)]
        u = silu(sum(w["conv"][k] * pairs[j][0] for k, j in near if j >= 0) + w["conv_bias"])
        chosen = w["x_proj.weight"] @ u
        r, B, C = chosen[:R], chosen[R : R + N], chosen[R + N :]
        delta = np.log1p(np.exp(w["delta_proj.weight"] @ r + w["delta_bias"]))
        y = np.empty(E)
        for e in range(E):
            for n in range(N):
                decay = math.exp(-delta[e] * math.exp(w["A_log"][e, n]))
                state[e, n] = decay * state[e, n] + delta[e] * B[n] * u[e]
            y[e] = C @ state[e] + w["D"][e] * u[e]
        out.append(w["out_proj.weight"] @ (y * silu(pairs[i][1])))
    return out


def mixer2(w, xs):
    """x, B, C <- SiLU(conv(W h)); S <- exp(delta A) R S + B (delta x)^T, y = S^T C + D x of each
    head; W norm(y SiLU(z)), of every position. R turns pairs by delta pi tanh(W h), if at all."""
    E, H, N = w["out_proj.weight"].shape[1], len(w["A_log"]), len(w["x_proj.weight"]) // 2
    K = len(w["conv"])
    pairs = [np.split(w["in_proj.weight"] @ x, 2) for x in xs]
    rows = [np.concatenate([p[0], w["x_proj.weight"] @ x]) for p, x in zip(pairs, xs, strict=True)]
    state, out = np.zeros((H, N, E // H)), []
    for i, h in enumerate(xs):
        near = [(k, i + k - (K - 1)) for k in range(K)]
        row = silu(sum(w["conv"][k] * rows[j] for k, j in near if j >= 0) + w["conv_bias"])
        x, B, C = row[:E].reshape(H, -1), row[E : E + N], row[E + N :]
        delta = np.log1p(np.exp(w["delta_proj.weight"] @ h + w["delta_bias"]))
        theta = np.pi * np.tanh(w["theta_proj.weight"] @ h) if "theta_proj.weight" in w else ()
        y = np.empty_like(x)
        for head in range(H):
            decay = math.exp(-delta[head] * math.exp(w["A_log"][head]))
            for k, angle in enumerate(theta):
                c, s = math.cos(delta[head] * angle), math.sin(delta[head] * angle)
                pair = state[head, 2 * k : 2 * k + 2]
                pair[:] = np.array([[c, -s], [s, c]]) @ pair
            state[head] = decay * state[head] + np.outer(B, delta[head] * x[head])
            y[head] = state[head].T @ C + w["D"][head] * x[head]
        out.append(w["out_proj.weight"] @ unit(y.flatten() * silu(pairs[i][1])))
    return out


def mamba(w, z, t, mixer=mixer):
    """Up to the read-out; where there is a backward mixer, its sum with the forward one."""
    h, time = embedded(w, z, t)
    h = [x + time for x in h]
    for n in range(1 + max(int(name.split(".")[1]) for name in w if name.startswith("blocks"))):
        block = within(w, f"blocks.{n}.")
        x = [unit(v) for v in h]
        y = mixer(within(block, "forwards."), x)
        if back := within(block, "backwards."):
            y = [a + b for a, b in zip(y, mixer(back, x[::-1])[::-1], strict=True)]
        h = [a + b for a, b in zip(h, y, strict=True)]
    return h


def hollow(w, z, t, reader, kind):
    """reader(w, z, t): one of the two causal networks."""
    start = len(w["readout"])
    a = reader(within(w, "left."), [start, *z[:-1]], t)
    b = reader(within(w, "right."), [start, *z[::-1][:-1]], t)[::-1]
    h = [unit(x) + unit(y) for x, y in zip(a, b, strict=True)]
    return [x + mlp(within(w, "mlp."), unit(x), kind) for x in h]


def read(w, h):
    matrix = w.get("readout", w.get("embedding.weight"))
    return np.array([matrix @ unit(x) for x in h])
