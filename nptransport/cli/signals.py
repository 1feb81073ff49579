"""Ctrl-C and its kin as a flag, looked at where nothing is half done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import nptransport as npt

from .exits import Stop

__all__ = ["Interruption", "ignore_signals", "interruptible", "serve_until"]

_LOOK = 0.2  # seconds between two looks whether somebody wants it to end

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interruption:
    """Whether somebody has asked the command to end."""

    def __init__(self, patient: bool = False) -> None:
        self.signal = 0
        self._at_once = False
        self._patient = patient

    def __bool__(self) -> bool:
        return self.signal != 0

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal: 130 after Ctrl-C."""
        return 128 + self.signal

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it a signal raises KeyboardInterrupt: for one long call that leaves nothing half done."""
        self._at_once = True
        try:
            if self.signal:
                raise KeyboardInterrupt
            yield
        finally:
            self._at_once = False

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        again, self.signal = self.signal, number
        if self._at_once or (again and not self._patient):  # asked twice: whatever hangs, end it
            raise KeyboardInterrupt


@contextmanager
def interruptible(*, patient: bool = False) -> Iterator[Interruption]:
    """Within it, a signal sets the flag that is given here; a second one ends it all with Stop, unless it is
    ``patient``: for processes of a command that will end them, where a signal to all of them is no second one.

    An exception out of nowhere could leave a message or a file half written. So commands look at the flag between
    messages, and wait in slices.
    """
    interruption = Interruption(patient)
    before = {number: signal.signal(number, interruption._take_note) for number in _SIGNALS}
    try:
        yield interruption
    except KeyboardInterrupt:
        raise Stop(interruption.exit_code, "interrupted") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """For the processes of a command that decides when they end: signals go to all of a terminal or a group."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def serve_until(interruption: Interruption, served: npt.Proxy | npt.Broker) -> None:
    """Return when somebody has asked for the end, or ``served`` has come to its own."""
    while not interruption:
        try:
            served.serve(timeout=_LOOK)
            return
        except npt.Timeout:
            continue
