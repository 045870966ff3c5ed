"""Score generated text with another language model (generative perplexity), and its diversity.

The score alone says little: a model that always generates the same likely text scores well.

"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import files
from ...errors import InputError
from ...evaluate.likelihood import Estimate, micro_batch_size
from ...paradigms.ar import Autoregressive
from ...shards.readers import INSTALL


class Scorer(Protocol):
    """A left-to-right language model that scores texts: the judge of a study."""

    device: torch.device | str
    vocab_size: int
    name: str
    """printed beside every score"""

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (B, L, V) of x_i given x_<i, for x (B, L) on its device."""

    def endings(self, x: Tensor) -> Tensor:
        """Return the last hidden state (B, D) of each text x (B, L) on its device."""


class AutoregressiveScorer:
    """Score with an autoregressive model of this package."""

    def __init__(self, model: Autoregressive, name: str) -> None:
        self.model, self.name = model.eval(), name
        self.vocab_size = model.vocab_size

    @property
    def device(self) -> torch.device:
        """Return the device of the weights."""
        return self.model.device

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (B, L, V) of x_i given x_<i, for x (B, L)."""
        return self.model.logits(x)

    def endings(self, x: Tensor) -> Tensor:
        """Return the last hidden state (B, D) of each text x (B, L)."""
        start = x.new_full((len(x), 1), self.model.bos_id)
        return self.model.net.hidden(torch.cat([start, x[:, :-1]], dim=1))[:, -1]


def is_gpt2(source: str) -> bool:
    """Tell whether `source` is "gpt2", or a folder with a GPT-2 that transformers saved."""
    file = Path(source) / "config.json"
    if not file.is_file():
        return source == "gpt2"
    return files.read_json(file, dict[str, Any]).get("model_type") == "gpt2"


class GPT2:
    """Score with the published GPT-2, or with the one in a folder, through transformers.

    Raises InputError if transformers is missing, or if the model cannot be loaded.
    """

    def __init__(self, device: str = "cpu", source: str = "gpt2") -> None:
        try:
            from transformers import AutoModelForCausalLM
        except ImportError as error:
            raise InputError(f"GPT-2 needs transformers: {INSTALL}") from error
        try:
            net = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True)
        except OSError as error:
            raise InputError(
                f"{source} is not on this machine and its download failed: connect and try again, "
                "or give the folder of a GPT-2 in safetensors, or a run of your own"
            ) from error
        except Exception as error:  # of many kinds, for a file of that folder that is damaged
            problem = files.reason(error)
            raise InputError(
                f"{source} holds no GPT-2 that can be loaded ({problem}): get it again"
            ) from error
        self.net, self.device, self.name = net.to(device).eval(), device, source
        self.length, self.vocab_size = net.config.n_positions, net.config.vocab_size

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (B, L, V) of x_i given an end-of-text token and x_<i, for x (B, L)."""
        return self.net(self.shifted(x)).logits

    def endings(self, x: Tensor) -> Tensor:
        """Return the last hidden state (B, D) of each text x (B, L)."""
        return self.net.base_model(self.shifted(x)).last_hidden_state[:, -1]

    def shifted(self, x: Tensor) -> Tensor:
        """Return x (B, L) shifted by one token to the right, behind an end-of-text token."""
        end = x.new_full((len(x), 1), self.net.config.bos_token_id)
        return torch.cat([end, x[:, :-1]], dim=1)


@torch.no_grad()
def score(judge: Scorer, texts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nats per token (n,) of texts (n, L) under a judge, and their endings (n, D)."""
    size, nats, endings = micro_batch_size(judge.vocab_size, texts.shape[1], len(texts)), [], []
    for x in texts.to(judge.device).split(size):
        nats.append(F.cross_entropy(judge.logits(x).mT, x, reduction="none").mean(1).cpu())
        endings.append(judge.endings(x).cpu())
    return torch.cat(nats), torch.cat(endings)


def sample_metrics(
    texts: Tensor, nats: Tensor, estimate: Callable[[Tensor], Estimate] = Estimate.of
) -> dict[str, Any]:
    """Return the score and the diversity of texts (n, L), as a dict that JSON can hold.

    judged: the mean of `nats`, their nats per token (n,) under a judge. tokens: that of
    `token_variety`. distinct: n -> `distinct`. estimate: makes an Estimate from a value per text.
    """
    return dict(
        judged=asdict(estimate(nats)),
        tokens=asdict(estimate(token_variety(texts))),
        distinct={n: distinct(texts, n) for n in (1, 2, 3)},
    )


def mauve(human: Tensor, endings: Tensor, judge: Scorer, length: int) -> dict[str, Any] | None:
    """Return the MAUVE score of texts by their endings (n, D), as a dict.

    human (n, D): the endings of as many human texts. None without the package mauve-text. 1 is the
    best, though not even human texts reach it. It is the area under the curve of divergences
    between the two as histograms over n / 10 clusters (Pillutla et al. 2021, 2102.01454), and
    depends on n, on the length of the texts and on the judge: compare only where all three agree.
    """
    try:
        from mauve import compute_mauve
    except ImportError:
        return None
    found = compute_mauve(p_features=human.float().numpy(), q_features=endings.float().numpy())
    embedder = f"the last hidden state of {judge.name}"
    return dict(mean=float(found.mauve), n=len(human), length=length, embedder=embedder)


def token_variety(texts: Tensor) -> Tensor:
    """Return the entropy (n,) of the tokens within each text (n, L), nats: the sample entropy.

    A model that generates the same text again and again may still have a high one.
    """
    shares = [text.unique(return_counts=True)[1].double() / len(text) for text in texts]
    return torch.stack([-(p * p.log()).sum() for p in shares])


def distinct(texts: Tensor, n: int) -> float:
    """Return the share of different n-grams among all n-grams of the texts (B, L)."""
    grams = texts.unfold(1, n, 1).reshape(-1, n)
    return len(grams.unique(dim=0)) / len(grams)
