"""Chapter 14: one text in three alphabets, and what it costs in each."""

from matplotlib.figure import Figure

from ..figures import PALETTE
from .canvas import sheet, tint, token, words

TEXT = "to be, or not"
UNITS = {
    "characters": [*TEXT],
    "byte pairs": ["to", " be", ",", " or", " not"],
    "words": ["to", "be,", "or", "not"],
}
BITS = 18.2  # of the whole text, as the chapter has it


def units() -> Figure:
    """Draw the same text cut into characters, byte pairs and words, with its cost per piece."""
    figure, axes = sheet(14.6, 5.6, 0.5)
    cell, left = 0.74, 2.9
    colours = (PALETTE["ar"], PALETTE["diffusion"], PALETTE["flow"])
    for row, (colour, (name, pieces)) in enumerate(zip(colours, UNITS.items(), strict=True)):
        y, x = 4.4 - 1.5 * row, left
        words(axes, 0.2, y, name, colour, ha="left")
        for i, piece in enumerate(pieces):
            width = cell * (len(piece) + (name == "words" and i < len(pieces) - 1))
            shown = piece.replace(" ", "␣")
            token(axes, x + width / 2, y, shown, colour, tint(colour, 0.15), width - 0.08, 0.8)
            x += width
        words(axes, 14.4, y, f"{BITS / len(pieces):.2f} bits", colour, ha="right")
    words(axes, 14.4, 5.3, "a piece costs", ha="right")
    words(axes, left, 0.35, f"the whole text costs {BITS} bits in every row", ha="left")
    return figure
