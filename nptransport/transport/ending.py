"""How endpoints end: how long that may take, and that each does with the program, while all it needs is there."""

from __future__ import annotations

import atexit
import functools
import importlib
import numbers
import weakref
from typing import Protocol

from ..log import warn

__all__ = ["close_at_end", "read_linger"]


class Closing(Protocol):
    """What has something to do at the end of a program."""

    def _close_blocking(self) -> object: ...


_open: weakref.WeakSet[Closing] = weakref.WeakSet()


def read_linger(linger: float | None, default: float | None = None) -> float:
    """Seconds to linger, ``default`` for None. TypeError if that is no number, ValueError if it is less than 0."""
    seconds = default if linger is None else linger
    if not isinstance(seconds, numbers.Real):
        raise TypeError(f"linger={linger!r}: expected a number of seconds")
    if not seconds >= 0:
        raise ValueError(f"linger={linger!r}: expected seconds, at least 0")
    return float(seconds)


def close_at_end(endpoint: Closing) -> None:
    """Have ``endpoint`` closed when the program ends, should it still be there: nothing that was sent is to be lost."""
    _register()
    _open.add(endpoint)


@functools.cache
def _register() -> None:
    # What is registered last runs first. pyzmq's collector of lent memory registers itself when it is first imported,
    # and frees at the end what libzmq may still be reading: it has to come after us.
    importlib.import_module("zmq.utils.garbage")
    atexit.register(_close_all)


def _close_all() -> None:
    while _open:  # what closes may leave something behind that has to end, too
        try:
            endpoint = _open.pop()
        except KeyError:  # the last one has gone this moment
            return
        try:
            endpoint._close_blocking()
        except Exception as error:  # noqa: BLE001 - whatever it was, the others are to be closed, too
            warn("%s at the end of the program: %s", type(error).__name__, error)
