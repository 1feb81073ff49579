"""What a contestant is, and where its two sides meet."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from peers.work import Sink, Source, Work

__all__ = ["Peer", "Place", "ipc", "tcp"]


class Place(NamedTuple):
    """Where a turn is held."""

    folder: Path  # empty, and gone after the turn
    work: Work
    closing: contextlib.ExitStack  # left after the turn, once both sides have ended


def ipc(place: Place) -> str:
    return f"ipc://{place.folder}/socket"


def tcp(place: Place) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


@dataclass(frozen=True)
class Peer:
    """``send`` and ``receive`` run in a process each, with what ``link`` returned, which has to be picklable.

    A contestant that starts its processes itself has ``alone`` instead, which returns arrays a second.
    """

    name: str
    way: str  # how it is used here, as its own documentation has it for large arrays
    link: Callable[[Place], Any] = ipc
    send: Callable[[Any, Source], None] | None = None
    receive: Callable[[Any, Sink], None] | None = None
    alone: Callable[[Work, Path], float] | None = None
    lends: bool = False  # the sender writes straight into memory that the receiver sees: nothing is copied
