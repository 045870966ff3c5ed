"""From results/*.json to the README's headline and the book's pages of results.

    python benchmarks/report.py          after any of the benchmarks; needs no measuring

No number on them is typed by hand: tests/house/test_benchmarks.py sees to it that all are up to date.
"""

import json
import math
import re
import statistics
from pathlib import Path

import classic
import equal_seconds as equal
import matplotlib.pyplot as plt
import records
import speedrun
from measure import RESULTS

import micro
from nanoparadigm.evaluate.tables import decoding_table, markdown, with_error
from nanoparadigm.language import LENGTH
from nanoparadigm.paradigms import PRESETS, listed
from nanoparadigm.show.figures import GREY, MARKERS, PALETTE
from nanoparadigm.studies.schedules import report as study_report
from nanoparadigm.studies.schedules.significance import student

ROOT = Path(__file__).parent.parent
BEGIN = "<!-- performance: made by benchmarks/report.py from benchmarks/results -->"
END = "<!-- performance: end -->"


def read(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def times(x):
    return f"{x:.1f}x"


def bold(cells):
    """The cells of a row in bold."""
    return [cell and f"**{cell}**" for cell in cells]


def folded(title, table):
    """A table behind a line to click on."""
    return f"```{{dropdown}} {title}\n{table}```\n"


def count(n, what):
    return f"{n} {what}{'s' * (n != 1)}"


def machine(numbers):
    m = numbers["machine"]
    return (
        f"{m['processor']}, {count(m['cores'], 'core')}, {count(m['threads'], 'thread')}, {m['system']}, "
        f"PyTorch {m['torch']}"
    )


def scan_table(numbers):
    lines = []
    for shape, extra in numbers["extra_mib"].items():
        rows = {allocator: numbers["milliseconds"][allocator][shape] for allocator in ALLOCATORS}
        rival = {a: rows[a]["mambapy"]["median"] for a in rows}
        for name in extra:
            lines.append(
                [
                    f"{name}, {shape}",
                    *(f"{rows[a][name]['median']:,.0f}" for a in rows),
                    *(times(rival[a] / rows[a][name]["median"]) for a in rows),
                    f"{extra[name]:,.0f}",
                ]
            )
    head = ["scan, B x L", "ms", "ms, memory kept", "x mambapy", "x, memory kept", "extra MiB"]
    return markdown(head, lines)


ALLOCATORS = ("default", "kept")


def step_table(numbers):
    lines = []
    for name, size in numbers["kept"]["parameters"].items():
        ms = [numbers[a]["milliseconds"][name]["median"] for a in ALLOCATORS]
        ar = [numbers[a]["milliseconds"]["ar"]["median"] for a in ALLOCATORS]
        half = numbers["kept"]["bfloat16"].get(name)
        lines.append(
            [
                name,
                f"{size:,}",
                *(f"{m:,.0f}" for m in ms),
                f"{half['median']:,.0f}" if half else "",
                f"{ms[1] / ar[1]:.2f}",
                f"{numbers['kept']['utilisation'][name]:.0%}",
            ]
        )
    head = ["training step", "parameters", "ms", "ms, memory kept", "ms, bfloat16", "x ar's time"]
    return markdown([*head, "utilisation"], lines)


def whole_line(numbers):
    """What whole training steps take, in a sentence of its own paragraph."""
    kept = numbers["kept"]
    if "whole" not in kept:
        return ""
    networks = [name for name in kept["whole"] if name != "ar"]

    def ratios(measured):
        ar = measured["ar"]["median"]
        return listed([f"{measured[n]['median'] / ar:.1f} (`{n}`)" for n in networks], "and")

    return f"""

Compared with `ar`, forward and backward take {ratios(kept["milliseconds"])} times as long. A whole step adds the update by
Muon and AdamW, and takes {ratios(kept["whole"])} times as long; for `ar` it is {kept["whole"]["ar"]["median"]:,.0f} ms, with memory kept."""


def profile_line(numbers, which="profile"):
    shares = numbers["kept"][which]
    text = ", ".join(f"`{name}` {share:.0%}" for name, share in shares.items() if share >= 0.01)
    return text.replace("_scaled_dot_product_flash_attention_for_cpu", "flash_attention")


def estimate(runs, key):
    """The mean over seeds, and what their spread or, of one seed, its own standard error says."""
    found = [run[key]["mean"] for run in runs if run.get(key)]
    if not found:
        return ""
    sign = "=" if runs[0]["exact"] else "<="
    if len(found) > 1:
        spread = f"{min(found):.3f} to {max(found):.3f}"
        return f"{sign} {statistics.mean(found):.3f} ({spread})"
    return f"{sign} {found[0]:.3f} ± {runs[0][key]['se']:.3f}"


def speedrun_table(numbers):
    by_name = {}
    for run in numbers["runs"]:
        by_name.setdefault(run["name"], []).append(run)
    lines = [
        [
            name,
            str(len(runs)),
            f"{statistics.mean(run['seconds'] for run in runs):.0f}",
            f"{statistics.mean(run['tokens'] for run in runs) / 1e6:.2f} M",
            estimate(runs, "nats_64"),
            estimate(runs, "nats"),
        ]
        for name, runs in by_name.items()
    ]
    head = ["run", "seeds", "seconds", "characters", "nats, windows of 64", "nats, of 128"]
    return markdown(head, lines)


def speedrun_lead(numbers):
    """The finding of the table of runs, in sentences."""

    def mean(name, key):
        return statistics.mean(run[key]["mean"] for run in numbers["runs"] if run["name"] == name)

    def long(model):
        return f"{model}, second recipe, 240 s"

    def four_minutes(model):
        return f"{mean(long(model), 'nats'):.3f}"

    short = "classic", "ar, a fifth of the time", "ar, the same time"
    classic, fifth, same = (mean(name, "nats_64") for name in short)
    names = *short, *map(long, ("ar", "mamba", "diffusion", "flow"))
    (seeds,) = {sum(run["name"] == name for run in numbers["runs"]) for name in names}
    assert same < fifth < classic, "the default recipe is no longer ahead: say so"
    return (
        f"**In a fifth of the classic recipe's time, `ar` with the default recipe is ahead of it.** In windows of\n"
        f"64 it has {fifth:.3f} nats a character where the classic recipe has {classic:.3f}, and {same:.3f} after the "
        f"same time.\nFour minutes of the second recipe (below), in windows of 128, bring `ar` to {four_minutes('ar')}, `mamba` "
        f"to {four_minutes('mamba')},\n`diffusion` to at most {four_minutes('diffusion')} and `flow` to at most "
        f"{four_minutes('flow')}. All are means of {seeds} seeds."
    )


def leaderboard(numbers):
    """The least seconds in which a run of each paradigm ended at or below a line."""
    lines = {"1.88": 1.88, "5-gram": numbers["five_gram"]["None"], "1.60": 1.60}
    board = {}
    for run in numbers["runs"]:
        best = min(run[key]["mean"] for key in ("nats", "nats_64") if run.get(key))
        reached = board.setdefault(run["name"].split(",")[0], dict.fromkeys(lines))
        for line, value in lines.items():
            if best <= value and run["seconds"] < (reached[line] or float("inf")):
                reached[line] = run["seconds"]
    head = [
        "paradigm",
        *(f"{line} ({v:.3f})" if line == "5-gram" else line for line, v in lines.items()),
    ]
    rows = [[n, *(f"{s:.0f} s" if s else "-" for s in row.values())] for n, row in board.items()]
    return markdown(head, rows)


def micro_section():
    """What the page on the five files says of their quality, once all of it has been measured."""
    rows = read("micro")["runs"] if (RESULTS / "micro.json").exists() else []
    if len(rows) < micro.SEEDS * (2 * len(micro.FILES) + 1):
        return f"{BEGIN}\n{END}"
    by_name = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    lines = [
        [
            f"`{name}`" if name.endswith(".py") else name,
            f"{runs[0]['parameters']:,}",
            f"{runs[0]['steps']:,}",
            str(len(runs)),
            estimate(
                [dict(run, nats=dict(mean=run["nats"], se=run["se"])) for run in runs], "nats"
            ),
        ]
        for name, runs in sorted(by_name.items(), key=lambda item: (".py" not in item[0], item[0]))
    ]
    table = markdown(["model", "parameters", "steps", "seeds", "nats per character"], lines)
    return f"""{BEGIN}
## How good are they?

{table}
Trained as they are on nine tenths of Tiny Shakespeare and measured on the last, in windows of 128; the
mean and the range over seeds. The package's models, with the default recipe, took as many steps,
and the classic GPT (`benchmarks/classic.py`) read as many characters.

{END}"""


def speed_table(numbers):
    lines = []
    for setting, rows in numbers["speed"].items():
        slow = rows["transformer, uncached"]["median"]
        for name, rate in rows.items():
            lines.append(
                [f"{name}, {setting}", f"{rate['median']:,.0f}", times(rate["median"] / slow)]
            )
    return markdown(["256 symbols", "symbols/s", "x uncached"], lines)


def speed_lead(numbers):
    """The finding of the table of symbols a second, in sentences."""

    def gain(name, setting):
        rows = numbers["speed"][setting]
        return times(rows[name]["median"] / rows["transformer, uncached"]["median"])

    one, many = "1 thread, batch 1", "1 thread, batch 64"
    return (
        f"**A cache makes a transformer write {gain('transformer, cached', one)} as fast, and "
        f"{gain('transformer, cached', many)} in a batch of 64**, on one thread.\n"
        f"`mamba`, which carries a state, is {gain('mamba', one)} and {gain('mamba', many)} as fast. With a compiled "
        f"step a single text is\nwritten {gain('transformer, cached, compiled', one)} as fast by the cached transformer "
        f"and {gain('mamba, compiled', one)} by `mamba`."
    )


def quality_table(numbers):
    truth = numbers["truth"]
    best = min(truth["samplers"], key=lambda row: row["surprise"]["mean"])
    lines = []
    for row in truth["samplers"]:
        above = row["surprise"]["mean"] - truth["entropy"]
        cells = [
            row["name"],
            f"{calls_per_text(row, truth):,.0f}",
            f"{row['positions']:,.0f}",
            f"{row['milliseconds_1']:.1f}",
            f"{row['milliseconds_64']:.2f}",
            f"{above:z.3f} ± {row['surprise']['se']:.3f}",
            f"{100 * row['ungrammatical']['mean']:.1f} %",
        ]
        lines.append(bold(cells) if row is best else cells)
    head = [
        "sampler", "calls", "positions", "ms, batch 1", "ms, batch 64",
        "surprise above entropy, nats a word", "ungrammatical",
    ]  # fmt: skip
    return markdown(head, lines)


def calls_per_text(row, truth):
    """The network calls of one text, on average. Older results have those of the batch, which
    include steps that change other texts alone. There a model that keeps its past computes one
    position a call, and the others the whole text."""
    if "calls" in row:
        return row["calls"]
    length = next(r["positions"] for r in truth["samplers"] if r["name"] == "ar, cached")
    return row["positions"] / (1 if row["positions"] == length else length)


CALLS = (
    "how often the network reads one text, on average, and how\nmany positions it computes for it. "
    "A step of masked diffusion that reveals no word needs no call."
)


def search_table(numbers):
    found = {}
    for row in numbers["trials"]:
        found.setdefault(row["trial"], {})[row["model"]] = row
    models = list(next(iter(found.values())))
    best = {m: min(rows[m]["mean"] for rows in found.values() if m in rows) for m in models}
    lines = [
        [trial, *(nats_in_bold(rows[m]["mean"], best[m]) if m in rows else "" for m in models)]
        for trial, rows in found.items()
    ]
    return markdown(["trial", *models], lines)


def nats_in_bold(nats, best):
    """A number of nats, in bold if it is the best."""
    return f"**{nats:.3f}**" if nats == best else f"{nats:.3f}"


def search_finding(numbers):
    """By how much a single change was better than the default at most, in a sentence."""
    default = {r["model"]: r["mean"] for r in numbers["trials"] if r["trial"] == "the default"}
    gains = [(default[r["model"]] - r["mean"], r) for r in numbers["trials"]]
    gain, row = max(gains, key=lambda found: found[0])
    error = max(r["se"] for r in numbers["trials"])
    assert gain < error, "one change is better than the default: say so"
    return (
        f"**No single change is clearly better than the default for any of the {len(default)} models.** "
        f"The largest gain, {gain:.3f}\nnats per character ({row['trial']}, {row['model']}), is smaller "
        f"than the standard error of one number, {error:.2f} at most."
    )


def headline():
    """The README's paragraph on what a few minutes of training give."""
    runs = read("speedrun")
    found = {}
    for run in runs["runs"]:
        if run["name"].endswith("second recipe, 240 s"):
            found.setdefault(run["name"].split(",")[0], []).append(run["nats"]["mean"])
    nats = {name: statistics.mean(values) for name, values in found.items()}
    (seeds,) = {len(values) for values in found.values()}
    return f"""{BEGIN}
**What four minutes give.** On two cores of a server, without a GPU, `ar` reaches {nats["ar"]:.3f} nats
({nats["ar"] / math.log(2):.2f} bits) a character of Tiny Shakespeare with 0.8 M parameters. nanoGPT's README
reports 1.470 for 10.65 M parameters and three minutes on an A100. In the same four minutes `mamba` reaches
{nats["mamba"]:.3f}, `diffusion` at most {nats["diffusion"]:.3f}, `flow` at most {nats["flow"]:.3f}; a 5-gram, which takes
seconds to count, has {runs["five_gram"]["None"]:.3f}. These are means over {seeds} seeds.
[The page on speed](https://nanoparadigm.github.io/nanoparadigm/book/speed.html) has the ranges, the recipe, what
did not help, and how fast each model writes.
{END}"""


def measured():
    """The tables of the scan, the training step, the recipes and cached sampling."""
    scan, step, runs, sampling = map(read, ("scan", "training_step", "speedrun", "sampling"))
    gram = runs["five_gram"]
    return f"""
## The scan, a step, a run, a token

One machine ({machine(scan)}) that did nothing else; medians.
Only ratios carry over to another.

{scan_table(scan)}
The scan alone, forward and backward, D=256 N=16, against the parallel scan of mambapy
{scan["machine"]["mambapy"]}. Memory kept: under `keep_memory()` of
`nanoparadigm.commands.allocator`, which the commands call. The yardstick `fused in C++` (`benchmarks/fused_scan.py`) needs a compiler and holds in registers
what `blocked`, made of PyTorch's operations, writes to the cache and reads again, about twenty times.

{step_table(step)}
B=32 L=128, forward and backward. Utilisation is 6 x parameters x tokens over the time, as a
share of the {step["kept"]["gflops"]:.0f} GFLOP/s of a float32 matrix product here; bfloat16 is automatic
mixed precision, with memory kept. The transformer's step: {profile_line(step)}. Mamba's:
{profile_line(step, "profile_mamba")}.{whole_line(step)}{elsewhere(step, scan)}

{speedrun_lead(runs)}

{folded("All runs in numbers", speedrun_table(runs))}
Tiny Shakespeare, about 0.8 M parameters, nats per character on the whole validation split: the mean
and the range over seeds, or one seed and the standard error for another text like this one, from blocks
of windows; between two models most of it cancels. `classic` is LayerNorm, GELU, learned positions and
AdamW. The second recipe is `--muon_momentum 0.9 --dtype bfloat16`, for diffusion and flow also `--lr 0.02`.
The machine is a virtual one whose speed varies by a third from run to run: look at the characters too.
A 5-gram has {gram["None"]:.3f}, in windows of 64 {gram["64"]:.3f}, of 128
{gram["128"]:.3f}. Seconds of the shortest run that ended at or below a line:

{leaderboard(runs)}
{speed_lead(sampling)}

{folded("Symbols a second in numbers", speed_table(sampling))}"""


def elsewhere(numbers, others):
    """Which machine numbers come from, if others beside them come from another."""
    here = machine(numbers)
    return "" if here == machine(others) else f"\nThese times are of another machine: {here}."


def lead(truth):
    """The finding of the table of samplers, in a sentence."""
    wrong = {row["name"]: row["ungrammatical"]["mean"] for row in truth["samplers"]}
    ms = {row["name"]: row["milliseconds_1"] for row in truth["samplers"]}
    best = min((name for name in wrong if name.startswith("diffusion")), key=wrong.get)
    return (
        "**On this language the cached autoregressive model is both faster and better.** It writes a\n"
        f"text in {ms['ar, cached']:.1f} ms, and {100 * wrong['ar, cached']:.1f} % of its texts have a "
        f"mistake. Of the diffusion samplers the one with\nthe fewest wrong texts, "
        f"{best.removeprefix('diffusion, ')}, takes {ms[best]:.1f} ms, and {100 * wrong[best]:.1f} % "
        "of its texts have one."
    )


def page():
    sampling = read("sampling")
    truth = sampling["truth"]
    sizes = truth["parameters"].values()
    return f"""# Speed, honestly

{lead(truth)}

A diffusion or flow model writes all positions at once, in as many steps as one likes. Whether that
is fast depends on what it is compared with, and on how good the texts are. Here is both, for every
sampler: {truth["texts"]} texts of 32 words of the built-in language, whose true distribution is known.

```{{figure}} figures/speed.svg
:alt: Surprise above entropy in nats a word against milliseconds a text, for every sampler, in batches of 1 and 64.

Lower is better, further left is faster; the gray line is the language itself. Diffusion and flow in
8 to 256 steps.
```

```{{dropdown}} All samplers in numbers
{quality_table(sampling)}```

*Surprise above entropy* is the mean surprise of the texts under the truth (with slips of one in a
thousand) minus the entropy of the language, {truth["entropy"]:.3f} nats a word. Texts drawn from the truth
itself score {truth["truth"]["mean"] - truth["entropy"]:z.3f} ± {truth["truth"]["se"]:.3f}. *Calls* and
*positions* say {CALLS}
Times are per text, written alone or with 63 others, on one thread. The best row is in bold.

The baseline is an autoregressive model that caches its past, because that is how such models are
used. Beating one that reads the whole text again for every token would prove nothing.

The models have {min(sizes):,} to {max(sizes):,} parameters and were trained for
{truth["steps"]:,} steps on the same texts. Machine: {machine(sampling)}.
{learning()}{measured()}{context()}{same_seconds()}{recipe()}{tricks()}{counts()}"""


def speed_figure():
    """Surprise above entropy against milliseconds a text, written alone and with 63 others: one
    panel below the other, for a phone to show them with letters that can be read."""
    truth = read("sampling")["truth"]
    curves = {}
    for row in truth["samplers"]:
        name, _, steps = row["name"].rpartition(", ")
        curves.setdefault(name if steps.endswith("steps") else row["name"], []).append(row)
    figure, axes = plt.subplots(2, 1, figsize=(5.5, 6.6), sharex=True, sharey=True)
    for axis, batch in zip(axes, (1, 64), strict=True):
        for name, rows in curves.items():
            ms = [row[f"milliseconds_{batch}"] for row in rows]
            above = [row["surprise"]["mean"] - truth["entropy"] for row in rows]
            model = name.split(",")[0]
            variant = model in curves and name != model  # hollow, and on top of what it varies
            axis.plot(
                ms,
                above,
                color=PALETTE[model],
                marker=MARKERS[model],
                markersize=11 if variant and len(rows) == 1 else 6,
                markerfacecolor="none" if variant else PALETTE[model],
                linestyle="" if len(rows) == 1 else "--" if variant else "-",
                zorder=3 if variant else 2,
                label=name,
            )
        axis.axhline(0, color=GREY, linewidth=1)
        axis.set(xscale="log", title=f"batch of {batch}", ylabel="surprise above entropy, nats")
    axes[-1].set_xlabel("milliseconds a text")
    axes[-1].legend(loc="upper right")
    return figure


def learning():
    return """
## Quality against seconds

```{figure} figures/learning.svg
:alt: Nats per character against seconds of training for the four models, under three recipes.

Four models of 0.8 M parameters learn Tiny Shakespeare for 240 seconds each: `nll_bound` on 32
validation windows, an exact likelihood for ar and mamba and an upper bound for diffusion and flow.
Dashed is the default recipe, dotted the one it replaced, AdamW alone; solid is the default with a shorter
momentum and in bfloat16 (`--muon_momentum 0.9 --dtype bfloat16`, for diffusion and flow also `--lr 0.02`), for
processors that have units for it. The gray line is a 5-gram.
```
"""


def learning_figure():
    """Nats against seconds of the 240-second runs: the second recipe solid, the default dashed, the
    one before it dotted."""
    runs = read("speedrun")
    figure, axis = plt.subplots(figsize=(5.5, 4.6))
    gram = runs["five_gram"]["128"]
    ends, colours = {"5-gram": gram}, {"5-gram": GREY}
    for run in runs["runs"]:
        if run["seed"] or not run["name"].endswith(", 240 s"):
            continue
        name, *which, _ = run["name"].split(", ")
        seconds, nats = ([point[key] for point in run["curve"]] for key in ("seconds", "nats"))
        style = {"second recipe": "-", "old recipe": ":"}.get("".join(which), "--")
        label = f"{name} ({'=' if run['exact'] else '<='})" if style == "-" else None
        axis.plot(seconds, nats, style, color=PALETTE[name], label=label)
        if label:
            ends[label], colours[label] = nats[-1], PALETTE[name]
    axis.axhline(gram, color=GREY, linewidth=1)
    axis.set(xlabel="seconds of training", ylabel="nats per character")
    study_report.name_ends(axis, ends, colours)
    return figure


def measured_before(name):
    """What a benchmark has found, or None where it has not been run."""
    return read(name) if (RESULTS / f"{name}.json").exists() else None


def size(count):
    """Bytes in KiB or MiB."""
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:,.0f} KiB"


