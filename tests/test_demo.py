"""``nptransport demo`` shows what it says, and its verdict is earned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import PROGRAM, events, run, wait_until

pytest.importorskip("rich")
pytest.importorskip("skimage")

from nptransport.cli.demo.pictures import FRAME_SHAPE, film, load_photographs
from nptransport.cli.demo.tally import DigestSum, Tally, judge, lost_so_far


def test_the_demo_streams_photographs_and_counts_them() -> None:
    done = run("demo", "--seconds", "1.5", "--json")
    assert done.returncode == 0, done.stderr
    (summary,) = events(done.stdout)
    assert summary["good"]
    assert summary["digests_equal"]
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    assert summary["sent"] == summary["received"] > 1
    assert summary["bytes"] == summary["sent"] * np.prod(FRAME_SHAPE)


def test_where_there_is_no_terminal_there_are_lines() -> None:
    done = run("demo", "--seconds", "2", "--viewers", "3", "--rate", "30")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "every frame arrived once, as it was sent"
    title, *lines = done.stderr.splitlines()
    assert title == "1280x720 RGB at 30 frames/s over tcp, from a camera to 3 viewers in turn"
    assert all(line.startswith("camera ") and "viewer 3 " in line for line in lines)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for processes in /proc")
def test_ctrl_c_ends_all_its_processes() -> None:
    process = subprocess.Popen([*PROGRAM, "demo", "--seconds", "600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(children(process.pid)) == 3)
        born = children(process.pid)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert stdout == b""
    assert b"Traceback" not in stderr
    assert stderr.endswith(b"nptransport: interrupted\n")
    assert not [child for child in born if os.path.exists(f"/proc/{child}")]


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return list(map(int, found.read_text().split())) if found.exists() else []


def test_a_process_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'demo-viewer' in sys.argv:\n    sys.exit('no viewer here')\n"
    )
    code = f"import os; os.environ['PYTHONPATH'] = {os.pathsep.join([str(tmp_path), *sys.path])!r}; "
    program = [sys.executable, "-c", code + "from nptransport.cli import main; import sys; sys.exit(main())"]
    done = run("demo", "--seconds", "1", program=program)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith("nptransport: a process of the demo failed: ")
    assert said.endswith("no viewer here")


def test_the_film_moves_over_photographs() -> None:
    frames = film(load_photographs())
    before = next(frames)
    assert before.shape == FRAME_SHAPE
    for _ in range(500):
        frame = next(frames)
        assert frame.shape == FRAME_SHAPE
        assert not np.array_equal(frame[::8, ::8], before[::8, ::8])
        before = frame


def told(who: str, frames: dict[int, int]) -> Tally:
    """The tally of a process that had frames of these numbers, each with one value all over."""
    tally, digests = Tally(who), DigestSum()
    for number, value in frames.items():
        digests.add(number, np.full((2, 3), value, np.uint8))
    news = {"numbers": np.array(list(frames), np.int64), "latencies": np.zeros(len(frames)), "nbytes": 6 * len(frames)}
    tally.take({**news, "digests": digests.value.to_bytes(16, "little")})
    return tally


SENT = {0: 5, 1: 6, 2: 7, 3: 5}


@pytest.mark.parametrize(
    ("left", "right", "lost", "doubled", "equal"),
    [
        ({0: 5, 2: 7}, {1: 6, 3: 5}, 0, 0, True),
        ({3: 5, 2: 7, 1: 6, 0: 5}, {}, 0, 0, True),
        ({0: 5, 2: 7}, {1: 6}, 1, 0, False),
        ({0: 5, 2: 7}, {1: 6, 2: 7, 3: 5}, 0, 1, False),
        ({0: 5, 2: 7}, {1: 6, 3: 4}, 0, 0, False),
        ({0: 7, 2: 5}, {1: 6, 3: 5}, 0, 0, False),
        ({}, {}, 4, 0, False),
    ],
    ids=["all", "one got all", "lost", "doubled", "damaged", "swapped", "nothing"],
)
def test_the_verdict(left: dict[int, int], right: dict[int, int], lost: int, doubled: int, equal: bool) -> None:
    verdict = judge(told("camera", SENT), [told("a", left), told("b", right)])
    assert (verdict.lost, verdict.doubled, verdict.digests_equal) == (lost, doubled, equal)
    assert verdict.good == (equal and not lost and not doubled)


def test_what_is_on_its_way_does_not_count_as_lost() -> None:
    assert lost_so_far([told("a", {0: 5, 2: 7}), told("b", {1: 6})]) == 0
    assert lost_so_far([told("a", {0: 5, 3: 7}), told("b", {4: 6})]) == 2
    assert lost_so_far([told("a", {9: 5}), told("b", {})]) == 0


def test_nothing_sent_is_no_success() -> None:
    assert not judge(told("camera", {}), [told("a", {})]).good
