"""Texts of any length, block by block from left to right, by any sampler that fills gaps."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..errors import InputError


def in_blocks(model, canvas, known, generator, blocks=None, **options) -> Iterator[tuple]:
    """Yield the states (B, L) of `model.trajectory`, each with the slice that the network reads.

    A finished block never changes. A block is drawn by the law of `trajectory`, given what was
    finished before it and what is given right after it, as far as the network's context goes; no
    bound here is of the text as a whole. blocks: at least how many. One by default if the text
    fits, else each is half of the context. A causal model goes from token to token by itself.
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


def gaps_of(known: Tensor) -> list[int]:
    """Return the positions that some text does not have yet."""
    return (~known).any(0).nonzero().flatten().tolist()


def cut(gaps, most, left):
    """Yield the blocks of positions `gaps`, `left` at least, none wider than `most`, each with the
    first position of the next block, or None."""
    while gaps:
        size = -(-len(gaps) // max(left, 1))
        block = [i for i in gaps[:size] if i < gaps[0] + most]
        gaps, left = gaps[len(block) :], left - 1
        yield block, gaps[0] if gaps else None


def window(start, end, next_gap, context) -> slice:
    """Return what the network reads to fill start ... end: what is given up to the next gap on the
    right, at most half of the room there is, and the rest on the left."""
    room, given = context - (end - start), next_gap - end
    after = min(given, max(room // 2, room - start))
    return slice(max(start - (room - after), 0), end + after)
