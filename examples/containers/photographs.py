"""Photographs that scikit-image ships, known to those who send them and to those who check what came."""

import numpy as np
from skimage import data

_PHOTOGRAPHS = [data.astronaut(), data.coffee(), data.rocket(), data.hubble_deep_field()]


def picture(number: int) -> np.ndarray:
    """One photograph after the other, shifted sideways so that no two pictures are alike."""
    return np.roll(_PHOTOGRAPHS[number % len(_PHOTOGRAPHS)], number, axis=1)


def frame(number: int) -> np.ndarray:
    """What a camera that turns sees: always the same photograph, and shape."""
    return np.roll(_PHOTOGRAPHS[0], 4 * number, axis=1)
