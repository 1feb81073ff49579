"""Pixels as characters: two of them a character, in colours where there are any, as dots elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style

from .scale import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["as_blocks", "as_dots", "fit"]

_HALF = "▀"


def fit(image: Image, width: int, height: int) -> Image:
    """As large as the room allows, in its proportions; small images grow by whole steps, each pixel a square."""
    from PIL.Image import Resampling

    factor = min(width / image.width, height / image.height)
    if factor >= 1:
        return image.resize((image.width * int(factor), image.height * int(factor)), Resampling.NEAREST)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Resampling.BOX)


def as_blocks(pixels: Pixels) -> Segments:
    """RGB pixels, an even number of rows: upper halves of characters, on the colour of the lower ones."""
    segments = []
    for upper, lower in zip(pixels[::2].tolist(), pixels[1::2].tolist(), strict=True):
        pairs = zip(upper, lower, strict=True)
        segments += [Segment(_HALF, Style.from_color(_colour(*above), _colour(*below))) for above, below in pairs]
        segments.append(Segment.line())
    return Segments(segments)


@lru_cache(maxsize=2**14)
def _colour(red: int, green: int, blue: int) -> Color:
    return Color.from_rgb(red, green, blue)


def as_dots(image: Image) -> str:
    """Black and white as braille, eight dots a character."""
    import plotille

    width, height = -(-image.width // 2), -(-image.height // 4)
    canvas = plotille.Canvas(width, height)
    padded = image.convert("L").crop((0, 0, width * 2, height * 4)).convert("1")  # which scatters the error
    canvas.braille_image(list(padded.convert("L").tobytes()), 127)
    text: str = canvas.plot()
    return text
