"""Time of `import nptransport` against importing numpy, zmq and msgpack, in fresh interpreters, interleaved.

    python benchmarks/imports.py

All from bytecode, as pip installs it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import repository  # noqa: F401 - for the processes

ROUNDS = 25
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=ENVIRONMENT)
    return time.perf_counter() - start


def main() -> None:
    seconds("import nptransport")  # compiles
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(ROUNDS):
        bare.append(seconds("import numpy, zmq, msgpack"))
        ours.append(seconds("import nptransport"))
    low, high = statistics.median(bare), statistics.median(ours)
    print(f"numpy, zmq, msgpack: {low * 1e3:.1f} ms; nptransport: {high * 1e3:.1f} ms; ratio {high / low:.2f}")


if __name__ == "__main__":
    main()
