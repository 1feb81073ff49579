"""Every Python block of the README runs as it stands; those that begin with the name of a program, side by side."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from children import run_python

README = Path(__file__).parent.parent / "README.md"
FOUND = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
PROGRAMS = {name[1]: block for block in FOUND if (name := re.match(r"# (\w+)\.py\n", block))}
BLOCKS = [block for block in FOUND if block not in PROGRAMS.values()]


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block{number}" for number in range(len(BLOCKS))])
def test_block_runs(block: str) -> None:
    done = run_python("-W", "error", "-c", block)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_programs_run_side_by_side() -> None:
    assert set(PROGRAMS) == {"detector", "camera"}
    detector = subprocess.Popen(
        [sys.executable, "-W", "error", "-u", "-c", PROGRAMS["detector"]], stdout=subprocess.PIPE, text=True
    )
    try:
        test_block_runs(PROGRAMS["camera"])
        assert detector.stdout is not None
        assert detector.stdout.readline().startswith("(1080, 1920, 3) 0.0166")
    finally:
        detector.kill()
        detector.communicate()
