"""One process of a turn: does what it is told through a pipe, in JSON, and answers there.

    {"address": ..., "nbytes": ..., "reading": ..., "whole": ...}   -> {"ready": address}, or {"unavailable": why}
    {"burst": count}   -> {"begun": true}, and at the end {"seconds": of one message}, or {"error": what was wrong}

It ends when the pipe does: nobody is left if the command dies.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import nptransport as npt

from ..signals import ignore_signals
from .programs.side import Task, Unavailable

__all__ = ["main"]


def main(pipe: Connection, program: str, role: str) -> None:
    """Be the side ``role``, serve or drive, of ``program``."""
    ignore_signals()
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, orders), daemon=True).start()

    def answer(**facts: Any) -> None:
        pipe.send_bytes(json.dumps(facts).encode())

    module, name = program.split(".")
    begin = getattr(importlib.import_module(f".programs.{module}", __package__), f"{role}_{name}")
    try:
        task = Task(**orders.get())
        with begin(task) as side:
            answer(ready=side.address)
            while True:
                count = orders.get()["burst"]
                started = time.perf_counter()
                answer(begun=True)
                side.burst(count)
                seconds = (time.perf_counter() - started) / count
                task.content.compare()
                answer(seconds=seconds)
    except (Unavailable, npt.AddressError) as error:
        answer(unavailable=str(error))
    except Exception as error:  # noqa: BLE001 - the command says it
        answer(error=f"{type(error).__name__}: {error}")
    orders.get()  # until the pipe ends


def _listen(pipe: Connection, orders: queue.SimpleQueue[dict[str, Any]]) -> None:
    try:
        while True:
            orders.put(json.loads(pipe.recv_bytes()))
    except (EOFError, OSError):
        os._exit(0)  # whatever it is doing: closing would wait for the other side, which may have gone
