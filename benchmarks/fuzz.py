"""Throws inputs at the decoder and the state machines, and writes down those that do not keep the invariant.

    python benchmarks/fuzz.py --inputs 10_000_000 --seed 1              on all processors
    python benchmarks/fuzz.py --inputs 200_000 --target decode --seed 7
    python benchmarks/fuzz.py --guided --target decode --inputs 1_000_000  led by coverage

--guided needs atheris: pip install 'nptransport[fuzz]'.

The invariant stands in tests/fuzzing.py. The same seed and number are the same inputs on any machine. What is found is
written to tests/fuzz_found/, where the tests replay it from then on. Exit code 1 if anything was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

from arguments import Parser, count

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def run_batch(task: tuple[str, int, int, int]) -> tuple[str, int, list[tuple[list[str], str]]]:
    """Target, number of inputs, and what was found: frames and error of each."""
    import fuzzing

    violations: list[tuple[list[str], str]] = []

    def report(frames: list[bytes], error: Exception) -> None:
        violations.append(([frame.hex() for frame in frames], f"{type(error).__name__}: {error}"))

    target, seed, batch, count = task
    fuzzing.inputs(target, seed, batch, count, report)
    return target, count, violations


def tasks(targets: list[str], total: int, seed: int) -> list[tuple[str, int, int, int]]:
    """Batches of all targets, each as often as its share says, ``total`` inputs together."""
    import fuzzing

    made: list[tuple[str, int, int, int]] = []
    batch = 0
    while total > 0:
        for target in [each for each in targets for _ in range(fuzzing.SHARES[each])]:
            count = min(fuzzing.BATCH, total)
            if count > 0:
                made.append((target, seed, batch, count))
            total -= count
            batch += 1
    return made


def keep(target: str, frames: list[str], error: str) -> Path:
    """Write an input down for the tests."""
    import fuzzing

    fuzzing.FOUND.mkdir(exist_ok=True)
    document = json.dumps({"target": target, "error": error[:300], "frames": frames}, indent=1)
    path = (
        fuzzing.FOUND / f"{target.replace(' ', '-')}-{hashlib.sha256(''.join(frames).encode()).hexdigest()[:12]}.json"
    )
    path.write_text(document + "\n", "utf-8")
    return path


def fuzz(targets: list[str], total: int, seed: int, processes: int) -> int:
    print(f"seed {seed}: {total:,} inputs on {processes} processors", file=sys.stderr)
    started, done, found = time.monotonic(), dict.fromkeys(targets, 0), 0
    told = started
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for target, count, violations in pool.imap_unordered(run_batch, tasks(targets, total, seed), chunksize=4):
            done[target] += count
            for frames, error in violations:
                found += 1
                if found <= 20:
                    print(f"{target}: {error[:200]}\n  kept as {keep(target, frames, error)}")
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(f"{sum(done.values()):,} inputs, {found} violations", file=sys.stderr)
    seconds = time.monotonic() - started
    print(f"seed {seed}: {', '.join(f'{target} {count:,}' for target, count in done.items())}")
    print(f"{sum(done.values()):,} inputs in {seconds:.0f} s: {found} violations")
    return min(found, 1)


def instrument() -> None:
    """To be called before anything of ours is imported: from then on it tells where it has been."""
    try:
        import atheris
    except ImportError:
        sys.exit("--guided needs atheris: pip install 'nptransport[fuzz]'")
    with atheris.instrument_imports(include=["nptransport"]):
        import nptransport  # noqa: F401


def guided(target: str, total: int, seed: int) -> None:
    """Led by coverage; libFuzzer ends the process."""
    import atheris
    import fuzzing

    check = fuzzing.TARGETS[target]()

    def split(data: bytes) -> list[bytes]:
        frames = []
        while len(data) >= 2:
            length = int.from_bytes(data[:2], "big")
            frames.append(data[2 : 2 + length])
            data = data[2 + length :]
        return frames[:64]

    def one_input(data: bytes) -> None:
        frames = split(data)
        try:
            check(frames)
        except Exception as error:
            print(f"kept as {keep(target, [frame.hex() for frame in frames], f'{type(error).__name__}: {error}')}")
            raise

    folder = ROOT / ".fuzz" / target.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    for index, frames in enumerate(fuzzing.corpus()[target]):
        with contextlib.suppress(OverflowError):
            folder.joinpath(f"vector-{index}").write_bytes(b"".join(len(f).to_bytes(2, "big") + f for f in frames))
    atheris.Setup([sys.argv[0], f"-runs={total}", f"-seed={seed}", "-max_len=8192", str(folder)], one_input)
    atheris.Fuzz()


def main() -> int:
    if "--guided" in sys.argv:
        instrument()
    import fuzzing

    parser = Parser(__doc__)
    parser.add_argument("--inputs", type=count, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=list(fuzzing.TARGETS), action="append", help="may be repeated; all without")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--guided", action="store_true", help="by coverage, with atheris; one target")
    options = parser.parse_args()
    if options.guided:
        guided((options.target or ["decode"])[0], options.inputs, options.seed)
    return fuzz(options.target or list(fuzzing.TARGETS), options.inputs, options.seed, options.processes)


if __name__ == "__main__":
    sys.exit(main())
