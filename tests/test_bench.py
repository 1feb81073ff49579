"""``nptransport bench``: every row has its figure, what is wrong is noticed, and no process outlives the command."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import PATIENCE, Running, events, wait_until

from nptransport.cli.app import run as run_command
from nptransport.cli.bench import child
from nptransport.cli.bench.candidates import CANDIDATES
from nptransport.cli.bench.content import Content, Wrong
from nptransport.cli.bench.turn import measure
from nptransport.cli.signals import Interruption

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


# What is measured


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_everything_can_be_measured(candidate: Any) -> None:
    if sys.platform != "linux" and candidate.transport not in ("tcp", "memory"):
        pytest.skip("needs a transport of Linux")
    assert measure(candidate, 1000, "read", seconds=0.001, interruption=Interruption()) > 0


# What is wrong


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda array: array.astype(np.int64), "found int64"),
        (lambda array: array[:-1], "found uint64 (99,)"),
        (lambda array: array.tolist(), "found list"),
        (lambda array: array + np.uint64(8), "first and last"),
        (lambda array: np.where(np.arange(100) == 50, 0, array).astype(np.uint64), "the sum"),
    ],
)
def test_wrong_content_is_noticed(spoil: Callable[[np.ndarray], Any], said: str) -> None:
    sender, reader = Content(800, "read"), Content(800, "read")
    for _ in range(200):
        reader.check(next(sender))
    spoiled = spoil(next(sender))
    with pytest.raises(Wrong, match="message 200") as caught:
        reader.check(spoiled)
    assert said in str(caught.value)


def test_a_message_left_out_is_noticed() -> None:
    sender, reader = Content(800, "touch"), Content(800, "touch")
    reader.check(next(sender))
    next(sender)
    third = next(sender)
    with pytest.raises(Wrong, match="message 1"):
        reader.check(third)


def swapped(array: np.ndarray) -> np.ndarray:
    """Its ends and its sum as they were: the second and the fourth of five parts have changed places."""
    first, second, third, fourth, fifth = np.split(array, 5)
    return np.concatenate([first, fourth, third, second, fifth])


def test_parts_that_changed_places_are_noticed() -> None:
    sender, reader = Content(20_000_000, "read"), Content(20_000_000, "read")
    reader.take(lambda: next(sender), 3)
    reader.compare()
    reader.check(swapped(next(sender)))
    reader.take(lambda: swapped(next(sender)), 1)
    with pytest.raises(Wrong, match="message 4: expected element 500000 to be 500032, found 1500032"):
        reader.compare()


@pytest.mark.skipif(sys.platform == "win32", reason="needs unix sockets")
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (lambda content: bytes(800), "Wrong: message 0: expected first and last"),
        (lambda content: b"".join([*(next(content) for _ in range(2)), swapped(next(content))]), "Wrong: message 2"),
    ],
)
def test_a_process_that_is_sent_something_else_says_so(
    tmp_path: Path, sent: Callable[[Content], bytes], said: str
) -> None:
    import socket

    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=child.main, args=(theirs, "system.stream", "serve"), daemon=True)
    process.start()
    theirs.close()

    def tell(**order: Any) -> None:
        pipe.send_bytes(json.dumps(order).encode())

    try:
        tell(address=f"unix://{tmp_path}/s", nbytes=800, reading="touch")
        assert pipe.poll(PATIENCE)
        assert "ready" in json.loads(pipe.recv_bytes())
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{tmp_path}/s")
            tell(burst=3)
            connection.sendall(sent(Content(800, "touch")))
            assert pipe.poll(PATIENCE)
            assert json.loads(pipe.recv_bytes()) == {"begun": True}
            assert pipe.poll(PATIENCE)
            assert said in json.loads(pipe.recv_bytes())["error"]
        pipe.close()  # as it is when the command has died
        process.join(PATIENCE)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()


def test_sizes_with_a_point(capfd: pytest.CaptureFixture[str]) -> None:
    tiny = ["--rounds", "1", "--seconds", "0.001", "--readers", "read", "--patterns", "stream", "--transports", "ipc"]
    assert run_command(["bench", *tiny, "--sizes", "4.56MB", "--json"]) == 0
    assert [each["bytes"] for each in events(capfd.readouterr().out) if each["event"] == "result"][:1] == [4_560_000]


@pytest.mark.parametrize("seconds", ["1e300", "0", "nan"])
def test_a_duration_that_never_ends(seconds: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bench", "--seconds", seconds]) == 2
    assert "0<x<=3600" in (said := capfd.readouterr().err) or "no finite number" in said


@pytest.mark.parametrize(
    "selection", [["--transports", "tcp", "--faces", "asyncio"], ["--patterns", "roundtrip", "--transports", "shm"]]
)
def test_limits_alone_are_no_comparison(selection: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bench", "--quick", *selection]) == 2
    assert "--quick leaves nothing of that" in capfd.readouterr().err


@pytest.mark.parametrize("size", ["0", "7KB?", "9", "1GB", "1001"])
def test_sizes_that_are_none(size: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bench", "--sizes", size]) == 2
    assert "multiple of 8" in (said := capfd.readouterr().err) or "is no size" in said


# Who outlives whom


def descendants(pid: int) -> set[int]:
    """All processes below ``pid``."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
            parents[int(name.split()[0])] = int(rest.split()[1])
        except OSError:
            continue
    below: set[int] = set()
    grown = {pid}
    while grown:
        grown = {each for each, parent in parents.items() if parent in grown}
        below |= grown
    return below


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Running]:
    """A run in the middle of its first turn, and for a long time."""
    options = ["--sizes", "1KB", "--patterns", "stream", "--seconds", "3600", "--faces", "sync"]
    with Running(tmp_path, "bench", *options) as running:
        yield running


@linux
def test_a_process_that_is_killed_is_named(endless: Running) -> None:
    measuring = wait_until(lambda: _measuring(endless))
    os.kill(measuring, signal.SIGKILL)
    assert endless.wait() == 1
    assert "memcpy: the process that connects died (killed by signal 9)" in endless.stderr


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_of_its_processes_is_the_affair_of_the_command(endless: Running, number: int) -> None:
    wait_until(lambda: _measuring(endless))
    for each in [*descendants(endless.process.pid), endless.process.pid]:
        os.kill(each, number)
    assert endless.wait() == 128 + number
    assert endless.event("summary")["exit"] == 128 + number
    assert endless.stderr.endswith("nptransport: interrupted\n")


@linux
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_nobody_is_left(endless: Running, number: int, code: int) -> None:
    wait_until(lambda: _measuring(endless))
    below = descendants(endless.process.pid)
    endless.process.send_signal(number)
    assert endless.process.wait(PATIENCE) == code
    wait_until(lambda: not any(_alive(each) for each in below))


def _measuring(running: Running) -> int:
    """The process that copies memory: it has used some time of the processor, and its parent is the fork server."""
    assert running.process.poll() is None, running.stderr
    below = descendants(running.process.pid)
    for each in below:
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) in below and int(fields[11]) + int(fields[12]) > 2:
            return each
    return 0


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
