"""encode + decode of one contiguous array against bare msgpack of {"dtype": str, "shape": list}, interleaved.

    python benchmarks/codec.py

The bare one does no more than pack and unpack those two; ours checks what a peer may have written, and keeps the array.
"""

from __future__ import annotations

import statistics
import timeit

import msgpack
import numpy as np
import repository  # noqa: F401 - for what is imported below

import nptransport as npt

SHAPES = [(1,), (256,), (480, 640), (1080, 1920, 3), (4, 2048, 4096)]
NUMBER, ROUNDS = 5_000, 15


def main() -> None:
    print(f"{'array':>32}  {'bare':>8}  {'encode':>8}  {'decode':>8}  {'ratio':>6}")
    for shape in SHAPES:
        array = np.zeros(shape, np.float32)
        bare = {"dtype": array.dtype.str, "shape": list(shape)}
        frames = npt.encode(array)
        columns = {
            "bare": lambda bare=bare: msgpack.unpackb(msgpack.packb(bare)),
            "encode": lambda array=array: npt.encode(array),
            "decode": lambda frames=frames: npt.decode(frames),
        }
        times: dict[str, list[float]] = {name: [] for name in columns}
        for _ in range(ROUNDS):
            for name, work in columns.items():
                times[name].append(timeit.timeit(work, number=NUMBER) / NUMBER * 1e6)
        median = {name: statistics.median(values) for name, values in times.items()}
        ratio = (median["encode"] + median["decode"]) / median["bare"]
        size = f"float32 {list(shape)}"
        print(
            f"{size:>32}  {median['bare']:6.2f}us  {median['encode']:6.2f}us  {median['decode']:6.2f}us  {ratio:6.2f}"
        )


if __name__ == "__main__":
    main()
