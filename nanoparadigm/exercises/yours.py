"""Questions about a language of one's own, for the copies that `make student SEED=...` writes.

Their answers are numbers. `language(seed)` and `tiny(seed)` are other languages for every seed, so
nobody's numbers are right for anybody else, and whoever knows the seed knows the truth.
"""

import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product

import torch

from ..errors import InputError
from ..files import StrPath, decode, read
from ..language.automaton import Automaton, entropy
from ..language.grammar import language, tiny
from .grader import Exercise, Mistake

Numbers = list[float]
ONE = torch.ones(1, dtype=torch.float64)


BOOKS = (
    "These are the numbers of the book's language. Yours are those of `language({seed})` and "
    "`tiny({seed})`."
)
BITS = "These are bits. Nats were asked for: take the natural logarithm."

IN_NO_NAME = set('/\\:*?"<>|')  # of a folder, on one system or another
MOST = 100


def seed_of(name: str) -> int:
    """Return the seed of a person, the same however the name is spaced, capitalised or encoded."""
    plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return 1 + int.from_bytes(sha256(plain.encode()).digest()[:4], "big") % (2**31 - 1)


def people_in(path: StrPath) -> dict[str, int]:
    """Return name -> seed for a file with a name in each line; empty lines are passed over.

    Raises InputError for a name that cannot be that of a folder, and for one that comes twice.
    """
    people: dict[str, int] = {}
    for line in decode(read(path), path).splitlines():
        name = " ".join(line.split())
        usable = name.isprintable() and not name.startswith(".") and not set(name) & IN_NO_NAME
        if not usable or len(name) > MOST:
            raise InputError(
                f"{path}: {name[:MOST]!r} cannot be the name of a folder; write a name in each "
                f"line, of at most {MOST} characters and without {' '.join(sorted(IN_NO_NAME))}"
            )
        if seed_of(name) in people.values():
            raise InputError(f"{path} names {name} twice: tell the two apart, as in {name} 2")
        if name:
            people[name] = seed_of(name)
    if not people:
        raise InputError(f"{path} has no names: write one in each line")
    return people


@dataclass(frozen=True)
class Question:
    """What is asked at the end of a chapter's private copy."""

    chapter: str
    text: str
    """in Markdown, with `{seed}` where the seed stands"""
    right: Callable[[int], Numbers]
    """of a seed: the numbers, in the order in which the text asks for them"""
    again: Callable[[int], Numbers]
    """the same numbers by another way"""
    nats: tuple[int, ...] = ()
    """which of the numbers are in nats, and so might be given in bits"""
    wrong: dict[str, tuple[Callable[[int], Numbers], str]] = field(default_factory=dict)
    """the name of a usual mistake -> the numbers that it leads to, and what to say of it"""

    def exercise(self, seed: int) -> Exercise:
        """Return the question as the exercise of one seed. It tells nobody the right numbers."""
        truth = self.right(seed)
        mistakes = {"the book's language": (self.right(0), BOOKS.format(seed=seed))}
        if self.nats:
            per = [math.log(2) if n in self.nats else 1 for n in range(len(truth))]
            mistakes["in bits"] = [x / by for x, by in zip(truth, per, strict=True)], BITS
        for mistake, (numbers, hint) in self.wrong.items():
            mistakes[mistake] = numbers(seed), hint
        return Exercise(
            reference=lambda: truth,
            variant=lambda: self.again(seed),
            mistakes={
                mistake: Mistake(lambda numbers=numbers: numbers, hint)
                for mistake, (numbers, hint) in mistakes.items()
            },
            cases=lambda seed=0: [()],
            tolerance=2e-4,
            secret=True,
        )


def of(automaton: Automaton, text: str) -> torch.Tensor:
    """Return a text (1, L) of word numbers; a ? is a mask, number V."""
    words = text.split() if " " in text else [*text]
    numbers = [automaton.V if w == "?" else automaton.words.index(w) for w in words]
    return torch.tensor([numbers])


def nats(automaton: Automaton, text: str) -> float:
    """Return -log p of a text."""
    return -automaton.log_prob(of(automaton, text)).item()


