"""docs/security.md: each test that it names is there, and its Python blocks run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from children import run_python

HERE = Path(__file__).parent
TEXT = (HERE.parent / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(test_\w+(?:\.py)?)`", TEXT)))
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
DEFINED = {
    name for path in HERE.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.M)
}


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_is_there(name):
    assert (HERE / name).exists() if name.endswith(".py") else name in DEFINED


def test_each_row_names_one():
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and line.count("|") == 4]
    assert len(rows) > 35
    assert [row for row in rows if "test_" not in row and not row.startswith(("| what comes", "| ---"))] == []


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block{number}" for number in range(len(BLOCKS))])
def test_block_runs(block):
    done = run_python("-W", "error", "-c", block)
    assert (done.returncode, done.stderr) == (0, "")