def context():
    """The section of the page on speed about the next token behind a long text."""
    numbers = measured_before("context")
    if not numbers:
        return ""
    kept, sizes = numbers["kept"], numbers["parameters"].values()
    ms = {
        name: {p: row["median"] for p, row in rows.items()}
        for name, rows in numbers["milliseconds"].items()
    }
    first, *_, last = positions = [*ms["ar"]]
    others = [name for name in ms if name != "ar"]
    fixed = "\n".join(
        f"`{n}` keeps {size(kept[n][last])} at every position. Its next token takes {ms[n][last]:.1f} ms at {int(last):,}, "
        f"and {ms[n][first]:.1f} ms at {first}."
        for n in others
    )
    assert all(len({*kept[n].values()}) == 1 for n in others), "a state grows: say so"
    quickest = [p for p in positions if all(ms["ar"][p] < ms[n][p] for n in others)]
    if quickest and quickest == positions[: len(quickest)]:
        where = f"up to position {int(quickest[-1]):,}"
    else:
        where = (
            f"at {listed([f'{int(p):,}' for p in quickest] or ['none of these positions'], 'and')}"
        )
    lines = [
        [f"{int(p):,}", *(size(kept[n][p]) for n in ms), *(f"{ms[n][p]:.2f}" for n in ms)]
        for p in positions
    ]
    head = ["position", *(f"{n} keeps" for n in ms), *(f"{n}, ms" for n in ms)]
    return f"""
## The next token of a long text

**At position {int(last):,} `ar` keeps {size(kept["ar"][last])}, and its next token takes {ms["ar"][last]:.1f} ms, {times(ms["ar"][last] / ms["ar"][first])} as long as at {first}.**
{fixed}
Of the three, `ar` is the fastest {where}.

```{{figure}} figures/context.svg
:alt: Memory and milliseconds against the position from {first} to {int(last):,} on a logarithmic axis, in two panels, a line for ar and one for each Mamba. The memory of ar grows with the position, that of the Mambas does not.

What each network keeps of one text (above), and the time for its next token (below). The cache of `ar` grows by
the keys and values of every token; a state has the same size at every position.
```

{folded("Memory and time in numbers", markdown(head, lines))}
Networks of {min(sizes):,} to {max(sizes):,} parameters; they are untrained, which changes neither number. One text on one
thread, without compiling; medians of {numbers["calls"]} calls of {numbers["tokens"]} tokens that end at the position. Of the cache only the part in use
counts: its buffers are as long as the longest text from the beginning. Machine: {machine(numbers)}.
"""


