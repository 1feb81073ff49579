"""What a type checker knows of the public surface: names, and what calls give for which arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parent.parent

PROGRAM = """\
import numpy as np
import zmq
import zmq.asyncio
import nptransport as npt
import nptransport.asyncio

npt.Konsumer  # error: Module has no attribute "Konsumer"
npt.asyncio.Konsumer  # error: Module has no attribute "Konsumer"
npt.Consumer(binds="tcp://*:5555")  # error: Unexpected keyword argument "binds" for "Consumer"


def send(producer: npt.Producer, publisher: npt.Publisher, flag: bool) -> None:
    reveal_type(producer.send(1))  # note: "None"
    reveal_type(producer.send(1, copy=False))  # note: "SendHandle"
    reveal_type(producer.send(1, copy=flag))  # note: "SendHandle | None"
    reveal_type(publisher.send(1, copy=flag))  # note: "SendHandle | None"
    producer.loan((2, 3), np.float32)
    publisher.loan([2, 3], "u1")
    producer.loan(2, np.dtype("i4"))
    producer.loan("2")  # error: expected "int | Sequence[int]"
    publisher.loan(2.0)  # error: "loan" of "Publisher"


async def send_soon(producer: npt.asyncio.Producer, publisher: npt.asyncio.Publisher, flag: bool) -> None:
    reveal_type(await producer.send(1, copy=flag))  # note: "SendHandle | None"
    reveal_type(await publisher.send(1, copy=flag))  # note: "SendHandle | None"


def on_sockets(socket: zmq.Socket[bytes]) -> None:
    reveal_type(npt.send_array(socket, 1))  # note: "MessageTracker | None"
    npt.recv_array(zmq.Context().socket(zmq.PULL)).shape


async def on_sockets_soon(socket: zmq.asyncio.Socket) -> None:
    reveal_type(await npt.send_array(socket, 1))  # note: "MessageTracker | None"
    reveal_type(npt.recv_array(socket))  # note: "Awaitable[Any]"


async def leave_early(client: npt.asyncio.Client) -> None:
    await client.map("method", []).aclose()
"""


def test_what_mypy_says_of_a_program(tmp_path):
    """At each line just what its comment tells, and nothing at the others."""
    said = run_mypy(tmp_path, PROGRAM)
    for number, line in enumerate(PROGRAM.splitlines(), start=1):
        _, _, told = line.partition("  # ")
        level, _, words = told.partition(": ")
        there = said.pop(number, [])
        if told:
            assert [text for text in there if level in text and words in text], (line, there)
        else:
            assert not there, (line, there)
    assert not said


def run_mypy(folder, program):
    """What mypy says of ``program``, by line."""
    (folder / "program.py").write_text(program)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", folder / "program.py"],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1, checked.stdout + checked.stderr
    said: dict[int, list[str]] = {}
    for line in checked.stdout.splitlines():
        path, number, text = line.split(":", 2)
        assert path.endswith("program.py"), line
        said.setdefault(int(number), []).append(simplified(text))
    return said


def simplified(text):
    """Names without where they are from, and unions in one notation, which versions of mypy differ in."""
    for prefix in ("nptransport.protocol.handle.", "zmq.sugar.tracker.", "typing.", "builtins."):
        text = text.replace(prefix, "")
    for name in ("SendHandle", "MessageTracker"):
        text = text.replace(f"Union[{name}, None]", f"{name} | None")
    return text
