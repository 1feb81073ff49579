"""The commands of docs/security.md that go on for minutes, for a moment each."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TOO_LONG = 120.0

COMMANDS = {
    "fuzz": (
        ["fuzz.py", "--inputs", "4000", "--processes", "1", "--target", "loads"],
        r"4,000 inputs .*: 0 violations",
    ),
    "siege": (["siege.py", "--junk", "60", "--handshakes", "60"], r"served 121 times of 121; messages of strangers: 0"),
    "siege in the open": (["siege.py", "--junk", "60", "--open"], r"served 61 times of 61; messages of strangers: 0"),
    "leaks": (["leaks.py", "--cycles", "30"], r"threads: (\d+) before, \1 after"),
    "cuts": (
        ["cuts.py", "--cuts", "10"],
        r"publish: .* 0 unaccounted\n(.*\n)*push: .* 0 unaccounted\n"
        r"requests: .* lost 0, twice 0, wrong 0;.*\nworkers: .* lost 0, twice 0, wrong 0;",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="they look into /proc")
@pytest.mark.parametrize(("arguments", "said"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_of_the_docs(arguments, said):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / arguments[0], *arguments[1:]],
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(said, done.stdout), done.stdout
