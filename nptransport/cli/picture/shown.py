"""One payload as something to look at."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from ..plain import plain
from ..watch.outline import find_array, outline
from .blocks import as_blocks, as_dots, fit
from .choose import Kind, choose
from .numbers import NoNumbers, as_numbers, summarize
from .plot import draw_curves, save_curves
from .scale import scale_colour, scale_grey

__all__ = ["NothingToShow", "Shown", "show"]

Array = np.ndarray[Any, Any]

_FINER = 4  # pixels that a character's half is made of, across and down; the rest is left out beforehand


class NothingToShow(Exception):
    """No array there, or none of numbers; the text says what there is."""


class Shown(NamedTuple):
    """An array, or a part of it, of numbers; to be drawn, or saved."""

    kind: Kind
    numbers: Array
    """Rows and columns; of curves, each a row; of one value, that."""
    path: str
    """Within the payload."""
    what: str
    """dtype and shape of the whole array."""
    part: str
    """Which part of it this is; "" for all of it."""
    how: str
    """What was done to make numbers of it."""

    def draw(self, width: int, height: int, *, colours: bool) -> tuple[RenderableType, str]:
        """So many characters across and down, at most; and how it was scaled."""
        if self.kind is Kind.VALUE:
            return Text(plain(str(self.numbers)) if self.numbers.size else "empty"), ""
        if self.kind is Kind.CURVES:
            return Text.from_ansi(draw_curves(self.numbers, width, height, colours=colours)), ""
        if colours:
            image, scaling = self._image(width, height * 2)
            image = fit(_on_black(image), width, height * 2)
            pixels = np.asarray(image)
            return as_blocks(np.pad(pixels, ((0, len(pixels) % 2), (0, 0), (0, 0)))), scaling
        image, scaling = self._image(width * 2, height * 4)
        return Text(as_dots(fit(_on_black(image), width * 2, height * 4))), scaling

    def save(self) -> tuple[bytes, str]:
        """A PNG, a pixel for each element; and how it was scaled."""
        if self.kind is Kind.VALUE:
            raise NothingToShow(f"{self.what} makes no picture")
        if self.kind is Kind.CURVES:
            return save_curves(self.numbers), ""
        image, scaling = self._image()
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue(), scaling

    def describe(self, scaling: str = "") -> str:
        """What it is, what its elements range over, and how they were scaled."""
        what = f"{self.what} at {self.part}" if self.part else self.what
        held = str(summarize(self.numbers)) if self.numbers.size else ""
        return "  ".join(filter(None, [plain(self.path), what, ", ".join(filter(None, [self.how, held, scaling]))]))

    def _image(self, width: int | None = None, height: int | None = None) -> tuple[Any, str]:
        from PIL import Image

        numbers = self.numbers
        if width and height:
            step = max(1, min(numbers.shape[0] // (height * _FINER), numbers.shape[1] // (width * _FINER)))
            numbers = numbers[::step, ::step]
        pixels, scaling = (scale_colour if self.kind is Kind.COLOUR else scale_grey)(numbers)
        return Image.fromarray(np.ascontiguousarray(pixels)), scaling


def show(payload: Any, path: str) -> Shown:
    """The array at ``path``, or the first one there is; NothingToShow if that does not make a picture."""
    try:
        place, array = find_array(payload, path)
        choice = choose(array.shape)
        index = *choice.index, Ellipsis  # which keeps what has no dimension an array
        numbers, how = as_numbers(array[index].transpose(choice.axes))
    except (LookupError, NoNumbers) as error:
        raise NothingToShow(plain(str(error.args[0]))) from None
    if choice.kind is Kind.CURVES:
        numbers = np.atleast_2d(numbers).astype(np.float64, copy=False)
    return Shown(choice.kind, numbers, place, outline(array), str(choice), how)


def _on_black(image: Any) -> Any:
    """Without what is transparent, which a terminal has not."""
    from PIL import Image

    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return image.convert("RGB")
