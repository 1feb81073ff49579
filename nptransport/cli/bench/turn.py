"""One turn of one candidate: two fresh processes, a warm-up, and as many messages as fit the time."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from contextlib import ExitStack, suppress
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any

from ..exits import ExitCode, Stop
from ..signals import Interruption
from . import child
from .candidates import Candidate
from .content import Reading

__all__ = ["Missing", "measure"]

_PATIENCE = 120.0  # seconds without an answer
_LOOK = 0.1
_WARM_UP, _WARM_UP_SHM = 64_000_000, 2**28  # bytes; shared memory is warm once all of max_bytes was used
_WARM_UP_RATE = 25_000  # messages a second: small ones are warm after about the time of a burst
_FEWEST, _FEWEST_WARM, _MOST = 8, 3, 1_000_000  # messages
_TRIES = 3

# Never forks of this process, for ZeroMQ does not survive that. A fork server has imported what they need, and has no
# context: a process takes milliseconds to begin, where a fresh interpreter takes a tenth of a second.
_SERVER = "forkserver" in multiprocessing.get_all_start_methods()
_PROCESSES: Any = multiprocessing.get_context("forkserver" if _SERVER else "spawn")
if _SERVER:
    _PROCESSES.set_forkserver_preload(
        [f"{__package__}.fork_server", child.__name__, f"{__package__}.programs.ours_asyncio"]
    )


class Missing(Exception):
    """This system lacks what the candidate needs; the text says what."""


def measure(
    candidate: Candidate, nbytes: int, reading: Reading, *, seconds: float, interruption: Interruption
) -> float:
    """Messages a second, or round trips, of arrays of ``nbytes``, in a burst of about ``seconds``.

    Raises:
        Missing: it cannot be measured on this system.
        Stop: one of the processes died, or saw something wrong; or somebody interrupted.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="npt", ignore_cleanup_errors=True))
        roles = ["drive"] if candidate.transport == "memory" else ["serve", "drive"]
        sides = [stack.enter_context(_Child(candidate, role)) for role in roles]

        address = "tcp://127.0.0.1:*" if candidate.transport == "tcp" else f"{candidate.transport}://{folder}/s"
        for side in sides:  # one after the other: whoever waits says where
            whole = candidate.copies(reading)
            side.tell({"address": address, "nbytes": nbytes, "reading": reading, "whole": whole})
            address = _answers([side], sides, interruption)[0]["ready"]

        def burst(count: int) -> float:
            """Seconds a message, as the side that checks them saw it: its clock runs before the other may begin, or a
            reader that was held up would be seen to empty a queue in no time."""
            for side in sides:
                side.tell({"burst": count})
                _answers([side], sides, interruption)
            answers = _answers(sides, sides, interruption)
            return float(answers[0 if candidate.pattern == "stream" else -1]["seconds"])

        total = _WARM_UP_SHM if candidate.transport == "shm" else _WARM_UP
        each = burst(max(_FEWEST_WARM, min(int(seconds * _WARM_UP_RATE), total // nbytes)))
        for _ in range(_TRIES):
            count = max(_FEWEST, min(_MOST, int(seconds / each)))
            each = burst(count)
            if count * each > seconds / 2 or count == _MOST:
                break  # else it was still warming up when that was foretold
        return 1 / each


class _Child:
    """A process that runs one side, and does not outlive the ``with`` block."""

    def __init__(self, candidate: Candidate, role: str) -> None:
        self.who = f"{candidate.name}: the process that {'waits' if role == 'serve' else 'connects'}"
        self.early: list[dict[str, Any]] = []  # said before anybody wanted to know
        self.pipe, self._theirs = _PROCESSES.Pipe()
        self.process = _PROCESSES.Process(target=child.main, args=(self._theirs, candidate.program, role), daemon=True)

    def __enter__(self) -> _Child:
        self.process.start()
        self._theirs.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()
        self.process.close()

    def tell(self, order: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):  # it has died, and whoever waits for its answer hears of that
            self.pipe.send_bytes(json.dumps(order).encode())

    def hear(self) -> dict[str, Any]:
        """What it has said. Missing or Stop if it could not do what it was told."""
        try:
            answer: dict[str, Any] = json.loads(self.pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            self.process.join(_PATIENCE)
            code = self.process.exitcode
            how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            raise Stop(ExitCode.FAILED, f"{self.who} died ({how})") from None
        if "unavailable" in answer:
            raise Missing(answer["unavailable"])
        if "error" in answer:
            raise Stop(ExitCode.FAILED, f"{self.who}: {answer['error']}")
        return answer


def _answers(asked: list[_Child], everybody: list[_Child], interruption: Interruption) -> list[dict[str, Any]]:
    """One of each that was asked. The others are listened to, too: if one of them dies, nobody else may ever answer."""
    answers = {side: side.early.pop(0) for side in asked if side.early}
    deadline = time.monotonic() + _PATIENCE
    while len(answers) < len(asked):
        talking = wait([side.pipe for side in everybody if side not in answers], timeout=_LOOK)
        if interruption:  # first: whoever has died may have been sent the same signal
            raise Stop(interruption.exit_code, "interrupted")
        for side in everybody:
            if side.pipe in talking and side in asked:
                answers[side] = side.hear()
            elif side.pipe in talking:
                side.early.append(side.hear())
        if time.monotonic() > deadline:
            silent = ", ".join(side.who for side in asked if side not in answers)
            raise Stop(ExitCode.TIMEOUT, f"{silent} did not answer within {_PATIENCE:g} s")
    return [answers[side] for side in asked]