def context_figure():
    """Bytes kept and milliseconds for the next token, against the position."""
    numbers = read("context")
    figure, (above, below) = plt.subplots(2, 1, figsize=(5.5, 6), sharex=True)
    for name, rows in numbers["milliseconds"].items():
        style = dict(color=PALETTE[name], marker=MARKERS[name], label=name)
        positions = [int(p) for p in rows]
        above.plot(positions, [kept / 2**10 for kept in numbers["kept"][name].values()], **style)
        below.plot(positions, [row["median"] for row in rows.values()], **style)
    above.set(xscale="log", yscale="log", ylabel="KiB kept of a text")
    below.set(xlabel="position", ylabel="milliseconds for the next token", ylim=(0, None))
    below.set_xticks(positions, [f"{p:,}" for p in positions])
    below.minorticks_off()
    above.legend()
    return figure


def same_seconds():
    """The section of the page on speed about three networks trained for the same seconds."""
    numbers = measured_before("equal_seconds")
    planned = len(equal.MODELS) * equal.SEEDS
    if not numbers or len(numbers["runs"]) < planned:
        return ""
    by_name = {}
    for run in numbers["runs"]:
        by_name.setdefault(run["name"], []).append(run)
    nats = {name: [run["nats"]["mean"] for run in runs] for name, runs in by_name.items()}
    best, second, *rest = sorted(nats, key=lambda name: statistics.mean(nats[name]))
    (seeds,) = {len(found) for found in nats.values()}
    said = listed(
        [f"`{name}` {statistics.mean(nats[name]):.3f}" for name in (second, *rest)], "and"
    )
    if max(nats[best]) < min(nats[second]):
        surely = f"Every seed of `{best}` is ahead of every seed of `{second}`."
    else:
        surely = f"The seeds of `{best}` and `{second}` overlap, so {seeds} of each cannot tell the two apart."
    lines = [
        [
            name,
            f"{runs[0]['parameters']:,}",
            f"{numbers['step_ms'][name]['median']:.0f}",
            f"{runs[0]['steps']:,}",
            f"{statistics.mean(run['tokens'] for run in runs) / 1e6:.2f} M",
            estimate(runs, "nats"),
        ]
        for name, runs in by_name.items()
    ]
    head = ["model", "parameters", "ms a step", "steps", "characters", "nats per character"]
    return f"""
## Three networks, the same seconds

**After {numbers["seconds"]} seconds of training `{best}` has {statistics.mean(nats[best]):.3f} nats per character, {said}.**
{surely}

{markdown(head, lines)}
All three are autoregressive models of Tiny Shakespeare, trained with the second recipe (`--muon_momentum 0.9 --dtype bfloat16`), so only the
network differs. Before the trainings one step of each was timed in turn, many times, and the medians say how many steps fill the seconds. The exact
likelihood of the whole validation split, in windows of {speedrun.LENGTH}: the mean and the range over {seeds} seeds.
Machine: {machine(numbers)}.
"""


