"""What the workers offer: nptransport worker filters --connect tcp://broker:5556"""

import numpy as np
from scipy.ndimage import gaussian_filter

import nptransport as npt

methods = npt.Methods()


@methods.method
def blur(picture: np.ndarray) -> np.ndarray:
    return gaussian_filter(picture, sigma=(3, 3, 0))
