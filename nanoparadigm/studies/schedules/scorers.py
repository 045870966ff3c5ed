"""Score generated text with another language model (generative perplexity), and its diversity.

The score alone says nothing: a model that always writes the same likely text scores well.

A judge has `logits` (B, L, V) of x_i given x_<i and `endings` (B, D), its last hidden states of
texts (B, L), both for x on its `device`; and a `name` that is printed beside every score.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from ... import files
from ...data.readers import INSTALL
from ...errors import InputError
from ...evaluate.likelihood import Estimate, micro_batch_size


class AutoregressiveScorer:
    """A judge that is an autoregressive model of this package."""

    def __init__(self, model, name):
        self.model, self.name = model.eval(), name
        self.vocab_size = model.vocab_size

    @property
    def device(self):
        """Return the device of the weights."""
        return self.model.device

    def logits(self, x):
        """Return the logits (B, L, V) of x_i given x_<i, for x (B, L)."""
        return self.model.logits(x)

    def endings(self, x):
        """Return the last hidden state (B, D) of each text x (B, L)."""
        start = x.new_full((len(x), 1), self.model.bos_id)
        return self.model.net.hidden(torch.cat([start, x[:, :-1]], dim=1))[:, -1]


def is_gpt2(source):
    """Tell whether `source` is "gpt2", or a folder with a GPT-2 that transformers saved."""
    file = Path(source) / "config.json"
    if not file.is_file():
        return source == "gpt2"
    return files.read_json(file, dict[str, Any]).get("model_type") == "gpt2"


class GPT2:
    """A judge that is the published GPT-2, or the one in a folder, through transformers.

    Raises InputError if transformers is missing, or if the model cannot be loaded.
    """

    def __init__(self, device="cpu", source="gpt2"):
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
            said = files.reason(error)
            raise InputError(
                f"{source} holds no GPT-2 that can be loaded ({said}): get it anew"
            ) from error
        self.net, self.device, self.name = net.to(device).eval(), device, source
        self.length, self.vocab_size = net.config.n_positions, net.config.vocab_size

    def logits(self, x):
        """Return the logits (B, L, V) of x_i given an end-of-text token and x_<i, for x (B, L)."""
        return self.net(self.shifted(x)).logits

    def endings(self, x):
        """Return the last hidden state (B, D) of each text x (B, L)."""
        return self.net.base_model(self.shifted(x)).last_hidden_state[:, -1]

    def shifted(self, x):
        """Return x (B, L) shifted by one token to the right, behind an end-of-text token."""
        end = x.new_full((len(x), 1), self.net.config.bos_token_id)
        return torch.cat([end, x[:, :-1]], dim=1)


@torch.no_grad()
def score(judge, texts):
    """Return the nats per token (n,) of texts (n, L) under the judge, and their endings (n, D)."""
    size, nats, endings = micro_batch_size(judge.vocab_size, texts.shape[1], len(texts)), [], []
    for x in texts.to(judge.device).split(size):
        nats.append(F.cross_entropy(judge.logits(x).mT, x, reduction="none").mean(1).cpu())
        endings.append(judge.endings(x).cpu())
    return torch.cat(nats), torch.cat(endings)


def sample_metrics(texts, nats, estimate=Estimate.of):
    """Return the score and the diversity of texts (n, L), as a dict that JSON can hold.

    judged: the mean of `nats`, their nats per token (n,) under a judge. tokens: that of
    `token_variety`. distinct: n -> `distinct`. estimate: makes an Estimate of a value per text.
    """
    return dict(
        judged=asdict(estimate(nats)),
        tokens=asdict(estimate(token_variety(texts))),
        distinct={n: distinct(texts, n) for n in (1, 2, 3)},
    )


def mauve(human, endings, judge, length):
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


def token_variety(texts):
    """Return the entropy (n,) of the tokens within each text (n, L), nats: the sample entropy.

    A model that writes the same text again and again may have a high one.
    """
    shares = [text.unique(return_counts=True)[1].double() / len(text) for text in texts]
    return torch.stack([-(p * p.log()).sum() for p in shares])


def distinct(texts, n):
    """Return the share of different n-grams among all n-grams of the texts (B, L)."""
    grams = texts.unfold(1, n, 1).reshape(-1, n)
    return len(grams.unique(dim=0)) / len(grams)