def recipe():
    if not (RESULTS / "search.json").exists():
        return ""
    search = read("search")
    return f"""
## Where the default recipe comes from

{search_finding(search)} So all keep the same recipe.

Every model got the same number of trials, each on the same number of tokens ({search["tokens"]:,}) of
Tiny Shakespeare, scored in nats per character on the same 128 validation windows. A trial changes
one thing in the default; the last trial of each model is a variant that only this model has.

{folded("All trials in numbers", search_table(search))}
One seed each; the best number of each model is in bold. The standard error is over windows of one text,
which lie far apart in it; for another text it would be larger. The trials were scored on the same
split as the runs of the README, for all models.
"""


def tricks():
    """The section of the page on speed that says what was tried, whether or not it helped."""
    numbers = read("tricks")
    rows = [(tried["recipe"], row) for tried in numbers["sets"] for row in tried["trials"]]

    def gain(row):
        return statistics.mean(row["against"]) - statistics.mean(row["nats"])

    twice = [row for _, row in rows if len(row["nats"]) > 1]
    noise = round(statistics.mean(max(row["nats"]) - min(row["nats"]) for row in twice), 2)
    helped = [row for row in twice if gain(row) > noise]
    hurt = [row for row in twice if gain(row) < -noise]
    best = max(twice, key=gain)
    lines = []
    for recipe, row in rows:
        cells = [
            row["trick"],
            recipe,
            row["model"],
            f"{statistics.mean(row['nats']):.3f}",
            f"{-gain(row):+z.3f}",
        ]
        lines.append(bold(cells) if row is best else cells)
    head = ["trick", "on", "model", "nats", "difference"]
    table = markdown(head, lines)
    return f"""
## What else was tried

**Of {len(twice)} trials with two seeds, {len(helped)} helped and {len(hurt)} hurt by more than the noise; the other
{len(twice) - len(helped) - len(hurt)} did not matter.** The largest gain, {gain(best):.3f} nats per character, came from {best["trick"]}
({best["model"]}). Two seeds of one recipe differ by {noise:.2f} on average: a smaller difference says nothing.

{folded("All tricks in numbers", table)}
These are tricks from the speedruns, each tried alone at equal parameters, on Tiny Shakespeare for 300 steps
of 16 windows (or as many tokens), on one thread. The table shows nats per character on {numbers["windows"]} validation
windows (the last set: on all of them), the mean of seeds 0 and 1 (only seed 0 for the long runs), and
the difference from the same recipe without the trick. The best row of two seeds is in bold.

* **What helped**: a shorter momentum, for runs this short, and half the batch for twice the steps, each of
  which costs less than before but more than half. A faster AdamW lowered the loss of masked diffusion
  each time, but within the noise.
* **What did not**: fewer rounds of Newton-Schulz or coarser blocks cost more than they save. Moving each
  matrix only every second step is free with a long momentum and not with a short one. Tables of n-grams,
  skips from the embedding, more convolutions, other depths: nothing outside the noise, except that
  6 layers are too many. Replacing the sum of the two readers of masked diffusion by attention brings nothing.
* **Depth pays later**: 2 wide layers are as good as 4 after 300 steps, and worse after 1,500.
* **No dropout, no more decay**: 2,100 steps read the text four times. Over so few passes, dropout and a larger
  weight decay made `ar` worse (one seed).

Machine: {machine(numbers)}.
"""


def counts():
    """The section of the page on speed that says what counts of the training text add to a model.

    Its numbers are those of `nanoparadigm evaluate --checkpoint pretrained/ar pretrained/mamba
    pretrained/diffusion --counts --json FILE`, without the rows that lean on no model.
    """
    rows = read("counts")["rows"]
    alone = {row["name"]: row["bits_per_character"]["mean"] for row in rows}
    leaning = [row for row in rows if " + " in row["name"]]
    gains = {row["name"].split()[0].removeprefix("pretrained/"): row for row in leaning}
    said = listed(
        [
            f"{alone[row['name'].split()[0]] - row['bits_per_character']['mean']:.3f} (`{name}`)"
            for name, row in gains.items()
        ],
        "and",
    )
    lines = [
        [
            row["name"].removeprefix("pretrained/"),
            with_error(row["bits_per_character"], before="= " if row["exact"] else "<= "),
            f"{row['parameters']:,}",
        ]
        for row in rows
    ]
    return f"""
## What counting adds

**The released networks have hardly any use for counts, which bring {said} bits per
character.** Counting alone, without any network, already gives masked diffusion a bound.

{folded("Networks that lean on n-grams", markdown(["model", "bits per character", "parameters"], lines))}
The logits of a network plus weighted log-probabilities of n-grams of the training text, up to 5 characters long,
to the left and, where the model sees both sides, also to the right. Only the weights of the n-grams, one for each length and
side, are fitted; the released network stays as it is. While they are fitted, the text's own counts are left out.
A count is a number that was learned from the text, too, so the table states how many there are. The same
windows as everywhere; exact or proven, as for any other network. `evaluate --counts` makes the table.
"""


def decodings():
    """What was measured of every way of writing, and steps -> its rows. Older results leave out
    the options, which are those of the registry."""
    numbers = read("decoding")
    for rows in numbers["steps"].values():
        for row in rows:
            if "model" in row:
                known = PRESETS[row["model"]].paradigm.decodings[row["way"]]
                row.setdefault("options", dict(known))
    return numbers, {int(n): rows for n, rows in numbers["steps"].items()}


def decoding_lead(rows, steps):
    """The finding of the table of ways of writing in so many steps, in sentences."""
    mine = [row for row in rows if row.get("model") == "diffusion"]
    best, worst = (f(mine, key=lambda row: row["divergence"]["mean"]) for f in (min, max))
    plain = next(row for row in rows if row["name"] == "ar: plain")
    others = [row for row in rows if "model" in row and row["model"] not in ("ar", "mamba")]
    models = dict.fromkeys(f"`{row['model']}`" for row in others)
    nearest = min(others, key=lambda row: row["divergence"]["mean"])
    gap = nearest["divergence"]["mean"] - plain["divergence"]["mean"]
    error = math.hypot(nearest["divergence"]["se"], plain["divergence"]["se"])
    assert gap > 3 * error, "a way of writing has closed the gap to ar: say so"
    return (
        f"**How a model writes changes its texts a lot, but no way of writing here closes the gap to the\n"
        f"autoregressive model.** In {steps} steps the same diffusion network makes a mistake in {wrong(worst)} of "
        f"its texts with\n{said_way(worst)} and in {wrong(best)} with {said_way(best)}. Of all ways "
        f"in which\n{listed(models, 'and')} write, {said_way(nearest)} of `{nearest['model']}` "
        f"comes nearest to the language:\na divergence of at least {distance(nearest)} nats a "
        f"word, and a mistake in {wrong(nearest)} of the texts. `ar`,\nsampled plainly, has by the same "
        f"measures {distance(plain)} and {wrong(plain)}."
    )


def said_way(row):
    """A way of writing, with the values of its options."""
    given = ", ".join(f"{k} = {v}" for k, v in row["options"].items() if v != row["way"])
    return f"`{row['way']}`" + (f" (`{given}`)" if given else "")


def wrong(row):
    return f"{100 * row['ungrammatical']['mean']:.0f} %"


def distance(row):
    return f"{row['divergence']['mean']:z.3f} ± {row['divergence']['se']:.3f}"


