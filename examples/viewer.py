"""Show the newest frame of camera.py in the terminal: python examples/viewer.py [ADDRESS]"""

import shutil
import sys

import numpy as np

import nptransport as npt

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5556"


def draw(picture: np.ndarray) -> str:
    """Two pixels a character: the upper half of it in one colour, the ground in the other."""
    columns, lines = shutil.get_terminal_size()
    step = 1 + max(picture.shape[0] // (2 * lines), picture.shape[1] // columns)
    pixels = picture[::step, ::step]
    rows = zip(pixels[0:-1:2].tolist(), pixels[1::2].tolist(), strict=True)
    return "\n".join("".join(map(character, upper, lower)) + "\x1b[0m" for upper, lower in rows)


def character(upper: list[int], lower: list[int]) -> str:
    return "\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*upper, *lower)


with npt.Subscriber(connect=address, topics="camera/", latest=True) as subscriber:
    while (frame := subscriber.recv(timeout=60)) is not None:
        print("\x1b[H" + draw(frame), flush=True)
    statistics = subscriber.statistics()
print(f"showed {statistics.received - 1} frames, skipped {statistics.skipped}, missed {statistics.missed}")
