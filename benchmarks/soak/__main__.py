"""All faults over all patterns, by a seed, for a given time; then a judge reads what was written down.

    python benchmarks/soak --minutes 30 --seed 1
    python benchmarks/soak --minutes 1 --seed 1 --from 7     the seventh episode of that run, and those behind it
    python benchmarks/soak --check FOLDER                    judge histories again

A run is a row of episodes. Each plays one lane of each pattern (push, publish, requests, a broker with workers), over
tcp, ipc or shm, sync or asyncio, with or without CURVE. To its processes and connections is done: kill -9, SIGSTOP and
SIGCONT, a restart of one or of all, closing amid it all, cuts at random bytes, delay, silence, junk connections. The
histories of an episode in which something was found are kept. Exit code: 0 nothing was found, 1 something was.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

from arguments import Parser  # noqa: E402

from soak.checker import judge_folder  # noqa: E402
from soak.director import Episode  # noqa: E402
from soak.findings import Findings  # noqa: E402


def tell(findings: Findings) -> None:
    for violation in findings.violations[:20]:
        print(f"  {violation}")
    if len(findings.violations) > 20:
        print(f"  and {len(findings.violations) - 20} more")


def summary(counts: Counter[str], unknown: Counter[str]) -> str:
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    lost = ", ".join(f"{name}: {count:,}" for name, count in sorted(unknown.items()) if count)
    return f"{told}; not to be known: {lost or 'nothing'}"


def soak(minutes: float, seed: int, first: int, seconds: float) -> int:
    print(f"seed {seed}, {minutes:g} minutes", flush=True)
    started, faults, violations = time.monotonic(), 0, 0
    counts: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    number = first
    while number == first or time.monotonic() - started < minutes * 60:
        folder = Path(tempfile.mkdtemp(prefix=f"soak-{number}-"))
        episode = Episode(folder, seed, number, min(seconds, minutes * 60))
        episode.play()
        findings = judge_folder(folder)
        faults += episode.faults
        violations += len(findings.violations)
        counts += findings.counts
        unknown += findings.unknown
        passed = time.monotonic() - started
        print(f"{passed:5.0f} s, episode {number}: {episode.faults} faults, {len(findings.violations)} violations")
        tell(findings)
        if findings.violations:
            print(f"  histories: {folder}")
        else:
            shutil.rmtree(folder)
        sys.stdout.flush()
        number += 1
    print(summary(counts, unknown))
    verdict = "all promises kept" if not violations else "BROKEN"
    print(f"seed {seed}: {number - first} episodes, {faults} faults, {violations} violations: {verdict}")
    return min(violations, 1)


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=1, dest="first", help="number of the first episode")
    parser.add_argument("--episode", type=float, default=60.0, help="seconds of each")
    parser.add_argument("--check", type=Path, help="judge the histories in this folder, and play nothing")
    options = parser.parse_args()
    if options.check:
        findings = judge_folder(options.check)
        tell(findings)
        print(summary(findings.counts, findings.unknown))
        print(f"{len(findings.violations)} violations")
        return min(len(findings.violations), 1)
    return soak(options.minutes, options.seed, options.first, options.episode)


if __name__ == "__main__":
    sys.exit(main())
