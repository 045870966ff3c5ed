"""The contract: what every paradigm answers, whatever its network.

A paradigm is a language model over V symbols, made from any callable `net(z, t) -> logits`. It says
how text is corrupted or factorised, what the training loss is, what the likelihood is or is bounded
by, and how to generate. Time t runs from 0 (clean text) to 1 (noise) in all of them; a network is
told the noise level 1 - alpha(t), which for the linear schedule is t itself.
"""

import math
from abc import ABC, abstractmethod
from collections import deque

import torch
from torch import nn

from ..errors import InputError


class Paradigm(nn.Module, ABC):
    """A language model over V symbols made from net(z, t) -> logits (B, L, >= V).

    Symbol V, one above the vocabulary, is the blank: the start of a text (autoregressive), the mask
    (masked diffusion), or only a placeholder in a canvas (flow, whose network never sees it).
    """

    exact = False
    """nll_bound is the negative log-likelihood itself, not an upper bound of it"""
    causal = False
    """the network must read from left to right"""
    timed = False
    """the network is told the noise level"""
    tied = False
    """the network reads out with its embedding"""
    extra_symbols = 0
    """symbols the network reads beyond the vocabulary"""
    infills = False
    """`trajectory` can be given tokens anywhere, and not only a beginning"""
    decodings = {}
    """name -> options of `sample`: the ways of writing that `evaluate.decoding_rows` compares"""

    def __init__(self, net, vocab_size):
        super().__init__()
        self.net = net
        self.vocab_size = vocab_size
        self.blank = vocab_size

    @property
    def hollow(self):
        """The network cannot see a token where it predicts it (`hollow.py`): all may be targets."""
        return getattr(self.net, "hollow", False)

    @abstractmethod
    def nll_bound(self, x, generator=None, draws=1):
        """Tokens x (B, L) -> (B,) nats: -log p(x), or an unbiased estimate of a proven upper bound.

        The rows are independent estimates, so their spread gives an honest standard error. `draws`
        noisy copies are averaged for each row; an exact paradigm needs none.
        """

    def noise(self, x, generator=None):
        """All that training on tokens x (B, L) draws at random: a tuple of tensors (B, ...)."""
        return ()

    @abstractmethod
    def loss_terms(self, x, *noise):
        """Tokens x (B, L) and their `noise` -> the sum of what they pay in training, nats, and the
        weight to divide it by, which does not depend on the parameters.

        For any split of the rows both are the sums over the parts, so the gradient of a large batch
        is that of its parts, wherever each is computed.
        """

    def loss(self, x, generator=None):
        """Tokens x (B, L) -> what the trainer descends, nats per token; it need not be a bound."""
        total, weight = self.loss_terms(x, *self.noise(x, generator))
        return total / (weight or 1)  # where nothing pays both are 0

    @abstractmethod
    def trajectory(
        self, canvas, known, generator, steps=64, temperature=1.0, top_k=None, top_p=None
    ):
        """Yield states (B, L), from the blank canvas to the sample.

        canvas (B, L) holds given tokens where known (B, L) is true; they never change. Raises
        InputError where the paradigm cannot condition on what it is given.
        """

    def write(self, canvas, known, generator, blocks=None, **options):
        """`trajectory` for texts of any length: yield states (B, L), each with the slice of it that
        the network reads.

        Block by block from left to right; a finished block never changes. A block is drawn by the
        law of `trajectory`, given what was finished before it and what is given right after it, as
        far as the network reads; no bound here is of the text as a whole. blocks: at least how
        many. One by default if the text fits, else each is half of what the network reads. A causal
        paradigm goes from token to token by itself.
        """
        length = known.shape[1]
        reach = getattr(self.net, "max_length", None) or length
        for name, number in (("blocks", blocks), ("steps", options.get("steps"))):
            if number is not None and number < 1:
                raise InputError(f"{name} is {number}: give a whole number of 1 or more")
        if self.causal or (blocks in (None, 1) and length <= reach):
            for state in self.trajectory(canvas, known, generator, **options):
                yield state, slice(0, length)
            return
        gaps = (~known).any(0).nonzero().flatten().tolist()
        most, left = max(reach // 2, 1) if length > reach else length, blocks or 1
        x, known = torch.where(known, canvas, self.blank), known.clone()
        yield x, slice(0, length)
        while gaps:
            size = -(-len(gaps) // max(left, 1))
            block = [i for i in gaps[:size] if i < gaps[0] + most]
            gaps, left = gaps[len(block) :], left - 1
            start, end = block[0], block[-1] + 1
            room, given = reach - (end - start), (gaps[0] if gaps else length) - end
            after = min(given, max(room // 2, room - start))
            seen = slice(max(start - (room - after), 0), end + after)
            for state in self.trajectory(x[:, seen], known[:, seen], generator, **options):
                x = x.clone()
                x[:, seen] = state
                yield x, seen
            known[:, start:end] = True

    @abstractmethod
    def conditional(self, x, i, generator=None):
        """log p(x_i = v | every other token of x), as (B, V). x_i itself is not looked at."""

    @property
    def device(self):
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def sample(self, n, length, generator, prompt=(), **options):
        """n texts of `length` tokens (n, length), each starting with the prompt's tokens;
        the options are those of `write` and of `trajectory`."""
        return self.fill(self.template(length, prompt), n, generator, **options)

    def template(self, length, prompt=()):
        """The prompt's tokens and then blanks, a list of `length` ids."""
        if length < len(prompt):
            raise InputError(
                f"length {length} is shorter than the prompt ({len(prompt)} tokens): "
                "ask for more, or shorten the prompt"
            )
        return [*prompt] + [self.blank] * (length - len(prompt))

    def infill(self, n, prefix, suffix, fill_length, generator, **options):
        """n texts (n, L): the prefix, `fill_length` new tokens, the suffix."""
        template = [*prefix] + [self.blank] * fill_length + [*suffix]
        return self.fill(template, n, generator, **options)

    def fill(self, template, n, generator, **options):
        """n texts (n, L) that agree with the template wherever it is not blank."""
        canvas, known = self.canvas(template, n)
        with torch.inference_mode():
            text, _ = deque(self.write(canvas, known, generator, **options), maxlen=1).pop()
        return text.clone()  # outside, so that it is an ordinary tensor

    def canvas(self, template, n):
        """The template's tokens repeated n times (n, L), and where they are given (n, L)."""
        if len(template) == 0 or n < 1:
            raise InputError("nothing to generate: ask for a length and a number of 1 or more")
        check_weights(self)
        canvas = torch.tensor([template] * n, device=self.device)
        if ((canvas < 0) | (canvas > self.blank)).any():
            raise InputError(
                "the text given holds symbols this model has never seen: "
                "use characters of the text it was trained on"
            )
        return canvas, canvas != self.blank


def largest_weight(model):
    """The largest absolute value of all weights, or nan where one is nan."""
    return torch.nn.utils.get_total_norm(model.parameters(), torch.inf).item()


def check_weights(model):
    """InputError if a weight is not a finite number: such a network predicts nothing."""
    if not math.isfinite(largest_weight(model)):
        raise InputError(
            "the network's weights are not all finite numbers, as after a training that diverged: "
            "train again, at a lower learning rate"
        )


def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    """Logits (..., V) -> float64 probabilities, sharpened and truncated as asked.

    float64 because float32 cuts off the tail of the distribution, which makes samples look better
    than the model is (Zheng et al. 2024, 2409.02908). No likelihood attaches to a sample that was
    sharpened or truncated. Temperature 0 means the most probable token.
    """
    if not temperature >= 0:
        raise InputError(f"temperature is {temperature}: give 0 (most probable token) or more")
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k is {top_k}: give 1 or more, or leave it out")
    if top_p is not None and not 0 < top_p <= 1:
        raise InputError(f"top_p is {top_p}: give a share above 0 and up to 1, or leave it out")
    logits = logits.double()
    if temperature == 0:
        top_k = 1
    else:
        # the largest first brought to 0: however small the temperature, nothing overflows
        logits = (logits - logits.amax(-1, keepdim=True)) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        best = logits.topk(top_k).indices
        logits = torch.full_like(logits, -torch.inf).scatter(-1, best, logits.gather(-1, best))
    p = logits.softmax(-1)
    if top_p is not None:
        ordered, order = p.sort(descending=True)
        # a token stays while the more probable ones have not yet reached top_p
        ordered = ordered * (ordered.cumsum(-1) - ordered < top_p)
        p = torch.zeros_like(p).scatter(-1, order, ordered)
        p = p / p.sum(-1, keepdim=True)
    return p


def draw(p, generator):
    """One index (...) from each row of unnormalised float64 probabilities p (..., V)."""
    cdf = p.cumsum(-1)
    u = torch.rand(*p.shape[:-1], 1, dtype=p.dtype, device=p.device, generator=generator)
    # right=True: the first index whose cdf exceeds u, so never one of probability zero
    return torch.searchsorted(cdf, u * cdf[..., -1:], right=True).squeeze(-1)
