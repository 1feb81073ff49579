"""A thread that takes every message as it comes, so that none grows old in a queue, and keeps each topic's newest."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DecodeError
from ..protocol.ledger import Stream
from ..protocol.newest import Backlog, Newest
from ..transport.channel import Channel
from ..transport.service import Service
from .receiving import Letter, Received

__all__ = ["Arrival", "Latest"]

_ERRORS = 16  # kept for the reader; all are counted
_BATCH = 256  # messages between two words to the reader
_SECONDS = 0.01  # and the same in time, as large arrays that come in parts take some to be put together


Arrival = tuple[Letter, Stream]
"""A message that has come, and the stream that it is counted in."""


class Latest:
    """Owns the channel of a subscriber from now on.

    Args:
        take: takes the message off the channel that begins with a part.
        open_: builds and counts what is handed out; None if it is too old.
        watch: called from time to time.
    """

    def __init__(
        self,
        channel: Channel,
        take: Callable[[bytes], Arrival | None],
        open_: Callable[[Arrival, bool, np.ndarray[Any, Any] | None], Received | None],
        watch: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._take, self._open, self._watch = take, open_, watch
        self._newest: Newest[Arrival] = Newest()
        self._errors: deque[DecodeError] = deque(maxlen=_ERRORS)
        self._backlog = Backlog(time.monotonic())
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._listeners: set[Callable[[], None]] = set()
        with self.lock:  # the thread is not to go on before it can find its service
            self._service = Service(f"subscriber at {channel}", [channel.descriptor], self._work, self._tell)

    def stop(self) -> None:
        self._service.stop()
        self._tell()

    def _work(self) -> bool:
        begun = time.monotonic()
        with self.lock:
            news = self._backlog.look(begun)
        for taken in range(1, _BATCH + 1):
            first = self._channel.try_receive()
            if first is None:
                break
            news = True
            with self.lock:
                self._sort_in(first)
            if taken == _BATCH or time.monotonic() - begun >= _SECONDS:
                self._service.wake()  # there may be more
                break
        self._watch()
        if news:
            self._tell()
        return True

    def _sort_in(self, first: bytes) -> None:
        try:
            arrival = self._take(first)
        except DecodeError as error:
            self._errors.append(error)
            return
        if arrival is None:
            return
        letter, _ = arrival
        if letter.envelope is not None:
            source, _, sent_at = letter.envelope
            self._backlog.note(source, time.time() - sent_at, time.monotonic())
        passed_over = self._newest.put(letter.topic or "", arrival)
        if passed_over is not None:
            _, stream = passed_over
            stream.waiting -= 1
            stream.skipped += 1

    def _tell(self) -> None:
        with self.lock:
            self._changed.notify_all()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    # For the reader, in whatever thread

    def try_take(self, copy: bool, out: np.ndarray[Any, Any] | None) -> Received | None:
        """The newest message of the topic that has waited longest, opened; None while there is none. Raises the
        DecodeError of a message that could not be read."""
        with self.lock:
            if self._errors:
                raise self._errors.popleft()
            self._service.check()
            now = time.monotonic()
            while not self._backlog.is_overdue(now):
                arrival = self._newest.take(lambda arrival: not self._backlog.holds(_source(arrival), now))
                if arrival is None:
                    return None
                received = self._open(arrival, copy, out)
                if received is not None:
                    return received
            return None

    def wait(self, seconds: float | None) -> None:
        """Return when there may be something new, or after ``seconds``. To be called with the lock held."""
        self._changed.wait(seconds)

    def listen(self, listener: Callable[[], None], wanted: bool) -> None:
        """Have ``listener`` called, from the thread, whenever there may be something new; or no more."""
        with self.lock:
            (self._listeners.add if wanted else self._listeners.discard)(listener)


def _source(arrival: Arrival) -> str:
    letter, _ = arrival
    return letter.envelope[0] if letter.envelope is not None else ""