def joint(automaton: Automaton, L: int) -> torch.Tensor:
    """Return p of every text of L words, an axis for each word."""
    texts = torch.tensor(list(product(range(automaton.V), repeat=L)))
    return automaton.log_prob(texts).exp().view(*[automaton.V] * L)


def joint_entropy(p: torch.Tensor, axes: tuple[int, ...]) -> float:
    """Return the entropy of some words of a text, in nats. p: as `joint` returns it."""
    others = tuple(i for i in range(p.ndim) if i not in axes)
    return entropy((p.sum(others) if others else p).flatten()).item()


# ------------------------------------------------------------------- 0: the entropy of a language


WORDS = 10  # of a text: there the entropy rate is clearly another number, whatever the seed


def lines(seed: int) -> Numbers:
    truth = language(seed)
    H = truth.entropy(WORDS) / WORDS
    return [H, truth.k_gram_entropy(1, WORDS), math.exp(H), nats(tiny(seed), "abcab")]


def lines_by_hand(seed: int) -> Numbers:
    truth, small = language(seed), tiny(seed)
    H = (truth.occupancy(WORDS) @ entropy(truth.P)).mean().item()
    state, p = 0, 1.0
    for word in (0, 1, 2, 0, 1):
        state, p = int(small.successor[state, word]), p * float(small.P[state, word])
    return [H, truth.k_gram_entropy(1, WORDS), 2 ** (H / math.log(2)), -math.log(p)]


def lines_of_a_text(seed: int) -> Numbers:
    H, memory, _, cost = lines(seed)
    return [H * WORDS, memory * WORDS, math.exp(H), cost]


def lines_in_the_long_run(seed: int) -> Numbers:
    _, memory, _, cost = lines(seed)
    H = language(seed).entropy_rate()
    return [H, memory, math.exp(H), cost]


# ---------------------------------------------------------------------------- 1: the next word


HEARD = "lo a wee crab that some seals dive"


def next_words(seed: int, temperature: float = 0.5) -> Numbers:
    truth = language(seed)
    swims = truth.next_word(HEARD.split())[truth.words.index("swims")].item()
    p = truth.next_word("la a".split())
    sharper = (p.log() / temperature).softmax(0)
    return [swims, nats(truth, HEARD), entropy(p).item(), entropy(sharper).item()]


def next_words_by_ratio(seed: int) -> Numbers:
    truth = language(seed)
    swims = math.exp(nats(truth, HEARD) - nats(truth, f"{HEARD} swims"))
    p = truth.next_word("la a".split())
    p = p[p > 0]
    sharper = p**2 / (p**2).sum()
    return [
        swims,
        nats(truth, HEARD),
        -(p * p.log()).sum().item(),
        -(sharper * sharper.log()).sum().item(),
    ]


# ------------------------------------------------------------------------------ 3: one step back


NOISY = "b?c?a", "a?b?c"


def step_back(seed: int, share: float = 0.5 / 0.8, left_only: bool = False) -> Numbers:
    small, found = tiny(seed), []
    for shown in NOISY:
        seen = shown[0] + "????" if left_only else shown
        found += [*(share * small.posterior(of(small, seen))[0, 1]).tolist(), 1 - share]
    return found


def step_back_by_counting(seed: int) -> Numbers:
    every, found = joint(tiny(seed), 5), []
    for first, third, last in ((1, 2, 0), (0, 1, 2)):
        p = every[first, :, third, :, last].sum(1)
        found += [*((0.8 - 0.3) / 0.8 * p / p.sum()).tolist(), 0.3 / 0.8]
    return found


# ---------------------------------------------------------------------------------- 4: the bound


TEXTS = ((0, 2), (1, 0), (2, 1))


def bounds(seed: int) -> Numbers:
    """Return -log p of the first text and its bound in one step, and in two steps of all three."""
    small = tiny(seed)
    alone = -small.posterior(of(small, "??"))[0].log()
    exact = (-small.log_prob(torch.tensor(TEXTS))).tolist()
    together = [(alone[0, first] + alone[1, second]).item() for first, second in TEXTS]
    return [exact[0], together[0], *((a + b) / 2 for a, b in zip(exact, together, strict=True))]


