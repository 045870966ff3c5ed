"""Texts of any length, block by block from left to right, by any sampler that fills gaps."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator

from ..errors import InputError
from ..shapes import TokenIds, Where
from .protocols import AnyModel


def in_blocks(
    model: AnyModel,
    canvas: TokenIds,
    known: Where,
    generator: Generator,
    blocks: int | None = None,
    **options: Any,
) -> Iterator[tuple[TokenIds, slice]]:
    """Yield the states (B, L) of `model.trajectory`, each with the slice that the network reads.

    canvas (B, L) holds given tokens where known (B, L) is true. blocks: the least number of blocks;
    by default one if the text fits the network's context, otherwise each is half of the context.
    options: of `trajectory`. Raises InputError.

    A finished block never changes. A block is drawn by the law of `trajectory`, given the finished
    text before it and the given text right after it, as far as the context reaches; no bound here
    is of the text as a whole. A causal model goes from token to token by itself.
    """
    length = known.shape[1]
    context = getattr(model.net, "max_length", None) or length
    for name, number in (("blocks", blocks), ("steps", options.get("steps"))):
        if number is not None and number < 1:
            raise InputError(f"{name} is {number}: give a whole number of 1 or more")
    if model.causal or (blocks in (None, 1) and length <= context):
        for state in model.trajectory(canvas, known, generator, **options):
            yield state, slice(0, length)
        return
    most, left = max(context // 2, 1) if length > context else length, blocks or 1
    x, known = torch.where(known, canvas, model.mask_id), known.clone()
    yield x, slice(0, length)
    for block, after in cut(gaps_of(known), most, left):
        start, end = block[0], block[-1] + 1
        seen = window(start, end, after or length, context)
        for state in model.trajectory(x[:, seen], known[:, seen], generator, **options):
            x = x.clone()
            x[:, seen] = state
            yield x, seen
        known[:, start:end] = True


def gaps_of(known: Where) -> list[int]:
    """Return the positions that are not yet known (B, L) in every text."""
    return (~known).any(0).nonzero().flatten().tolist()


def cut(gaps: list[int], most: int, left: int) -> Iterator[tuple[list[int], int | None]]:
    """Yield the positions `gaps` in blocks, each with the first position of the next, or None.

    There are `left` blocks or more, and none is wider than `most` positions.
    """
    while gaps:
        size = -(-len(gaps) // max(left, 1))
        block = [i for i in gaps[:size] if i < gaps[0] + most]
        gaps, left = gaps[len(block) :], left - 1
        yield block, gaps[0] if gaps else None


def window(start: int, end: int, next_gap: int, context: int) -> slice:
    """Return the positions that the network reads to fill start ... end, at most `context`.

    On the right it reads the given text up to the next gap, as far as half of the free room (or
    what the left leaves over); the rest is on the left.
    """
    room, given = context - (end - start), next_gap - end
    after = min(given, max(room // 2, room - start))
    return slice(max(start - (room - after), 0), end + after)
