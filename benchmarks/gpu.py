"""What the package does on a GPU: that every path is right there, how fast it is, what it learns.

    python benchmarks/gpu.py               on the first GPU, at most eight minutes
    python benchmarks/gpu.py --small       minutes and sizes for a CPU, as the tests run it

Parts, each written to results/gpu.json (or --out) as it ends, so that a machine that is taken away
leaves what was measured:

    correct     loss and gradient on one noise against the CPU in float64: in float32, in half
                precision, compiled; and which samplers write
    train       the 10.65 M parameters of the usual GPU recipe on Tiny Shakespeare, three minutes
    speed       training steps of 124 M parameters, in half precision: tokens a second, and the
                share of what the GPU reaches in its best matrix product; as it comes and compiled
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict
from pathlib import Path

import torch
from measure import RESULTS, machine

from nanoparadigm import PRESETS, InputError, Settings, build, corpora, tokenizers, train
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.evaluate.likelihood import nats_per_token
from nanoparadigm.paradigms import parameters
from nanoparadigm.show.model_diff import L, V, random_model
from nanoparadigm.training.optimizer import make_optimizers
from nanoparadigm.training.settings import precision

TINY = dict(n_layer=2, n_head=2, n_embd=32, block_size=32, d_state=4)
GPT2 = dict(n_layer=12, n_head=12, n_embd=768, block_size=1024)
SIZES = {"mamba": dict(GPT2, n_layer=24)}  # whose layers have about half the parameters
USUAL = dict(n_layer=6, n_head=6, n_embd=384, block_size=256, dropout=0.2)


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def measured(model, x, noise):
    """Loss and gradient of texts x (B, L) under that noise."""
    loss, weight = model.loss_terms(x, *noise)
    loss = loss / weight
    grads = torch.autograd.grad(loss, [*model.parameters()])
    return dict(loss=loss, gradient=torch.cat([g.flatten() for g in grads]))


def apart(a, b):
    """The largest difference, as a share of the largest of b."""
    a, b = a.detach().cpu().double(), b.detach().cpu().double()
    return ((a - b).abs().max() / b.abs().max()).item()


def correct(device, compiled=True):
    """name -> how far each quantity is from the CPU's in float64, and which samplers wrote."""
    found = {}
    for name in PRESETS:
        exact = random_model(name, None)
        x = torch.randint(V, (4, L), generator=torch.Generator().manual_seed(2))
        noise = exact.noise(x, torch.Generator().manual_seed(3))
        truth = measured(exact, x, noise)
        model = random_model(name, None).float().to(device)
        there = [x.to(device), *(part.to(device) for part in noise)]
        row = {"float32": compare(model, there, truth)}
        half = precision("auto", device) if device.type == "cuda" else torch.bfloat16
        with torch.autocast(device.type, half):
            row[str(half).removeprefix("torch.")] = compare(model, there, truth)
        row["samplers"] = [sampler for sampler in model.samplers if writes(model, sampler, device)]
        if compiled:
            model.net.compile()
            try:
                row["compiled"] = compare(model, there, truth)
            except Exception as error:  # of the compiler, of many kinds
                row["compiled"] = f"{type(error).__name__}: {error}".splitlines()[0]
        found[name] = row
        print(name, row, flush=True)
    return found


def compare(model, batch, truth):
    x, *noise = batch
    return {key: apart(value, truth[key]) for key, value in measured(model, x, noise).items()}


def writes(model, sampler, device):
    g = torch.Generator(device).manual_seed(5)
    text = model.sample(2, L, g, sampler=sampler, steps=8)
    return text.shape == (2, L) and bool((text < model.vocab_size).all())


def peak(device, dtype, n, repeats=20):
    """FLOP/s of the best of square matrix products n x n."""
    a, b = torch.randn(2, n, n, device=device, dtype=dtype)
    times = []
    for _ in range(repeats):
        synchronize(device)
        began = time.perf_counter()
        a @ b
        synchronize(device)
        times.append(time.perf_counter() - began)
    return 2 * n**3 / min(times)


