"""The words of the contract's signatures: tensors by type and shape, and where randomness is from.

B texts of L tokens over V symbols; n tokens picked from them, for example one from each text. They
are for the eye and for `help`: to a type checker each is a Tensor.
"""

from typing import Annotated

from torch import Generator, Tensor

TokenIds = Annotated[Tensor, "int64 (B, L)"]
"""texts, or states on the way to them"""
Where = Annotated[Tensor, "bool (B, L)"]
"""true at some of the tokens"""
PerToken = Annotated[Tensor, "float (B, L)"]
PerText = Annotated[Tensor, "float (B,)"]
Times = Annotated[Tensor, "float64 (B,)"]
"""t, or the alpha or the noise level at t"""
Logits = Annotated[Tensor, "float (B, L, V)"]
PerSymbol = Annotated[Tensor, "float (n, V)"]
Rng = Generator | None
"""None: torch's own generator"""
