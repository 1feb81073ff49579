"""One turn of one contestant: its processes, what they print, how long they may take, and what becomes of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from peers.peer import Peer, Place
from peers.work import Sink, Source, Work

__all__ = ["Failed", "turn"]

SPAWN = multiprocessing.get_context("spawn")
LONGEST = 200  # characters of an error
PATIENCE = 60.0  # seconds for starting and for stragglers, beside those of the work
STRAGGLING = 5.0  # seconds for ending, before a side is killed


class Failed(Exception):
    """The contestant raised, ended or hung, or delivered something else: in one line."""


def turn(peer: Peer, work: Work) -> float:
    """Arrays a second. Raises Failed."""
    with contextlib.ExitStack() as closing, tempfile.TemporaryDirectory(prefix="peers") as name:
        folder = Path(name)
        reports, report = SPAWN.Pipe(duplex=False)
        closing.enter_context(reports)
        log = folder / "log"
        listening, finished = SPAWN.Event(), SPAWN.Event()
        if peer.alone:
            sides = [_start(log, report, _alone, peer.alone, work, folder)]
        else:
            try:
                link = peer.link(Place(folder, work, closing))
            except Exception as error:
                raise Failed(_in_a_line(error)) from error
            sides = [
                _start(log, report, _receive, peer.receive, link, work, peer.lends, listening),
                _start(log, report, _send, peer.send, link, work, listening, finished),
            ]
        report.close()
        patience = STRAGGLING
        try:
            return _outcome(reports, sides, time.monotonic() + 4 * work.seconds + PATIENCE, log)
        except KeyboardInterrupt:
            patience = 0.0
            raise
        finally:
            finished.set()
            for side in sides:
                side.join(patience)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(side.pid, signal.SIGKILL)
                side.join()


def _start(log: Path, report: Connection, *args: Any) -> Any:
    process = SPAWN.Process(target=_side, args=(log, report, *args))
    process.start()
    return process


def _outcome(reports: Connection, sides: list[Any], deadline: float, log: Path) -> float:
    running = {side.sentinel: side for side in sides}
    while True:
        arrived = wait([reports, *running], timeout=max(0, deadline - time.monotonic()))
        if reports in arrived:
            try:
                what, value = reports.recv()
            except EOFError:  # all have ended
                raise Failed(f"ended without a word: {_last_line(log)}") from None
            if what == "rate":
                return float(value)
            raise Failed(value)
        if not arrived:
            raise Failed(f"took too long: {_last_line(log)}")
        for sentinel in arrived:
            side = running.pop(sentinel)
            if side.exitcode:
                raise Failed(f"a process ended with {side.exitcode}: {_last_line(log)}")


def _side(log: Path, report: Connection, run: Callable[..., float | None], *args: Any) -> None:
    """The whole of a process: a group of its own, output into the log, the rate or the error reported."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        rate = run(*args)
    except Exception as error:  # noqa: BLE001 - whatever a contestant raises is told, and the others go on
        report.send(("failed", _in_a_line(error)))
    else:
        if rate is not None:
            report.send(("rate", rate))


def _alone(run: Callable[[Work, Path], float], work: Work, folder: Path) -> float:
    return run(work, folder)


def _receive(run: Callable[[Any, Sink], None], link: Any, work: Work, lent: bool, listening: Any) -> float:
    sink = Sink(work, lent, ready=listening.set)
    run(link, sink)
    return sink.rate()


def _send(run: Callable[[Any, Source], None], link: Any, work: Work, listening: Any, finished: Any) -> None:
    run(link, Source(work, wait=listening.wait, stay=finished.wait))


def _in_a_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}"[:LONGEST] if lines else type(error).__name__


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:LONGEST] if lines else "it printed nothing"
