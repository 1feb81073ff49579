"""Photographs from scikit-image's wheel, and the film that a camera moving over them makes."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..exits import ExitCode, Stop

__all__ = ["FRAME_SHAPE", "Picture", "film", "load_photographs", "require_photographs"]

Picture = np.ndarray[Any, np.dtype[np.uint8]]

FRAME_SHAPE = (720, 1280, 3)
_PHOTOGRAPHS = ["astronaut.png", "hubble_deep_field.jpg", "chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg"]
_MARGIN = 1.3  # how much wider than the frame a photograph is made, so that the camera can move over it
_SCENE = 75  # frames that one photograph is shown
_STEP = (2, 5)  # pixels down and right from one frame to the next: no frame is as the one before


def require_photographs() -> str:
    """The folder of the photographs; Stop if a package is missing."""
    found = importlib.util.find_spec("skimage")  # without importing it, which takes a second
    if found is None or not found.submodule_search_locations or importlib.util.find_spec("PIL") is None:
        what = "the demo shows photographs that scikit-image ships"
        raise Stop(ExitCode.USAGE, f"{what}: pip install 'nptransport[demo]'")
    return os.path.join(found.submodule_search_locations[0], "data")


def load_photographs() -> list[Picture]:
    """Each RGB, and large enough for the camera to move."""
    from PIL import Image

    folder = require_photographs()
    height, width, _ = FRAME_SHAPE
    photographs = []
    for name in _PHOTOGRAPHS:
        with Image.open(os.path.join(folder, name)) as image:
            scale = _MARGIN * max(width / image.width, height / image.height)
            size = round(image.width * scale), round(image.height * scale)
            photographs.append(np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC)))
    return photographs


def film(photographs: Sequence[Picture]) -> Iterator[Picture]:
    """Frame after frame without end, each a view on a photograph."""
    height, width, _ = FRAME_SHAPE
    number = 0
    while True:
        photograph = photographs[number // _SCENE % len(photographs)]
        top = _to_and_fro(number * _STEP[0], photograph.shape[0] - height)
        left = _to_and_fro(number * _STEP[1], photograph.shape[1] - width)
        yield photograph[top : top + height, left : left + width]
        number += 1


def _to_and_fro(way: int, room: int) -> int:
    return room - abs(way % (2 * room) - room)
