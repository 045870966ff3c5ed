"""Cases that nobody has seen, for `Exercise.cases`."""

import torch


def varied(seed, usual, low=0.8, high=1.25):
    """What is usual, for seed 0; for any other seed, numbers like it.

    usual: a float, or a tensor of floats, each of which is multiplied by a factor of its own, drawn
    uniformly between low and high; or a tensor of whole numbers, which change places.
    """
    if seed == 0:
        return usual
    if isinstance(usual, float):
        return varied(seed, torch.tensor(usual, dtype=torch.float64), low, high).item()
    g = torch.Generator().manual_seed(seed)
    if not usual.is_floating_point():
        return usual.flatten()[torch.randperm(usual.numel(), generator=g)].view_as(usual)
    return usual * torch.empty_like(usual).uniform_(low, high, generator=g)


def varied_rows(seed, usual):
    """The same for distributions (..., V), which keep their zeros and sum to one."""
    return usual if seed == 0 else torch.nn.functional.normalize(varied(seed, usual), p=1, dim=-1)
