"""The commands of docs/security.md that go on for minutes, for a moment each."""

from __future__ import annotations

import re
import sys

import pytest
from children import BENCHMARKS, run_python

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
    script, *options = arguments
    done = run_python(BENCHMARKS / script, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(said, done.stdout), done.stdout