def bounds_by_draws(seed: int) -> Numbers:
    """Take the average over which of the two words the first of two steps reveals."""
    p, halves = joint(tiny(seed), 2), []
    one, two = p.sum(1), p.sum(0)
    for v, w in TEXTS:
        neither = -one[v].log() - two[w].log()
        first = -one[v].log() - (p[v, w] / one[v]).log()
        second = -two[w].log() - (p[v, w] / two[w]).log()
        halves.append(((neither + first + second + neither) / 4).item())
    v, w = TEXTS[0]
    return [-p[v, w].log().item(), (-one[v].log() - two[w].log()).item(), *halves]


def bounds_a_word(seed: int) -> Numbers:
    return [x / 2 for x in bounds(seed)]


def bounds_of_two_halves(seed: int) -> Numbers:
    exact, together, *_ = bounds(seed)
    return [exact, together, *(-tiny(seed).log_prob(torch.tensor(TEXTS))).tolist()]


# ----------------------------------------------------------------------------------- 6: plans

PLANS = ([(0, 1, 2, 3)], [(0, 1), (2, 3)], [(0, 2), (1, 3)], [(0,), (1, 2, 3)])


def plan_costs(seed: int) -> Numbers:
    """Return, for each plan, what its steps lose: the total correlation of the words of a step."""
    p, found = joint(tiny(seed), 4), []
    for plan in PLANS:
        known: tuple[int, ...] = ()
        lost = 0.0
        for step in plan:
            given = joint_entropy(p, known)
            each = sum(joint_entropy(p, (*known, i)) - given for i in step)
            lost += each - (joint_entropy(p, (*known, *step)) - given)
            known += step
        found.append(lost)
    return found


def plan_costs_by_laws(seed: int) -> Numbers:
    """Return the same as divergences from what is written."""
    small, found = tiny(seed), []
    texts = torch.tensor(list(product(range(3), repeat=4)))
    log_p = small.log_prob(texts)
    for plan in PLANS:
        z, log_q = torch.full_like(texts, small.V), torch.zeros(len(texts), dtype=torch.float64)
        for step in plan:
            p = small.posterior(z).gather(-1, texts[..., None])[..., 0]
            log_q += p[:, list(step)].log().sum(1)
            z[:, list(step)] = texts[:, list(step)]
        found.append((log_p.exp() @ (log_p - log_q)).item())
    return found


def plan_totals(seed: int) -> Numbers:
    return [x + tiny(seed).entropy(4) for x in plan_costs(seed)]


def plans_a_word(seed: int) -> Numbers:
    return [x / 4 for x in plan_costs(seed)]


# ------------------------------------------------------------------------------ 7: noise, one word


def noisy_word(seed: int, stays: float = 0.5 + 0.5 / 3, moves: float = 0.5 / 3) -> Numbers:
    """Return the same four numbers for the first word, and for the second after an a."""
    small, found = tiny(seed), []
    for state in (0, int(small.successor[0, 0])):
        p = small.P[state] * torch.tensor([moves, stays, moves], dtype=torch.float64)
        found += [*(p / p.sum()).tolist(), p.sum().item()]
    return found


def noisy_word_by_the_oracle(seed: int) -> Numbers:
    small, found = tiny(seed), []
    for state in (0, int(small.successor[0, 0])):
        begun = Automaton(small.words, small.P.roll(-state, 0), small.successor)  # in that state
        p = begun.posterior(of(small, "b"), 0.5 * ONE)[0, 0]
        found += [*p.tolist(), 0.5 * small.P[state, 1].item() + 0.5 / 3]
    return found


def words_before_the_noise(seed: int) -> Numbers:
    small, right = tiny(seed), noisy_word(seed)
    rows = small.P[[0, int(small.successor[0, 0])]].tolist()
    return [*rows[0], right[3], *rows[1], right[7]]


# ----------------------------------------------------------------------------------- 8: the flow


def denoised(seed: int, ours: str = "leave_one_out", alpha: float = 0.6) -> Numbers:
    small, z = tiny(seed), of(tiny(seed), "cab")
    p = getattr(small, ours)(z, alpha * ONE)[0, 1]
    return [*p.tolist(), small.posterior(z, alpha * ONE)[0, 1, 0].item()]