def decoding_page():
    """The book's page on ways of writing."""
    numbers, steps = decodings()
    few, many = sorted(steps)
    of = {row["name"]: row for row in steps[many]}
    cheap = {row["name"]: row for row in steps[few]}
    block_length = of["block: ancestral"]["block_length"]

    def wrong_of(name, rows=of):
        return wrong(rows[name])

    def distance_of(name, rows=of):
        return distance(rows[name])

    def times_as_many(name, rows=of):
        return f"{rows[name]['calls'] / rows['flow: ancestral']['calls']:.0f}"

    def varied(name):
        return f"{of[name]['entropy']['mean']:.3f}"

    def option(name, option):
        return f"{of[name]['options'][option]:g}"

    return f"""# Ways of writing

{decoding_lead(steps[many], many)}

One trained model can write in many ways. Each way draws from a different distribution over texts, and
only some of these are the distribution that the model's likelihood measures. Here are all the ways that the
library knows, for the four models that `make book` trains and for block diffusion, trained for as many
steps, each writing {numbers["texts"]:,} texts of the language of chapter 0.

## What the table says

* **Playing safe removes the mistakes of a good model, not its distance.** `top_p = {option("ar: top_p", "top_p")}` brings ar from {wrong_of("ar: plain")} of
  texts with a mistake to {wrong_of("ar: top_p")}, but its entropy falls from {varied("ar: plain")} to
  {varied("ar: top_p")}: the divergence is {distance_of("ar: plain")} before and {distance_of("ar: top_p")} after.
  mamba, which makes more mistakes, comes nearer with `temperature = {option("mamba: temperature", "temperature")}`: from {distance_of("mamba: plain")} to
  {distance_of("mamba: temperature")}.
* **The order matters when words come one at a time.** Masked diffusion makes a mistake in
  {wrong_of("diffusion: first_hitting")} of its texts in random order (`first_hitting`), {wrong_of("diffusion: left_to_right")} from left to right and
  {wrong_of("diffusion: confidence")} by confidence. With the true posterior there would be no difference: the
  orders differ because this network is wrong in some places more than in others.
* **`nll_bound` bounds the law of `first_hitting`**: one word at a time, in random order. With a step for every
  word, `random_order` draws from the same law: its {wrong_of("diffusion: random_order")} in {many} steps are those of another sample.
  `ancestral` reaches it in the limit of many steps, and has {wrong_of("diffusion: ancestral", cheap)} in {few} and {wrong_of("diffusion: ancestral")} in {many}. No other
  row of masked diffusion is of this law.
* **With several words at a time the same orders lose that advantage.** In {few} steps it is
  {wrong_of("diffusion: random_order", cheap)} in random order, {wrong_of("diffusion: left_to_right", cheap)} from left to right and
  {wrong_of("diffusion: confidence", cheap)} by confidence: neighbours drawn at once do not see each other, and disagree.
* **Blocks help a model that was trained on them.** One word at a time, block diffusion in blocks of {block_length} words
  makes a mistake in {wrong_of("block: first_hitting")} of its texts in random order inside each block and in
  {wrong_of("block: left_to_right")} from left to right, where masked diffusion has {wrong_of("diffusion: first_hitting")} and {wrong_of("diffusion: left_to_right")}.
  Masked diffusion itself gains nothing by writing in {option("diffusion: blocks", "blocks")} blocks: {wrong_of("diffusion: blocks")} by confidence, and
  {wrong_of("diffusion: confidence")} without blocks.
* **Taking words back helps, the flow only with many steps.** In {many} steps, remasking (`eta = {option("diffusion: remasking", "eta")}`) brings diffusion from
  {distance_of("diffusion: ancestral")} to {distance_of("diffusion: remasking")}, with more calls. Extra jumps that undo each
  other (`eta = {option("flow: euler_eta", "eta")}`) bring the flow from {distance_of("flow: euler")} to {distance_of("flow: euler_eta")},
  with as many calls. In {few} steps the same jumps take it from {distance_of("flow: euler", cheap)} to {distance_of("flow: euler_eta", cheap)}.
* **Corrections bring the flow nearer to the language.** Alone, {few} steps have {distance_of("flow: ancestral", cheap)}; with
  {option("flow: corrected", "corrections")} corrections after each, {times_as_many("flow: corrected", cheap)} times the calls, {distance_of("flow: corrected", cheap)}. That is about what {many} steps without
  corrections have, {distance_of("flow: ancestral")}. With both it is {distance_of("flow: corrected")}.

These are one network of each kind and one seed of training: the numbers belong to these networks, the
distributions do not.

## The tables

{folded(f"All ways in numbers, {many} steps", decoding_table(steps[many]))}
Diffusion, flow and block diffusion take {many} steps here, more than a text has words, so that diffusion
with an order reveals one word at a time. With {few} steps it reveals several at a time:

{folded(f"All ways in numbers, {few} steps", decoding_table(steps[few]))}
* **options**: of `sample`, beside the steps, which `first_hitting` and `threshold` ignore. `blocks = {option("diffusion: blocks", "blocks")}`
  makes {option("diffusion: blocks", "blocks")} blocks of {LENGTH // of["diffusion: blocks"]["options"]["blocks"]} words and takes the steps for each, so that the flow needs
  {times_as_many("flow: blocks")} times as many calls. `block_length` is the length of block diffusion's own blocks, which share the steps.
* **network calls**, **positions**: {CALLS.replace(chr(10), " ")}
* **ungrammatical**: the share of texts with a mistake.
* **entropy**: how varied the next word is, given everything that decides it, in nats a word. The language
  has {varied("the truth")}, as measured on as many texts of its own. A writer with less plays safe.
* **divergence**: how far the texts are from the language, a lower bound of the divergence
  $\\mathrm{{KL}}(\\text{{writer}} \\,\\|\\, \\text{{truth}})$ in nats a word. It counts both mistakes and lost variety.
  The last row of the first table, for texts of the language itself, shows how much of it is counting error.
* **surprise**: minus the mean log-probability of the texts under the truth with slips. Playing safe
  lowers it, so it says nothing without the entropy.

`nanoparadigm evaluate --decoding all` measures the same for any model of this language.

## What each of them draws

| way | draws | its likelihood |
| --- | --- | --- |
| ar, mamba: plain | the model | `nll_bound`, exact |
| temperature, top_k, top_p | a sharpened or truncated model | none here |
| diffusion, block: first_hitting | one word at a time in random order, of block diffusion inside each block | `nll_bound`, a bound |
| diffusion, block: random_order | the same with a step for every word, otherwise another law | `nll_bound`, a bound, with a step for every word |
| diffusion, block: ancestral | in the limit of many steps, the law of first_hitting | `nll_bound`, a bound, in that limit |
| diffusion, block: left_to_right | with a step for every word, the chain rule with all later words masked | `left_to_right_nll`, exact |
| diffusion: confidence, cosine, threshold | an order that the words themselves decide | `decoding_nll`, exact |
| block: confidence, cosine, threshold | the same inside each block | none here |
| diffusion, block: remasking | with the true posterior the same marginals, with a network another distribution | none here |
| diffusion, block, flow: blocks | each block given the blocks before it | none here |
| flow: ancestral | in the limit of many steps, the reversal | `nll_bound`, a bound, in that limit |
| flow: euler, euler_eta | with the true posterior the same, with a network another distribution | none here |
| flow: corrected | with the true posterior the same, in fewer steps | none here |

With the exact posterior of the language in place of the network, every way that does not sharpen draws
from the language itself, in the limit of many steps or of one word at a time. Chi-square tests check this.

Machine: {machine(numbers)}.
"""


def records_table(kind, found):
    """The records of the exact models or of the bounds, those of a line by their ratio."""
    if not found:
        return "None yet: be the first.\n"
    lines = []
    for line in kind:
        here = [record for record in found if record["line"] == line]
        for record in sorted(here, key=record_ratio):
            nats = [run["nats"] for run in record["runs"]]
            seconds = statistics.mean(run["seconds"] for run in record["runs"])
            lines.append(
                [
                    f"{line}, {record['model']}: {record['what']}",
                    f"{record_ratio(record):.2f}",
                    f"{seconds:,.0f}",
                    f"{statistics.mean(nats):.3f} ({min(nats):.3f} to {max(nats):.3f})",
                    f"{records.p_value(nats, kind[line]):.0e}",
                    f"{record['parameters']:,}",
                    f"{record['by']}, {record['date']}",
                ]
            )
    head = ["line and recipe", "x classic", "seconds", "nats of the seeds", "p", "parameters", "by"]
    return markdown(head, lines)


def record_ratio(record):
    """The seconds of a record over those of the classic recipe on the same machine."""
    return statistics.mean(run["seconds"] for run in record["runs"]) / record["classic_seconds"]


