"""Time of `import nptransport` against importing numpy, zmq and msgpack, in fresh interpreters, interleaved.

python benchmarks/imports.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 25


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(ROUNDS):
        bare.append(seconds("import numpy, zmq, msgpack"))
        ours.append(seconds("import nptransport"))
    low, high = statistics.median(bare), statistics.median(ours)
    print(f"numpy, zmq, msgpack: {low * 1e3:.1f} ms; nptransport: {high * 1e3:.1f} ms; ratio {high / low:.2f}")


if __name__ == "__main__":
    main()
