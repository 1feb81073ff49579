"""A client's calls: which are to be sent, which wait for an answer, and what an answer belongs to."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

from .parcels import Parcel
from .words import MISSES, MOST_ATTEMPTS, Word, Writer

__all__ = ["Call", "Calls"]

_REFUSED = 0.05  # seconds after which a broker that had no room is tried again, should its word that it has be lost


class Call:
    """One call, from its beginning to its one end."""

    __slots__ = ("attempts", "background", "deadline", "done", "error", "form", "losses", "method", "number", "parcel",
                 "result", "result_bytes", "settle", "started", "timeout", "waiter")  # fmt: skip

    def __init__(
        self,
        method: str,
        form: int,
        parcel: Parcel,
        timeout: float | None,
        now: float,
        settle: Callable[[Call], None] | None,
    ) -> None:
        self.method, self.form, self.parcel = method, form, parcel
        self.timeout, self.started = timeout, now
        self.deadline = None if timeout is None else now + timeout
        self.settle = settle
        """Called, by whoever finds out, once the call is done; None where its caller looks for itself."""
        self.number = -1
        self.attempts = 0
        self.losses = 0
        """How often it was answered, and its memory, or that of the answer, could not be had."""
        self.waiter: Any = None
        """Whatever the face that waits for it needs."""
        self.done = False
        self.result_bytes = 0
        self.result: Any = None
        self.error: BaseException | None = None

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """To be called for a call that is outstanding no more."""
        self.result, self.error, self.done = result, error, True
        if self.settle is None and error is None:
            return  # it is about to go, and its parcel with it
        self.parcel = self.parcel.emptied()
        settle, self.settle = self.settle, None  # a future and its call would keep each other, and their client
        if settle is not None:
            settle(self)

    def value(self) -> Any:
        """The result, or the error raised."""
        if self.error is not None:
            raise self.error
        return self.result


class Calls:
    """What is outstanding. Not thread-safe, and without a clock: who calls says what time it is."""

    def __init__(self) -> None:
        self.outstanding: dict[int, Call] = {}
        self.nbytes = 0
        """Bytes of the arguments of those."""
        self.background = 0
        """How many of them nobody waits for."""
        self.begun = self.results = self.errors = self.timeouts = self.cancelled = 0
        self.late = self.resent = self.malformed = 0
        self._numbers = itertools.count(1)
        self._unsent: dict[int, None] = {}
        self._words: deque[bytes] = deque()
        self._deadlines: list[tuple[float, int]] = []
        self._writer = Writer()
        self._held_until = 0.0
        self._broker: str | None = None
        self._fresh = False  # whether all has been sent again since a broker said who it is
        self._interval = 0.0  # of the broker's words and of ours; 0 as long as there is no broker
        self._heard = self._spoke = 0.0

    def begin(self, call: Call, number: int | None = None) -> None:
        """``call`` is to be sent."""
        call.number = next(self._numbers) if number is None else number
        if not self.outstanding:
            self._heard = call.started  # a broker owes us nothing as long as we want nothing
        self.begun += 1
        self._enter(call)

    def again(self, call: Call) -> None:
        """``call`` was answered, to no avail, and is to be sent once more."""
        call.losses += 1
        self._enter(call)

    def _enter(self, call: Call) -> None:
        self.outstanding[call.number] = call
        self.nbytes += call.parcel.nbytes
        self.background += call.settle is not None
        self._unsent[call.number] = None
        if call.deadline is not None:
            heapq.heappush(self._deadlines, (call.deadline, call.number))

    @property
    def unattended(self) -> bool:
        """Whether there is something to do that nobody waits for."""
        return self.background > 0 or bool(self._words)

    def reserve(self) -> int:
        """The number of a call that is begun at once, outside of these books."""
        return next(self._numbers)

    def adopt(self, call: Call, number: int) -> None:
        """A call that was sent under that number is to be kept here after all."""
        self.begin(call, number)
        self.sent(call)

    # To send

    def next_message(self, now: float) -> tuple[Call | None, list[Any], list[Any] | None] | None:
        """What is to be sent first: the call that it is, if it is one, the parts, and those among them to be copied."""
        if self._words:
            return None, [self._words[0]], None
        if not self._unsent or now < self._held_until:
            return None
        call = self.outstanding[next(iter(self._unsent))]
        attempt = min(call.attempts + 1, MOST_ATTEMPTS)
        head = self._writer.about(call.number, "call", call.method, call.form, attempt)
        parcel = call.parcel
        copied = None if parcel.copied is parcel.frames else [head, *parcel.copied]
        return call, [head, *parcel.frames], copied

    def sent(self, call: Call | None) -> None:
        """What :meth:`next_message` gave has been handed over."""
        if call is None:
            self._words.popleft()
        elif self._unsent.pop(call.number, 0) is None:
            self.resent += call.attempts > 0
            call.attempts += 1

    def anything_to_send(self, now: float) -> bool:
        return bool(self._words) or (bool(self._unsent) and now >= self._held_until)

    def send_again(self, now: float) -> None:
        """A connection has ended, and what was on its way, or being worked on behind it, may have gone with it."""
        self._words.clear()
        self._spoke = now  # a broker that is new is to hear of the calls first, or it would ask for them
        self._fresh = True
        self._held_until = 0.0
        self._unsent = dict.fromkeys(self.outstanding)

    # What comes

    def answered(self, word: Word, now: float) -> Call | None:
        """The call that ``word`` answers; None if it is outstanding no more, and the answer comes too late."""
        self._heard = max(self._heard, now)
        call = self._remove(word.number)
        if call is None:
            self.late += 1
        return call

    def hear(self, word: Word, now: float) -> None:
        """A word that answers no call."""
        self._heard = now
        if word.kind == "busy":
            if word.number in self.outstanding:
                self._unsent = {word.number: None, **self._unsent}
                self._held_until = now + _REFUSED
        elif word.kind == "room":
            self._held_until = 0.0
        elif word.kind == "who":
            self.send_again(now)  # it has given us up, and everything with us
        elif word.kind == "here":
            broker, self._interval = word.fields
            if self._broker not in (None, broker) and not self._fresh:
                self.send_again(now)  # another life of it, which knows nothing of our calls
            self._broker, self._fresh = broker, False

    # Time

    def misses_broker(self, now: float) -> bool:
        """Whether one that owes us a word has not been heard for too long."""
        return self._interval > 0 and bool(self.outstanding) and now - self._heard > MISSES * self._interval

    def beat(self, now: float) -> bool:
        """Say that we are there where a broker wants to know; False if it has been silent for too long."""
        if not self._interval or not self.outstanding:
            self._heard = now
            return True
        if now - self._spoke >= self._interval and not self._unsent:  # calls are signs of life, too
            self._spoke = now
            self._words.append(self._writer.word("alive", self._interval))
        if self.misses_broker(now):
            self._heard = now
            return False
        return True

    def rest(self, now: float) -> None:
        """This process stood still; nobody else is to be blamed for the silence."""
        self._heard = now

    def expired(self, now: float) -> list[Call]:
        """The calls whose time is over, to be ended by whoever asks."""
        over = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number = heapq.heappop(self._deadlines)
            call = self.drop(number)
            if call is not None:
                self.timeouts += 1
                over.append(call)
        return over

    def due(self, now: float, most: float) -> float:
        """Seconds until there is something to do, ``most`` at the most."""
        if self._deadlines:
            most = min(most, self._deadlines[0][0] - now)
        if self._unsent and self._held_until > now:
            most = min(most, self._held_until - now)
        return max(0.0, most)

    # Ends that are no answers

    def cancel(self, number: int) -> bool:
        """The caller wants no answer any more; whether the call was outstanding."""
        call = self.drop(number)
        if call is None:
            return False
        call.settle = None
        call.parcel = call.parcel.emptied()
        self.cancelled += 1
        return True

    def drop(self, number: int) -> Call | None:
        """The call is outstanding no more, and the other side is to know."""
        call = self._remove(number)
        if call is not None and call.attempts:
            self._words.append(self._writer.about(number, "cancel"))
        return call

    def abandon(self) -> list[Call]:
        """All that are outstanding, which are so no more."""
        calls = [call for number in list(self.outstanding) if (call := self._remove(number)) is not None]
        self._words.clear()
        return calls

    def _remove(self, number: int) -> Call | None:
        call = self.outstanding.pop(number, None)
        if call is not None:
            self.nbytes -= call.parcel.nbytes
            self.background -= call.settle is not None
            self._unsent.pop(number, None)
        return call