def step_time(name, device, dtype, sizes, vocab_size, batch, compiled, repeats):
    """Seconds of a training step, its median after a warm-up, and the model's parameters."""
    torch.manual_seed(0)
    model = build(name, vocab_size, **sizes).to(device)
    optimizers = make_optimizers(model, muon_lr=0.02, lr=1e-3, weight_decay=0.1)
    if compiled:
        model.net.compile()
    g = torch.Generator(device).manual_seed(0)
    shape = batch, sizes["block_size"]
    x = torch.randint(vocab_size, shape, generator=g, device=device)
    times = []
    for _ in range(repeats + 3):
        synchronize(device)
        began = time.perf_counter()
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            total, weight = model.loss_terms(x, *model.noise(x, g))
        (total / weight).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        synchronize(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times[3:]), parameters(model)


def largest_batch(name, device, dtype, sizes, vocab_size, batches):
    """The first of the batch sizes that fits this device, its step's time, and the parameters."""
    for batch in batches:
        try:
            return batch, *step_time(name, device, dtype, sizes, vocab_size, batch, False, 5)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
    raise InputError(f"not even a batch of {batches[-1]} fits this GPU")


def learn(device, seconds, sizes):
    """The curve of the usual recipe's sizes on Tiny Shakespeare, and the number at the end."""
    corpus = corpora.load("shakespeare")
    data = TokenizedCorpus(corpus, tokenizers.build("char", corpus), sizes["block_size"])
    model = build("ar", data.tokenizer.vocab_size, **sizes)
    changes = dict(device=device.type, muon_lr=0.02, lr=3e-3, eval_windows=32)
    timing = Settings(max_steps=30, eval_interval=10**6, batch_size=64, **changes)
    times = [record["seconds"] for record in train(build(**model.recipe), data, timing)]
    each = statistics.median(b - a for a, b in zip(times[5:-2], times[6:-1], strict=True))
    steps = max(10, int(seconds / each))
    settings = Settings(
        max_steps=steps, eval_interval=max(1, steps // 10), batch_size=64, **changes
    )
    curve = [r for r in train(model, data, settings) if "val" in (last := r)]
    nats = nats_per_token(model, data, torch.Generator(device).manual_seed(0))
    return dict(
        parameters=parameters(model),
        steps=steps,
        seconds=last["seconds"],
        tokens=last["tokens"],
        nats=asdict(nats),
        curve=[dict(seconds=r["seconds"], nats=r["val"]) for r in curve],
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="sizes and times for a CPU")
    parser.add_argument("--out", default=str(RESULTS / "gpu.json"), help="the JSON to write")
    parser.add_argument("--minutes", type=float, default=8.0, help="begin nothing long after this")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not options.small:
        parser.error("there is no GPU here: give --small to run the same on a CPU")
    began, small = time.perf_counter(), options.small
    numbers = dict(machine=machine(), device=name_of(device), torch_cuda=torch.version.cuda)

    def left():
        return 60 * options.minutes - (time.perf_counter() - began)

    def save(**more):
        numbers.update(more, seconds=time.perf_counter() - began)
        Path(options.out).write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")

    save(correct=correct(device))
    sizes = dict(USUAL, **TINY) if small else USUAL
    save(train=learn(device, 2 if small else 150, sizes))
    dtype = precision("auto", device)
    best = peak(device, dtype, 256 if small else 8192)
    rows = []
    for compiled in (False, True):
        for name in PRESETS:
            if left() < (90 if compiled else 20):
                continue
            own = TINY if small else SIZES.get(name, GPT2)
            vocab_size = 65 if small else 50_304
            if not compiled:
                batches = [2] if small else [32, 16, 8, 4, 2, 1]
                batch, seconds, count = largest_batch(name, device, dtype, own, vocab_size, batches)
            else:
                batch = next(row["batch"] for row in rows if row["name"] == name)
                try:
                    seconds, count = step_time(name, device, dtype, own, vocab_size, batch, True, 5)
                except Exception as error:  # of the compiler, or out of memory
                    said = f"{type(error).__name__}: {error}".splitlines()[0]
                    rows.append(dict(name=name, compiled=True, failed=said))
                    continue
            tokens = batch * own["block_size"] / seconds
            rows.append(
                dict(
                    name=name,
                    compiled=compiled,
                    batch=batch,
                    parameters=count,
                    milliseconds=1000 * seconds,
                    tokens_per_second=tokens,
                    utilisation=6 * count * tokens / best,
                )
            )
            print(rows[-1], flush=True)
            save(speed=dict(dtype=str(dtype), peak_flops=best, rows=rows))
    print(f"written: {options.out}")


def name_of(device):
    return torch.cuda.get_device_name() if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    main()
