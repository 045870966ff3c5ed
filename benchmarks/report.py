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
import matplotlib.pyplot as plt
import records
import speedrun
from measure import RESULTS

import micro
from nanoparadigm.evaluate.tables import decoding_table, markdown
from nanoparadigm.show.figures import GREY, MARKERS, PALETTE
from nanoparadigm.studies.schedules import report as study_report

ROOT = Path(__file__).parent.parent
BEGIN = "<!-- performance: made by benchmarks/report.py from benchmarks/results -->"
END = "<!-- performance: end -->"


def read(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def times(x):
    return f"{x:.1f}x"


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


def profile_line(numbers, which="profile"):
    shares = numbers["kept"][which]
    return ", ".join(f"`{name}` {share:.0%}" for name, share in shares.items() if share >= 0.01)


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


def quality_table(numbers):
    truth = numbers["truth"]
    lines = []
    for row in truth["samplers"]:
        excess = row["surprise"]["mean"] - truth["entropy"]
        lines.append(
            [
                row["name"],
                f"{row['calls']:,}",
                f"{row['positions']:,.0f}",
                f"{row['milliseconds_1']:.1f}",
                f"{row['milliseconds_64']:.2f}",
                f"{excess:z.3f} ± {row['surprise']['se']:.3f}",
                f"{100 * row['ungrammatical']['mean']:.1f} %",
            ]
        )
    head = [
        "sampler", "calls", "positions", "ms, batch 1", "ms, batch 64", "excess, nats a word",
        "ungrammatical",
    ]  # fmt: skip
    return markdown(head, lines)


def search_table(numbers):
    found = {}
    for row in numbers["trials"]:
        found.setdefault(row["trial"], {})[row["model"]] = row
    models = list(next(iter(found.values())))
    lines = [
        [trial, *(f"{rows[m]['mean']:.3f}" if m in rows else "" for m in models)]
        for trial, rows in found.items()
    ]
    return markdown(["trial", *models], lines)


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

One machine ({machine(step)}) that did nothing else; medians.
Only ratios carry over to another.

{scan_table(scan)}
The scan alone, forward and backward, D=256 N=16, against the parallel scan of mambapy
{scan["machine"]["mambapy"]}. Memory kept: under `nanoparadigm.commands.allocator.keep_memory()`, which the
commands call. The yardstick `fused in C++` (`benchmarks/fused_scan.py`) needs a compiler and holds in registers
what `blocked`, made of PyTorch's operations, writes to the cache and reads again, about twenty times.

{step_table(step)}
B=32 L=128, forward and backward. Utilisation is 6 x parameters x tokens over the time, as a
share of the {step["kept"]["gflops"]:.0f} GFLOP/s of a float32 matrix product here; bfloat16 is automatic
mixed precision, with memory kept. The transformer's step: {profile_line(step)}. Mamba's:
{profile_line(step, "profile_mamba")}.

{speedrun_table(runs)}
Tiny Shakespeare, about 0.8 M parameters, nats per character on the whole validation split: the mean
and the range over seeds, or one seed and the standard error for another text like this one, from blocks
of windows; between two models most of it cancels. `classic` is LayerNorm, GELU, learned positions and
AdamW. The second recipe is `--muon_momentum 0.9 --dtype bfloat16`, for diffusion and flow also `--lr 0.02`.
The machine is a virtual one whose speed varies by a third from run to run: look at the characters too.
A 5-gram has {gram["None"]:.3f}, in windows of 64 {gram["64"]:.3f}, of 128
{gram["128"]:.3f}. Seconds of the shortest run that ended at or below a line:

{leaderboard(runs)}
{speed_table(sampling)}
"""


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
is fast depends on what it is compared with, and on what the texts are worth. Here both are on the
table: every sampler writes {truth["texts"]} texts of 32 words of the built-in language, whose truth
is known.

```{{figure}} figures/speed.svg
:alt: Excess in nats a word against milliseconds a text, for every sampler, in batches of 1 and 64.

Lower is better, further left is faster; the gray line is the language itself. Diffusion and flow in
8 to 256 steps.
```

```{{dropdown}} All samplers in numbers
{quality_table(sampling)}```

Excess is the mean surprise of the texts under the truth (with slips of one in a thousand) minus
the entropy of the language, {truth["entropy"]:.3f} nats a word. Texts drawn from the truth itself
score {truth["truth"]["mean"] - truth["entropy"]:z.3f} ± {truth["truth"]["se"]:.3f}. Positions are the
token positions that the network computed for one text. Times are per text, written alone or with 63
others, on one thread.

An autoregressive model that keeps its past comes first, because that is how such a model is used:
to compare with one that reads the whole text anew for every token is to win against nobody.

The models have {min(sizes):,} to {max(sizes):,} parameters and were trained for
{truth["steps"]:,} steps on the same texts. Machine: {machine(sampling)}.
{learning()}{measured()}{recipe()}{tricks()}"""


def speed_figure():
    """Excess against milliseconds a text, written alone and with 63 others."""
    truth = read("sampling")["truth"]
    curves = {}
    for row in truth["samplers"]:
        name, _, steps = row["name"].rpartition(", ")
        curves.setdefault(name if steps.endswith("steps") else row["name"], []).append(row)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
    for axis, batch in zip(axes, (1, 64), strict=True):
        for name, rows in curves.items():
            ms = [row[f"milliseconds_{batch}"] for row in rows]
            excess = [row["surprise"]["mean"] - truth["entropy"] for row in rows]
            model = name.split(",")[0]
            variant = model in curves and name != model  # hollow, and on top of what it varies
            axis.plot(
                ms,
                excess,
                color=PALETTE[model],
                marker=MARKERS[model],
                markersize=11 if variant and len(rows) == 1 else 6,
                markerfacecolor="none" if variant else PALETTE[model],
                linestyle="" if len(rows) == 1 else "--" if variant else "-",
                zorder=3 if variant else 2,
                label=name,
            )
        axis.axhline(0, color=GREY, linewidth=1)
        axis.set(xscale="log", xlabel="milliseconds a text", title=f"batch {batch}")
    axes[0].set_ylabel("excess, nats a word")
    axes[1].legend(fontsize="small")
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
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for run in runs["runs"]:
        if run["seed"] or not run["name"].endswith(", 240 s"):
            continue
        name, *which, _ = run["name"].split(", ")
        seconds, nats = ([point[key] for point in run["curve"]] for key in ("seconds", "nats"))
        style = {"second recipe": "-", "old recipe": ":"}.get("".join(which), "--")
        label = f"{name} ({'=' if run['exact'] else '<='})" if style == "-" else None
        axis.plot(seconds, nats, style, color=PALETTE[name], label=label)
    axis.axhline(runs["five_gram"]["128"], color=GREY, linewidth=1)
    axis.set(xlabel="seconds of training", ylabel="nats per character")
    axis.legend(fontsize="small")
    return figure


def recipe():
    if not (RESULTS / "search.json").exists():
        return ""
    search = read("search")
    error = max(row["se"] for row in search["trials"])
    return f"""
## Where the default recipe comes from

The same number of trials for every paradigm, each on the same number of tokens
({search["tokens"]:,}) of Tiny Shakespeare, scored in nats per character on the same 128 validation
windows. A trial changes one thing in the default; the last of each is a variant that only it has.

{search_table(search)}
One seed each. The spread over the windows alone gives a number an error of {error:.2f} at most; these
windows lie far apart in one text, so for another text it is larger. No single change is better than
the default for one of the four by more than that, so all four keep the same recipe. The split
tuned on is the one on which the runs of the README are scored, for all four alike.
"""


def tricks():
    """The section of the page on speed that says what was tried, whether or not it helped."""
    numbers = read("tricks")
    lines = []
    for tried in numbers["sets"]:
        for row in tried["trials"]:
            mean, against = (statistics.mean(row[key]) for key in ("nats", "against"))
            lines.append(
                [
                    row["trick"],
                    tried["recipe"],
                    row["model"],
                    f"{mean:.3f}",
                    f"{mean - against:+z.3f}",
                ]
            )
    head = ["trick", "on", "model", "nats", "difference"]
    return f"""
## What else was tried

Tricks of the speedruns, each alone at equal parameters, on Tiny Shakespeare for 300 steps of 16
windows (or as many tokens), one thread. Nats a character on {numbers["windows"]} validation windows, the mean of the
seeds 0 and 1 (0 alone of the long runs), against the same recipe without it. Two seeds of one recipe
differ by about 0.01, so a difference below that says nothing.

{markdown(head, lines)}
* **What helped**: a shorter momentum, for runs this short; half the batch, whose steps are not half as
  dear; for masked diffusion, a faster AdamW.
* **What did not**: fewer rounds of Newton-Schulz or coarser blocks cost more than they save. That each
  matrix moves every second step is free at a long momentum and not at a short one. Tables of n-grams,
  skips from the embedding, more convolutions, other depths: nothing outside the noise.
  Readers that meet by attention are no better than a sum.
* **Depth pays later**: 2 wide layers are as good as 4 after 300 steps, and worse after 1,500.

Machine: {machine(numbers)}.
"""


def decoding_page():
    """The book's page on ways of writing."""
    numbers = read("decoding")
    steps = {int(n): rows for n, rows in numbers["steps"].items()}
    few, many = sorted(steps)
    of = {row["name"]: row for row in steps[many]}
    cheap = {row["name"]: row for row in steps[few]}

    def wrong(name, rows=of):
        return f"{100 * rows[name]['ungrammatical']['mean']:.0f} %"

    def excess(name, rows=of):
        return f"{rows[name]['excess']['mean']:z.3f} ± {rows[name]['excess']['se']:.3f}"

    def varied(name):
        return f"{of[name]['entropy']['mean']:.3f}"

    return f"""# Ways of writing

One trained model can be made to write in many ways. Each is another law of texts, and only some of
them are the law that the model's likelihood speaks of. Here are all that the library knows, with
the four models that `make book` trains, each writing {numbers["texts"]:,} texts of the
language of chapter 0. `nanoparadigm evaluate --decoding all` makes this table for any model of it.

{decoding_table(steps[many])}
Diffusion and flow take {many} steps here, more than a text has words, so that diffusion with an order
reveals one word at a time. With {few} steps, several at a time:

{decoding_table(steps[few])}
* **ungrammatical**: the share of texts with a mistake.
* **entropy**: how varied what comes next is, given all that decides it, in nats a word. The language
  has {varied("the truth")} as measured on as many texts of its own. A writer with less plays safe.
* **excess**: how far what comes next is from the language, a lower bound of the divergence
  KL(writer || truth) in nats a word. It counts mistakes and lost variety alike. The truth's own row
  says how much of it is counting error.
* **surprise**: minus the mean logarithm of the texts' probability under the truth with slips. It is
  the lower, the safer one plays, and says nothing without the entropy.

## What each of them draws

| way | draws | its likelihood |
| --- | --- | --- |
| ar, mamba: plain | the model | `nll_bound`, exact |
| temperature, top_k, top_p | a sharpened or truncated model | none here |
| diffusion: ancestral | in the limit of many steps the model of a random order | `nll_bound`, a bound |
| diffusion: first_hitting, random_order | that limit itself, one word at a time | `nll_bound`, a bound |
| diffusion: left_to_right | the chain rule with all later words masked | `left_to_right_nll`, exact |
| diffusion: confidence, cosine, threshold | an order that the words themselves decide | none here |
| diffusion: remasking | the same marginals with the true posterior, another law with a network | none here |
| diffusion, flow: blocks | each block given those before it | none here |
| flow: ancestral | in the limit of many steps the reversal | `nll_bound`, a bound |
| flow: euler, euler_eta | the same with the true posterior, another law with a network | none here |
| flow: corrected | the same with the true posterior, sooner | none here |

With the exact posterior of the language in place of the network, all that are not sharpened draw the
language itself, in the limit of many steps or of one word at a time. That is tested, by chi-square.

## What the table says

* **Playing safe removes mistakes and not the distance.** `top_p` brings ar from {wrong("ar: plain")} of
  texts with a mistake to {wrong("ar: top_p")}, and its entropy from {varied("ar: plain")} to
  {varied("ar: top_p")}: the excess is {excess("ar: plain")} before and {excess("ar: top_p")} after.
* **The order matters once words come one at a time.** Masked diffusion writes {wrong("diffusion: first_hitting")}
  of its texts with a mistake in random order, {wrong("diffusion: left_to_right")} from left to right and
  {wrong("diffusion: confidence")} by confidence. With the true posterior there would be no difference: what
  the orders measure is where this network is wrong.
* **With several words at a time the same orders lose that.** In {few} steps it is {wrong("diffusion: random_order", cheap)}
  in random order, {wrong("diffusion: left_to_right", cheap)} from left to right, {wrong("diffusion: confidence", cheap)} by
  confidence: neighbours that do not see each other disagree.
* **Taking words back needs many steps.** In {many} steps remasking brings diffusion from
  {excess("diffusion: ancestral")} to {excess("diffusion: remasking")}, with more calls, and jumps that undo each
  other bring the flow from {excess("flow: euler")} to {excess("flow: euler_eta")}, with as many. In
  {few} steps the same jumps take it from {excess("flow: euler", cheap)} to {excess("flow: euler_eta", cheap)}.
* **A correction is worth more than a step.** The flow in {few} steps with four corrections after each
  ({cheap["flow: corrected"]["calls"]:.0f} calls) has {excess("flow: corrected", cheap)}, in {many} steps without
  any {excess("flow: ancestral")}.

One network of each kind and one seed of training: the numbers are of these networks, the laws are
not. Machine: {machine(numbers)}.
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
follows: studies of masked diffusion in which only the schedule, the masking and the seed differ,
all measured by the same bound. No number on this page was typed by hand.

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
    pairs = "; ".join(f"{a} is better than {b}" for a, b in sorted(always))
    opposite = "; ".join(f"{a} and {b}" for a, b in sorted(turned) if a < b) or "none"
    written = stored["tiny"]["trials"].values()
    mauve = [t["written"]["mauve"]["mean"] for t in written]
    wrong = min(t["written"]["ungrammatical"]["mean"] for t in written)
    real = next(iter(written))["real"]["mauve"]["mean"]
    return f"""* **The schedules differ little.** Under uniform masks the best and the worst differ by {each(lambda n: f"{spread(n, 'means'):.3f} nats per token")}.
* **Their own exams differ a lot**, by {each(lambda n: f"{spread(n, 'own_exams'):.3f}")}, and rank them in a different order. The own exam of a schedule is its training-schedule loss.
* **Outside the noise in both studies:** {pairs}. Pairs that the two studies rank in opposite order: {opposite}.
* **Masking by entropy makes the bound worse**, by {each(masking)} nats per token, with intervals over seeds.
* **MAUVE hardly notices the mistakes.** In *tiny* at least {100 * wrong:.0f} % of the texts contain a mistake under
  every schedule, and yet they get {min(mauve):.2f} to {max(mauve):.2f}, while real texts get {real:.2f}: the judge whose
  states MAUVE compares is as small as the models it judges. The language itself is not fooled: see
  *surprise* and *divergence*.

The studies cannot tell whether this holds for longer training, larger networks, or texts in words.
If you have the machine to find out, there is the preset `fineweb-124m`.
"""


def study_section(name, facts):
    study = facts["study"]
    settings, sizes = study["settings"], study["sizes"]
    tokens = settings["max_steps"] * settings["batch_size"] * sizes["block_size"]
    return f"""## {STUDIES[name]}

`nanoparadigm study --preset {name}`: {len(study["seeds"])} seeds of six schedules and two maskings, a
network of {sizes["n_layer"]} layers and width {sizes["n_embd"]}, {settings["max_steps"]:,} steps of
{settings["batch_size"]} texts of {sizes["block_size"]} tokens, {tokens / 1e6:.2g} M tokens in all.

{study_report.text(facts)}
```{{figure}} figures/schedules-{name}-forest.svg
:alt: For each schedule and masking, by how much its bound exceeds that of the linear schedule, with an interval over seeds; a grey band shows which differences may be noise.

The bound minus that of the linear schedule, in nats per token. The bars are intervals over seeds;
differences within the grey band cannot be told from noise.
```

```{{figure}} figures/schedules-{name}-curves.svg
:alt: The bound against training steps, a line in a shaded band for each schedule, one panel for each masking.

During training: the mean and the range over seeds of the common bound on {settings["eval_windows"]} windows.
```

Machine: {machine(facts)}.
"""


def draw(folder):
    """Write every figure of these pages, in the book's style, as SVG that is the same every time."""
    figures = {"speed": speed_figure(), "learning": learning_figure()}
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