def denoised_by_counting(seed: int) -> Numbers:
    small, z = tiny(seed), of(tiny(seed), "cab")
    seen = small.likelihood(z, 0.6 * ONE)[0]
    p = (joint(small, 3) * seen[0][:, None, None] * seen[2][None, None, :]).sum((0, 2))
    mine = p * seen[1]
    return [*(p / p.sum()).tolist(), (mine[0] / mine.sum()).item()]


# --------------------------------------------------------------------------- 15: below the truth


OTHER = [0.8, 0.1, 0.1]


def lower_of_two(seed: int) -> Numbers:
    """Return what is reported, what its probabilities add up to, and the cost of the mixture."""
    q, found = torch.tensor(OTHER, dtype=torch.float64), []
    for p in tiny(seed).P[:2]:
        best = torch.maximum(p, q)
        found += [-(p @ best.log()).item(), best.sum().item(), -(p @ ((p + q) / 2).log()).item()]
    return found


def lower_of_two_word_by_word(seed: int) -> Numbers:
    found = []
    for p in tiny(seed).P[:2].tolist():
        pairs = list(zip(p, OTHER, strict=True))
        found += [
            sum(a * min(-math.log(a), -math.log(b)) for a, b in pairs),
            sum(max(pair) for pair in pairs),
            sum(a * (math.log(2) - math.log(a + b)) for a, b in pairs),
        ]
    return found


def mean_of_costs(seed: int) -> Numbers:
    right, q = lower_of_two(seed), torch.tensor(OTHER, dtype=torch.float64)
    for state, p in enumerate(tiny(seed).P[:2]):
        right[3 * state + 2] = -(p @ (p.log() + q.log())).item() / 2
    return right


def named_model(seed: int) -> Numbers:
    right = lower_of_two(seed)
    return [*right[:2], right[0] + math.log(2), *right[3:5], right[3] + math.log(2)]


# ----------------------------------------------------------------------------------- the questions