def records_page():
    """The book's page of records."""
    found = [json.loads(p.read_text("utf-8")) for p in sorted(records.RECORDS.glob("*.json"))]
    bounds = [record for record in found if records.lines(record["model"]) is records.BOUND]
    exact = [record for record in found if record not in bounds]
    machines = sorted({machine(record) for record in found})
    return f"""# Records

How many seconds of training does it take to model Tiny Shakespeare so well, with at most
{records.MOST_PARAMETERS:,} parameters on two threads? Speedruns have taught large language models much; this one
is small enough to be tried on a laptop in a coffee break, and it has a class for models whose
likelihood is only bounded.

A line is reached if the mean over seeds is below it with p < {records.LEVEL}. Records of a line are ranked by
their seconds over those of the classic recipe (LayerNorm, GELU, learned positions, AdamW,
{classic.STEPS:,} steps), taken on the same machine at the same time.

## Exact likelihoods

{records_table(records.EXACT, exact)}
5-gram is {records.EXACT["5-gram"]} nats a character, which counting takes some seconds to reach.

## Upper bounds

{records_table(records.BOUND, bounds)}
The number is `nll_bound` in nats a character over the whole validation split, in windows of
{speedrun.LENGTH} characters ({classic.LENGTH} for the classic model). Machines: {"; ".join(machines)}.

## Enter one

The rules are seven sentences in `benchmarks/records/README.md`, an entry is one file, and one command
trains its seeds and says whether it may stand here:

    python benchmarks/records.py run benchmarks/records/yours.json
"""


STUDIES = {
    "tiny": "The language whose truth is known",
    "shakespeare": "Tiny Shakespeare, in characters",
}


def schedules_page():
    """The book's page on the studies of noise schedules."""
    stored = {name: study_report.stored(name) for name in STUDIES}
    parts = "\n".join(study_section(name, facts) for name, facts in stored.items())
    return f"""# Six schedules, measured

Chapter 6b asks [whether the noise schedule matters](06b-schedules.md) and explains how to read what
follows: two studies of masked diffusion in which only the schedule, the masking and the seed differ,
and every model is measured by the same bound. A script wrote every number on this page from the results.

{study_summary(stored)}
{parts}"""


def study_summary(stored):
    """What the studies say together, and what they cannot tell."""
    found = {name: facts["found"] for name, facts in stored.items()}

    def each(said):
        """said(name) of every study, in one phrase."""
        return " and ".join(f"{said(name)} in *{name}*" for name in stored)

    def spread(name, measure):
        values = found[name]["uniform"][measure].values()
        return max(values) - min(values)

    def masking(name):
        return "{mean:+.3f} ({low:+.3f} to {high:+.3f})".format(
            **found[name]["entropy_minus_uniform"]["all"]
        )

    better = {tuple(pair) for f in found.values() for pair in f["uniform"]["better"]}
    always = [p for p in better if all([*p] in f["uniform"]["better"] for f in found.values())]
    turned = [(a, b) for a, b in better if (b, a) in better]
    loser = {b: sorted(a for a, worse in always if worse == b) for _, b in sorted(always)}
    pairs = "; ".join(
        f"{study_report.listed(a)} {'is' if len(a) == 1 else 'are'} better than {b}"
        for b, a in loser.items()
    )
    opposite = "; ".join(f"{a} and {b}" for a, b in sorted(turned) if a < b) or "none"
    written = stored["tiny"]["trials"].values()
    mauve = [t["written"]["mauve"]["mean"] for t in written]
    wrong = min(t["written"]["ungrammatical"]["mean"] for t in written)
    real = next(iter(written))["real"]["mauve"]["mean"]
    return f"""* **The schedules differ little.** With uniform masks, the best and the worst differ by {each(lambda n: f"{spread(n, 'means'):.3f} nats per token")}.
* **Their own exams differ a lot**, by {each(lambda n: f"{spread(n, 'own_exams'):.3f}")}, and rank them in a different order. A schedule's own exam is its training-schedule loss.
* **Outside the noise in both studies:** {pairs}. Pairs that the two studies rank in opposite order: {opposite}.
* **Masking by entropy makes the bound worse**, by {each(masking)} nats per token, with intervals over seeds.
* **MAUVE hardly notices the mistakes.** In *tiny*, at least {100 * wrong:.0f} % of the texts contain a mistake under
  every schedule. Yet they score {min(mauve):.2f} to {max(mauve):.2f}, and real texts {real:.2f}: the network whose states
  MAUVE compares is as small as the models it judges. Measured against the language itself, in the columns
  *surprise* and *divergence*, the mistakes show.

These studies cannot say whether the same holds for longer training, larger networks, or texts in words.
If you have the machine to find out, use the preset `fineweb-124m`.
"""


def study_section(name, facts):
    study = facts["study"]
    settings, sizes = study["settings"], study["sizes"]
    tokens = settings["max_steps"] * settings["batch_size"] * sizes["block_size"]
    trials = facts["trials"]
    models = with_winners(study_report.model_quality_table(trials), facts["found"])
    models += "\n" + typeset(study_report.model_quality_notes(trials))
    samples = study_report.sample_quality_table(trials)
    samples += "\n" + typeset(study_report.sample_quality_notes(trials))
    return f"""## {STUDIES[name]}

`nanoparadigm study --preset {name}`: {len(study["seeds"])} seeds of six schedules and two maskings, a
network of {sizes["n_layer"]} layers and width {sizes["n_embd"]}, {settings["max_steps"]:,} steps of
{settings["batch_size"]} texts of {sizes["block_size"]} tokens, {tokens / 1e6:.2g} M tokens in all.

{models_finding(facts["found"])}

```{{figure}} figures/schedules-{name}-forest.svg
:alt: For each schedule and masking, by how much its bound exceeds that of the linear schedule, with an interval over seeds; a grey band shows which differences may be noise.

The bound minus that of the linear schedule, in nats per token. The bars are intervals over seeds;
differences within the grey band cannot be told from noise.
```

{folded("How good the models are, in numbers", models)}
{samples_finding(facts["trials"])}

{folded("How good their samples are, in numbers", samples)}
```{{dropdown}} Every comparison in words
{study_report.verdict(facts["found"])}

Intervals are bootstrap intervals of paired differences, resampled over seeds.
```

```{{figure}} figures/schedules-{name}-curves.svg
:alt: The bound against training steps, a line in a shaded band for each schedule, one panel for each masking.

During training: the mean and the range over seeds of the common bound on {settings["eval_windows"]} windows.
```

{len(facts["trials"])} trials, configuration {facts["hash"]}. Machine: {machine(facts)}.
"""


def unbeaten(found):
    """The schedules than which no other is better outside the noise, under one masking."""
    worse = {b for _, b in found["better"]}
    return [name for name in found["means"] if name not in worse]


def winner(found):
    """The schedule that is better than every other outside the noise, or None."""
    for name in found["means"]:
        if sum(a == name for a, _ in found["better"]) == len(found["means"]) - 1:
            return name
    return None


def models_finding(found):
    """What the table of models says, in sentences."""
    under = {masking: found[masking] for masking in study_report.MASKINGS}
    said = "; ".join(
        f"with {masking} masking, no schedule beats {study_report.listed(unbeaten(f), 'or')}"
        for masking, f in under.items()
    )
    winners = [f"{winner(f)} ({masking} masking)" for masking, f in under.items() if winner(f)]
    if winners:
        end = f"In bold: {study_report.listed(winners)}, better than every other outside the noise."
    else:
        end = "No row of the table is in bold, because no schedule is better than all others outside the\nnoise."
    return f"**Outside the noise: {said}.**\n{end}"


def samples_finding(trials):
    """What the table of samples says, in a sentence."""
    judged = {
        f"{schedule}, {masking} masking": statistics.mean(
            t["written"]["judged"]["mean"] for t in kind
        )
        for schedule, masking, kind in study_report.kinds(trials)
    }
    first = next(iter(trials.values()))
    real = first["real"]["judged"]["mean"]
    low, high = min(judged, key=judged.get), max(judged, key=judged.get)
    return (
        f"**No schedule writes texts that pass for real ones.** Under {first['judge']}, real texts "
        f"score\n{real:.2f} nats per token, and samples from {judged[low]:.2f} ({low}) to "
        f"{judged[high]:.2f} ({high})."
    )


def with_winners(table, found):
    """A table of `study_report` with the rows in bold that are better than every other."""
    best = {(winner(found[masking]), masking) for masking in study_report.MASKINGS}
    head, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    ]
    return markdown(head, [bold(cells) if tuple(cells[:2]) in best else cells for cells in lines])


