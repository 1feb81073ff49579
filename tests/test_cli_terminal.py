"""What people see: on a terminal of any width, without colours, on one that cannot be painted on, and in a log."""

from __future__ import annotations

import io
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import PATIENCE, PROGRAM, receiver, small_fixture  # noqa: F401

pytest.importorskip("rich")
pytest.importorskip("pty", reason="pseudo-terminals of POSIX")

import pty

from rich.console import Console

from nptransport.cli.demo.screen import Screen
from nptransport.cli.demo.tally import Tally
from nptransport.cli.progress import Ticker

PAINTED = "\x1b["


def on_a_terminal(*arguments: str | Path, **environment: str) -> str:
    """What the command shows on a terminal that is its stdout and stderr."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        [*PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    shown = b""
    while data := _read(ours):
        shown += data
    os.close(ours)
    assert process.wait(PATIENCE) == 0, shown
    assert b"Traceback" not in shown
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 2**16)
    except OSError:  # what Linux says when nobody holds the other end any more
        return b""


def test_there_is_a_bar_on_a_terminal(tmp_path: Path, small: Path) -> None:
    with receiver(tmp_path) as recv:
        shown = on_a_terminal("send", "--connect", recv.address, small)
    assert PAINTED in shown
    assert "1/1\x1b[0m small.npy" in shown


def test_a_dumb_terminal_is_not_painted_on(tmp_path: Path, small: Path) -> None:
    with receiver(tmp_path) as recv:
        shown = on_a_terminal("send", "--connect", recv.address, "--split", "--rate", "800", small, TERM="dumb")
    assert "small.npy: frame " in shown
    assert "\x1b[?25l" not in shown
    pytest.importorskip("skimage")
    shown = on_a_terminal("demo", "--seconds", "2.5", "--rate", "5", TERM="dumb")
    assert "camera " in shown
    assert "viewer 2 " in shown
    assert "\x1b[?25l" not in shown


def test_a_log_says_nothing_of_the_time_before_the_first_frame(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    ticker = Ticker()
    now = 60.0  # that the receiver let us wait
    ticker.moved("a.npy", 1, 3, 1000)
    assert capsys.readouterr().err == ""
    now = 62.0
    ticker.moved("a.npy", 2, 3, 1000)
    assert capsys.readouterr().err == "a.npy: frame 2 of 3, 1.0 kB/s\n"


def told(who: str) -> Tally:
    tally = Tally(who)
    tally.take({"numbers": np.arange(3), "latencies": np.full(3, 0.1234), "nbytes": 1000})
    tally.picture = np.full((36, 64, 3), 128, np.uint8)
    return tally


@pytest.mark.parametrize("width", [80, 60, 40, 36])
@pytest.mark.parametrize("colour", [True, False], ids=["colour", "no colour"])
def test_the_table_fits(width: int, colour: bool) -> None:
    paper = io.StringIO()
    console = Console(file=paper, width=width, height=50, force_terminal=True, color_system="256", no_color=not colour)
    with Screen(console, "title") as screen:
        screen.show(told("camera"), [told("viewer 1"), told("viewer 2")], at_last=True)
    shown = paper.getvalue()
    assert "…" not in shown
    assert "all viewers" in shown
    assert ("median ms" in shown) == (width >= 60)
    assert ("p99 ms" in shown) == (width >= 80)
    assert ("▀" in shown) == (colour and width >= 64)