QUESTIONS = {
    "my_language": Question(
        "00-language",
        "Return four numbers: the lowest loss that any model can have on texts of ten words of "
        "`language({seed})`, in nats a word; the lowest for a model that sees one word back and "
        "not the position, also in nats a word; the perplexity of the first; and the cost in "
        "nats of the text *a b c a b* in `tiny({seed})`.",
        lines,
        lines_by_hand,
        nats=(0, 1, 3),
        wrong={
            "nats a text": (
                lines_of_a_text,
                "The first two are nats a text. A text has ten words: divide by 10.",
            ),
            "the entropy rate": (
                lines_in_the_long_run,
                "The first is the entropy rate, of endless texts. Take the entropy of texts of "
                "ten words, and divide by 10.",
            ),
        },
    ),
    "my_next_word": Question(
        "01-next-word",
        f"Return four numbers about `language({{seed}})`: after the words *{HEARD}*, the "
        "probability that *swims* comes next; what those eight words cost in nats; the entropy "
        "of the next word after *la a*, in nats; and the same entropy at "
        "temperature 0.5.",
        next_words,
        next_words_by_ratio,
        nats=(1, 2, 3),
        wrong={
            "temperature upside down": (
                lambda seed: next_words(seed, 2.0),
                "The last number is the entropy at temperature 2: the temperature divides the "
                "logits.",
            ),
            "temperature one": (
                lambda seed: next_words(seed, 1.0),
                "The last number is at temperature 1, like the one before it: divide the logits "
                "by 0.5 first.",
            ),
        },
    ),
    "my_step": Question(
        "03-masking",
        "Two texts of `tiny({seed})` show *b ▢ c ▢ a* and *a ▢ b ▢ c* at $t = 0.8$ under the "
        "linear schedule, and are taken one step back to $s = 0.3$ by the exact posterior. Return "
        "what the second position of the first text shows then: the probabilities of *a*, *b*, *c* "
        "and of a mask, in this order; and the same four for the second text.",
        step_back,
        step_back_by_counting,
        wrong={
            "revealed for certain": (
                lambda seed: step_back(seed, 1.0),
                "These are the probabilities of the word behind the mask. In this step the mask "
                "may also stay.",
            ),
            "the words to the left": (
                lambda seed: step_back(seed, left_only=True),
                "These know only the word to the left. The posterior is given all visible words.",
            ),
            "share of all words": (
                lambda seed: step_back(seed, 0.5),
                "0.5 is the share of all words that comes back. Of those still masked it is "
                "more: divide by the share that is masked.",
            ),
        },
    ),
    "my_bound": Question(
        "04-bound",
        "The exact posterior of `tiny({seed})` writes texts of two words. Return five numbers "
        "in nats: for the text *a c*, $-\\log p$ and its bound in one step; then, for *a c*, *b a* "
        "and *c b*, the bounds in two equal steps under the linear schedule.",
        bounds,
        bounds_by_draws,
        nats=(0, 1, 2, 3, 4),
        wrong={
            "nats a word": (bounds_a_word, "These are nats a word; the text has two words."),
            "one word in each step": (
                bounds_of_two_halves,
                "The last three would be right if each step revealed one word. Each word comes "
                "in the first step with probability 1/2, whatever the other does.",
            ),
        },
    ),
    "my_plan": Question(
        "06-steps",
        "The exact posterior of `tiny({seed})` writes texts of four words. Return the "
        "divergences (nats a text) from the language of what four plans write: all words in one "
        "step; 1 and 2, then 3 and 4; 1 and 3, then 2 and 4; 1, then the other three.",
        plan_costs,
        plan_costs_by_laws,
        nats=(0, 1, 2, 3),
        wrong={
            "with the entropy": (
                plan_totals,
                "These are costs, with the entropy of the language in them. The divergence is "
                "what is above it.",
            ),
            "nats a word": (plans_a_word, "These are nats a word; a text has four words."),
        },
    ),
    "my_noise": Question(
        "07-rates",
        "The first word of `tiny({seed})` is seen through uniform noise with $\\alpha = 1/2$: with "
        "probability 1/2 it is kept, otherwise one of the three words is drawn. It shows *b*, and "
        "nothing else is known. Return the probabilities that it was *a*, *b*, *c*, and then how "
        "often such a word shows *b* at all. Then the same four numbers for a second word, where "
        "the first is known to be *a*.",
        noisy_word,
        noisy_word_by_the_oracle,
        wrong={
            "no lucky draw": (
                lambda seed: noisy_word(seed, 0.5, 0.5 / 3),
                "A kept *b* is not the only *b* that shows: the noise may also draw the word "
                "that was there.",
            ),
            "the prior": (
                words_before_the_noise,
                "These are the probabilities before anything is seen. A *b* that shows speaks "
                "for a clean *b*.",
            ),
        },
    ),
    "my_flow": Question(
        "08-flow",
        "A text of three words of `tiny({seed})` shows *c a b* through uniform noise with "
        "$\\alpha = 0.6$. Return the leave-one-out probabilities of the second word (of *a*, "
        "*b*, *c*), and then the posterior probability that it was *a*.",
        denoised,
        denoised_by_counting,
        wrong={
            "the posterior three times": (
                lambda seed: denoised(seed, "posterior"),
                "The first three are the posterior. Leave-one-out probabilities do not know what "
                "the second position shows.",
            ),
            "as if it were certain": (
                lambda seed: denoised(seed, alpha=1 - 1e-9),
                "These trust the visible words. Each of them was replaced with some probability: "
                "give alpha.",
            ),
        },
    ),
    "my_report": Question(
        "15-below",
        "The first word of `tiny({seed})` has the probabilities `P[0]`. Model A knows them; model "
        "B gives 0.8 to *a* and 0.1 each to *b* and *c*. Somebody reports for every word the lower "
        "of the two costs. Return the mean of that number over the language, in nats; what its "
        "probabilities add up to, over the three words; and the mean cost of the mixture, half A "
        "and half B, in nats. Then the same three numbers for a word whose probabilities are "
        "`P[1]`, with an A that knows these.",
        lower_of_two,
        lower_of_two_word_by_word,
        nats=(0, 2, 3, 5),
        wrong={
            "the mean of the costs": (
                mean_of_costs,
                "The third and sixth are means of two costs. The mixture takes the mean of the two "
                "probabilities, and then the logarithm.",
            ),
            "naming the model": (
                named_model,
                "The third and sixth are the cost of naming the better model. The mixture "
                "costs less.",
            ),
        },
    ),
}
