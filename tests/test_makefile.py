"""``make`` on a machine that lacks something: one line that says what, before make's own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("make") is None, reason="needs make and a POSIX shell"
)

MAKEFILE = Path(__file__).parent.parent / "Makefile"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with a space in its name that holds what make looks at."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    shutil.copy(MAKEFILE, folder)
    shutil.copy(MAKEFILE.parent / "pyproject.toml", folder)
    return folder


def complaint(clone: Path, python: str) -> str:
    command = ["make", "--no-print-directory", "demo", f"PYTHON={python}"]
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=120, check=False, env=alone)
    assert done.returncode == 2, done.stderr
    said, own = done.stderr.splitlines()
    assert own.startswith("make: *** ")
    return said.removeprefix("make: ")


def python_that(clone: Path, fails_for: str, saying: str = "") -> str:
    """A Python that fails if its arguments hold some text."""
    script = clone.parent / "a python"
    python = shlex.quote(sys.executable)
    script.write_text(f'#!/bin/sh\ncase "$*" in *"{fails_for}"*) {saying} exit 1;; esac\nexec {python} "$@"\n')
    script.chmod(0o755)
    return str(script)


def test_no_python(clone: Path) -> None:
    assert complaint(clone, "/no/such/python").startswith("Python 3.10 or later is needed")


def test_a_python_that_is_too_old(clone: Path) -> None:
    assert complaint(clone, python_that(clone, "version_info")).startswith("Python 3.10 or later is needed")


def test_a_python_without_venv(clone: Path) -> None:
    assert "has no venv module: apt install python3-venv" in complaint(clone, python_that(clone, "import ensurepip"))
    assert not (clone / ".venv").exists()


def test_an_environment_that_cannot_be_made_is_not_blamed_on_venv_and_nothing_is_removed(clone: Path) -> None:
    (clone / ".venv").write_text("precious")
    said = complaint(clone, sys.executable)
    assert said.startswith("cannot make .venv: ")
    assert "venv module" not in said
    assert (clone / ".venv").read_text() == "precious"


def test_no_network(clone: Path) -> None:
    pip = clone.parent / "pip"
    pip.mkdir()
    (pip / "__init__.py").write_text("")
    (pip / "__main__.py").write_text("raise SystemExit('ERROR: No matching distribution found for hatchling')")
    bin_ = clone / ".venv" / "bin"
    bin_.mkdir(parents=True)
    wrapper = bin_ / "python"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH="{clone.parent}" exec {shlex.quote(sys.executable)} "$@"\n')
    wrapper.chmod(0o755)
    said = complaint(clone, sys.executable)
    assert said.startswith("pip could not install the extra 'demo' (is there a network?): No matching")
    assert os.path.exists(clone / ".venv" / "pip.log")