TYPESET = {
    "|E g|^2 / E |g - E g|^2": r"$|\mathbb{E}\,g|^2 / \mathbb{E}\,|g - \mathbb{E}\,g|^2$",
    "E[-log p]": r"$\mathbb{E}[-\log p]$",
    "the exact -log p": r"the exact $-\log p$",
    "KL(language || model)": r"$\mathrm{KL}(\text{language} \,\|\, \text{model})$",
    "KL(model || language)": r"$\mathrm{KL}(\text{model} \,\|\, \text{language})$",
}


def typeset(notes):
    """The notes of a study with their formulas as mathematics of the book."""
    for plain, formula in TYPESET.items():
        notes = notes.replace(plain, formula)
    return notes


READERS = "exact posterior", "rules of one cell"
SHORT = {
    "exact posterior": "exact",
    "rules of one cell": "rules",
    "confidence in the digit drawn": "digit drawn",
    "solver's order, cell given": "solver's, cell given",
}


def orders():
    """(model, order) -> what was measured of it, a dict for each seed."""
    found = {}
    for run in read("sudoku")["runs"]:
        for order, row in run["orders"].items():
            found.setdefault((run["name"].split(",")[0], order), []).append(row)
    names = [*READERS, "ar", "diffusion"]
    return dict(sorted(found.items(), key=lambda item: names.index(item[0][0])))


def wilson(share, n):
    """A share of n and its 95 % interval of Wilson's."""
    z2 = 1.96**2 / n
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    return share, middle - half, middle + half


def interval(name, rows, key):
    """The mean and the 95 % interval of a measure, over seeds or, of a reader, over puzzles."""
    values = [row[key] for row in rows]
    if name not in READERS:
        return student(values)
    if key in ("one", "unseen"):
        return wilson(values[0], read("sudoku")["tests"][key])
    return values[0], values[0], values[0]


def share(name, rows, key):
    """A share in percent, with its interval."""
    mean, low, high = (100 * x for x in interval(name, rows, key))
    around = f" ({max(low, 0):.1f} to {min(high, 100):.1f})" if high > low else ""
    return f"{mean:.1f}{around}"


def excess(name, order, rows):
    """The nats above the uniform law over the solutions, or a bound of them."""
    if "excess" not in rows[0]:
        return ""
    mean, low, high = interval(name, rows, "excess")
    bound = order == "random order" or (name == "ar" and not order.endswith("cell given"))
    sign, around = "<= " if bound else "", ""
    if high > low:
        around = f" ({low:z.2f} to {high:z.2f})"
    return f"{sign}{mean:z.2f}{around}"


def order_table():
    numbers = read("sudoku")
    head = [
        "model", "order", "one solution: solved, %", "the same, grids never seen",
        "several solutions: valid, %", f"found in {numbers['draws']} answers, %", "excess, nats",
    ]  # fmt: skip
    lines = [
        [
            f"`{name}`" if name in PALETTE else name,
            order,
            *(share(name, rows, key) for key in ("one", "unseen", "valid", "found")),
            excess(name, order, rows),
        ]
        for (name, order), rows in orders().items()
    ]
    return markdown(head, lines, left=2)


def order_figure():
    """How often a puzzle with one solution is solved, and how many of several are found."""
    numbers, found = read("sudoku"), orders()
    figure, axes = plt.subplots(1, 2, figsize=(5.5, 5.0), sharey=True)
    best = {"one": 1.0, "found": numbers["best_found"]}
    titles = {"one": "one solution:\nsolved, %", "found": "several solutions:\nfound, %"}
    for axis, key in zip(axes, best, strict=True):
        axis.axvline(100 * best[key], color=GREY, linewidth=1)
        for y, ((name, _), rows) in enumerate(found.items()):
            mean, low, high = interval(name, rows, key)
            colour = PALETTE.get(name, GREY)
            axis.plot([100 * max(low, 0), 100 * min(high, 1)], [y, y], color=colour)
            axis.plot(100 * mean, y, MARKERS.get(name, "D"), color=colour)
            axis.plot([100 * row[key] for row in rows], [y] * len(rows), "|", color=colour)
        axis.set_title(titles[key])
    names = [f"{SHORT.get(name, name)}: {SHORT.get(order, order)}" for name, order in found]
    axes[0].set_yticks(range(len(found)), names)
    axes[0].invert_yaxis()
    return figure


def mean_share(found, name, order, key):
    """A share in percent, without its interval."""
    return f"{100 * interval(name, found[name, order], key)[0]:.0f} %"


def order_gap(found, better, worse, key):
    """By how many points one way is ahead of another, paired by seed: mean, low and high."""
    pairs = zip(found[better], found[worse], strict=True)
    return student([100 * (a[key] - b[key]) for a, b in pairs])


def points(gap):
    """A difference in points, with its interval."""
    mean, low, high = gap
    return (
        f"{abs(mean):.0f} points ({min(abs(low), abs(high)):.0f} to {max(abs(low), abs(high)):.0f})"
    )


def order_lead(found):
    """The finding of the study of orders, in sentences."""
    by_row, confident = ("diffusion", "row order"), ("diffusion", "confidence")
    assert order_gap(found, confident, by_row, "one")[1] > 0, "confidence is not ahead: say so"
    assert order_gap(found, by_row, confident, "found")[1] > 0, "nothing is lost: say so"

    def said(key, order):
        return mean_share(found, "diffusion", order, key)

    return (
        f"**With the same network, confidence order solves more puzzles, and its answers vary less.** `diffusion` solves\n"
        f"{said('one', 'row order')} of the puzzles that have one solution if it fills the cells in row order, and {said('one', 'confidence')} if it "
        f"first fills the\ncells it is surest of. But if a puzzle has several solutions, eight answers find {said('found', 'row order')} of them in row "
        f"order,\n{said('found', 'confidence')} in confidence order, and {said('found', 'confidence in the digit drawn')} if the order also looks at the digits drawn."
    )


def order_trained(found):
    """What the trained networks say of orders, in a list."""
    confident, at_random, by_row = "confidence", "random order", "row order"
    drawn, solver = "confidence in the digit drawn", "solver's order"

    def said(key, order, name="diffusion"):
        return mean_share(found, name, order, key)

    def ahead(better, worse, key, name="diffusion"):
        return points(order_gap(found, (name, better), (name, worse), key))

    def nats(order):
        return f"{interval('diffusion', found['diffusion', order], 'excess')[0]:.2f} nats"

    told = "ar", f"{solver}, cell given"
    pair = ("diffusion", at_random), ("diffusion", confident)
    _, low, high = order_gap(found, *pair, "found")
    assert low < 0 < high, "random order and confidence differ in what they find: say so"
    assert order_gap(found, told, ("ar", by_row), "one")[1] < 0, "the solver's order helps: say so"
    return f"""* **One network, several orders.** `diffusion` solves {said("one", at_random)} of the puzzles with one solution in random order,
  {said("one", by_row)} in row order and {said("one", confident)} in confidence order, which is {ahead(confident, by_row, "one")} more than in row order.
  In the same three orders it solves {said("unseen", at_random)}, {said("unseen", by_row)} and {said("unseen", confident)} if the grid was never seen in training: the network has
  mostly learned the rules, and not the grids by heart.
* **In confidence order the answers vary less.** {said("valid", confident)} of the answers to puzzles with several solutions are valid in
  confidence order, and {said("valid", by_row)} in row order. Still, eight answers in confidence order find {ahead(by_row, confident, "found")} fewer of the
  solutions, and the divergence from the uniform distribution is {nats(confident)} a puzzle instead of {nats(by_row)}. In random
  order {said("valid", at_random)} of the answers are valid, and eight answers find {said("found", at_random)} of the solutions. Three seeds are too few to tell whether
  that is more than in confidence order.
* **Looking at the digit drawn loses the most variety.** {said("valid", drawn)} of these answers are valid, yet eight of them find only
  {said("found", drawn)} of the solutions, {ahead(confident, drawn, "found")} fewer than in confidence order.
* **The solver's order did not help `ar` at this budget.** In row order `ar` solves {said("one", by_row, "ar")} of the puzzles with one solution.
  The solver's order takes the cell with the fewest candidates first. In that order `ar` also has to work out which cell comes next,
  and it solves {said("one", solver, "ar")}; if it is told the cell, it solves {said("one", told[1], "ar")}. On 9 x 9 puzzles
  [Shah et al. 2024](https://arxiv.org/abs/2409.10502) found the opposite: their transformer learned Sudoku from a solver's
  steps, and failed to learn it without them. In our small puzzles most cells have a single candidate left even in row order."""


def order_papers(found):
    """What the study says of the two papers that disagree."""
    by_row, confident = ("diffusion", "row order"), ("diffusion", "confidence")
    for rival in ("row order", "solver's order, cell given"):
        gap = order_gap(found, confident, ("ar", rival), "one")
        assert gap[1] > 0, f"confidence is not ahead of ar, {rival}: say so"
    ahead = points(order_gap(found, confident, ("diffusion", "random order"), "one"))
    lost = points(order_gap(found, by_row, confident, "found"))
    return f"""They measure different things, and here both effects appear in one network.

* *One right answer* (Kim et al.): confidence order solves {ahead} more of the puzzles with one solution than
  random order. It also solves more than `ar` in either order.
* *Many different answers* (Ni et al.): confidence order finds {lost} fewer of the solutions than row order. The order alone
  cannot be the reason, since the exact posterior loses nothing in confidence order: the network's errors must play a part. But
  if the drawn digit decides which cell is filled, variety is lost even with the exact posterior.

We did not measure where this network's errors lie. A plausible explanation is that a cell about which the network is wrongly
sure gets filled first, and all later cells have to agree with it. And a Sudoku of 16 cells says nothing about
reasoning in sentences or about reinforcement learning, which Ni et al. study."""


def order_page():
    """The book's page on the order in which cells are filled."""
    numbers, found = read("sudoku"), orders()
    size = {run["name"]: run.get("parameters") for run in numbers["runs"]}
    (steps,) = {run["steps"] for run in numbers["runs"] if "steps" in run}
    seeds, sizes = len(found["diffusion", "confidence"]), numbers["sizes"]
    drawn, best = numbers["exact_drawn"], numbers["best_found"]

    def said(name, order, key):
        return mean_share(found, name, order, key)

    def forced(order):
        return f"{100 * numbers['forced'][order]:.0f} %"

    def valid(order, calls):
        return f"{100 * numbers['calls'][order][str(calls)]:.0f} %"

    return f"""# When order matters

{order_lead(found)}

Masked diffusion can fill the gaps of a text in any order. Two papers disagree about what this freedom brings:

* [Kim et al. 2025](https://arxiv.org/abs/2502.06768) fill Sudokus. If a masked diffusion model starts with the
  cells it is surest of, it solves about 90 % of them; in random order it solves less than 7 %. It also beats autoregressive
  models with seven times as many parameters that were taught a good order.
* [Ni et al. 2026](https://arxiv.org/abs/2601.15165) ask large diffusion language models for many answers to each
  problem in mathematics and code. In their experiments the free order postpones uncertain tokens until little is left to
  choose. Then many answers together solve fewer problems than the same number of answers written from left to right.

The first paper counts solved puzzles. The second counts problems that at least one of many answers solves, which takes
variety. With Sudokus of 4 x 4 cells we can measure both, because there are only 288 grids: we can list the solutions of
any puzzle, and count how many of them the answers find.

```{{figure}} figures/order.svg
:alt: For every model and order, the share of puzzles with one solution that it solves, and the share of the solutions that it finds of puzzles with several, with intervals over seeds.

Puzzles with one solution ask for the right answer, puzzles with several ask for variety. The grey
lines are the best that any model can do: even a perfect one finds only {100 * best:.0f} % of the solutions in {numbers["draws"]} independent answers.
Small ticks are seeds, and bars are 95 % intervals. *Exact* is the exact posterior, and *rules* is the denoiser that
only excludes digits. The text below explains both, and *digit drawn*.
```

## What an order costs without any training

* **The exact posterior needs no order.** One cell at a time, it solves every puzzle in row, random and confidence order, and
  it draws every solution equally often. So these orders can only help a model that is wrong somewhere.
* **A good order makes hard questions easy.** Take a denoiser that excludes only the digits in the same row,
  column and box, and guesses among the rest. In row order, {forced("row")} of the cells have a single candidate left when their
  turn comes. In random order it is {forced("random")}, and if the cell with the fewest candidates comes first, {forced("solver")}. This last order is the
  denoiser's own confidence order. So it solves {said("rules of one cell", "row order", "one")} of the puzzles with one solution in row order, {said("rules of one cell", "random order", "one")} in random
  order and {said("rules of one cell", "confidence", "one")} in confidence order.
* **An order that looks at the digit drawn loses variety, even with the exact posterior.** At a temperature above 0, the
  [published code of LLaDA](https://github.com/ML-GSAI/LLaDA/blob/main/generate.py) draws a token for every blank and keeps
  the drawn tokens that are most probable. If a Sudoku is filled like that, one cell at a time, probable digits win more often
  than they should: {numbers["draws"]} answers find {100 * drawn["found"]:.0f} % of the solutions instead of {100 * best:.0f} %, and the divergence from the uniform distribution is
  {drawn["excess"]:.2f} nats a puzzle. If the cell is chosen by its largest probability *before* anything is drawn, nothing is lost.
* **Several cells in one call do not see each other.** If the exact posterior fills a puzzle with several solutions in 4 calls,
  {valid("row order", 4)} of its answers are valid in row order, {valid("random order", 4)} in random order and {valid("confidence", 4)} in confidence order.

## What training adds

{order_trained(found)}

## What this says about the two papers

{order_papers(found)}

## In numbers

{folded("Every model and order in numbers", order_table())}
* **solved**, **valid**: the share of answers that are one of the puzzle's solutions. Each answer is drawn at temperature 1.
  *One solution*: {numbers["tests"]["one"]} puzzles whose solution is a grid that the models were trained on, in other puzzles. *Grids never seen*: {numbers["tests"]["unseen"]} puzzles
  whose only solution is one of the 72 grids that were left out of training. *Several solutions*: {numbers["tests"]["several"]} puzzles with 4 to 8 solutions, {numbers["solutions"]:.1f} on
  average, all of them grids that the models were trained on. Every puzzle has 4 to 8 given cells.
* **found**: the share of a puzzle's solutions that {numbers["draws"]} answers find.
* **excess**: the divergence of the model's answers from the uniform distribution over the solutions,
  $\\mathrm{{KL}}(\\text{{solutions}} \\,\\|\\, \\text{{model}})$ in nats a puzzle: $-\\log p$ of a solution minus the logarithm of their number.
  It is exact where the visible cells determine the next cell. For random order, and for an `ar` that chooses the cells itself,
  it is an upper bound, because several orders lead to the same grid. For confidence in the digit drawn we compute no likelihood of the
  networks' answers.
* **cell given**: `ar` is told which cell comes next, and draws only its digit.
* Intervals are 95 % intervals: Student's t over {seeds} seeds, all tested on the same puzzles, and Wilson's over puzzles for the two
  denoisers that need no training. A difference is paired by seed.

The networks are transformers of {sizes["n_layer"]} layers and width {sizes["n_embd"]}. `ar` has {size["ar, row order"]:,} parameters and `diffusion` {size["diffusion"]:,}. All were
trained for {steps:,} steps with the default recipe. `ar` writes the given cells and then the others, one word for each, `a1=2 b3=4 | a2=1 ...`, and is trained only on
the part behind the bar. One `ar` writes these cells in row order, another in the order of a
solver that always fills a cell with the fewest candidates. Each step reads {numbers["batch"]} grids. For each grid a share of
hidden cells is drawn between 0 and 1, by the same rule for `diffusion` and `ar`.

Under the rules, the 288 grids are equally likely, but a network can also remember the {288 - 72} that it was trained on. The puzzles
here are small, so are the networks, and training is short: the numbers hold under these conditions. `benchmarks/sudoku.py` computes them.

Machine: {machine(numbers)}.
"""


def draw(folder):
    """Write every figure of these pages, in the book's style, as SVG that is the same every time."""
    figures = {"speed": speed_figure(), "learning": learning_figure(), "order": order_figure()}
    if measured_before("context"):
        figures["context"] = context_figure()
    for name in STUDIES:
        facts = study_report.stored(name)
        figures[f"schedules-{name}-curves"] = study_report.curves(facts["trials"])
        figures[f"schedules-{name}-forest"] = study_report.forest(facts["found"])
    folder.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.svg", metadata=dict(Date=None))


def between_marks(text, section):
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: section, text, flags=re.S)


if __name__ == "__main__":
    with plt.style.context("nanoparadigm.show.book"):
        draw(ROOT / "book/figures")
    readme = ROOT / "README.md"
    readme.write_text(between_marks(readme.read_text(encoding="utf-8"), headline()), "utf-8")
    files = ROOT / "book" / "four-files.md"
    files.write_text(between_marks(files.read_text(encoding="utf-8"), micro_section()), "utf-8")
    (ROOT / "book" / "speed.md").write_text(page(), "utf-8")
    (ROOT / "book" / "decoding.md").write_text(decoding_page(), "utf-8")
    (ROOT / "book" / "schedules.md").write_text(schedules_page(), "utf-8")
    (ROOT / "book" / "records.md").write_text(records_page(), "utf-8")
    (ROOT / "book" / "order.md").write_text(order_page(), "utf-8")
