"""Lanes: how messages in shared memory get from a producer to its only consumer, past ZeroMQ.

What such a message tells is a few hundred bytes, and to hand those over by ZeroMQ, which wakes a thread of its own on
either side, costs more than to copy a megabyte. A lane is a socket pair of which the sender hands one end to the
reader, at the side channel: the thread that sends wakes the thread that waits.

**Order.** A message on a lane says which one the socket carried last: ``after``, its generation. The reader takes it
only when it has claimed that one. And what the socket carries comes after all that was put on the lane before it: a
reader that finds something there looks at its lanes once more first.

**Alike.** Of a message like the last one on its lane the sender says only what is not as before, in a record of that
very size; a whole message is never so short.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Protocol

from ..codec.repeats import Changes, Repeat
from .guard import close_in_child

__all__ = ["AGAIN", "AHEAD", "HEAD", "MOST", "Lane", "Lanes"]

AHEAD = 64  # messages that nobody has taken yet, beyond which the socket carries what comes
MOST = 4096  # bytes of a message
HEAD = struct.Struct("<QQI")
"""Before each message: ``after``, its own generation, and the place of its slot in the reader's receipts."""
AGAIN = struct.Struct("<QQIIIQd")
"""Instead of a message like the last: the same, then segment, slot, number and time of sending."""
_SIZE, _AGAIN_SIZE = HEAD.size, AGAIN.size
_ROOM = MOST + _SIZE
_DONTWAIT = int(getattr(socket, "MSG_DONTWAIT", 0))  # not everywhere; as a plain int: an enum takes longer
_PATIENCE = 1.0  # seconds for a message that should have come before, and may have been lost with its connection


class Sender(Protocol):
    """What a lane has to know of who sends on it."""

    claimed: int
    """Generation of the newest message that was claimed."""

    def take(self, generation: int, place: int) -> None:
        """A message comes off its lane."""

    def listen(self) -> None:
        """Tell it that its lane is listened to."""


class Lane:
    """The reader's end."""

    def __init__(self, end: socket.socket, sender: Sender) -> None:
        self._end, self._sender = end, sender
        close_in_child(self)
        self._heard = False
        self._early: bytes | None = None  # a record that has come before its turn
        self._since = 0.0
        self.again: bytes | None = None
        """What :meth:`take` gave last, if that is a record in the place of a message."""
        self.last = b""
        """The last message that came whole, which that one is like,"""
        self.changes: Changes = 0, 0.0, (0, 0, 0)
        """but for these."""
        self.repeat: Repeat | None = None
        """What whoever takes messages knows of the ``last`` one."""
        self.ended = False
        self.left = 0
        """Messages that may be taken before the socket has its turn."""

    def fileno(self) -> int:
        return self._end.fileno()

    @property
    def is_early(self) -> bool:
        """Whether what comes next has to wait for a message that the socket carries."""
        return self._early is not None

    def take(self) -> bytes | None:
        """The next message, which has one part only, or a record in its place; None while there is none."""
        record = self._early
        if record is None:
            try:
                record = self._end.recv(_ROOM, _DONTWAIT)
            except BlockingIOError:
                if not self._heard:  # from now on whoever waits looks here, too
                    self._heard = True
                    self._sender.listen()
                return None
            except OSError:
                record = b""
            if not record:
                self.ended = True
                return None
        if len(record) == _AGAIN_SIZE:
            after, generation, place, segment, slot, sequence, sent_at = AGAIN.unpack(record)
            if after > self._sender.claimed and self._has_to_wait(record):
                return None
            self.again, self.changes = record, (sequence, sent_at, (segment, slot, generation))
        else:
            after, generation, place = HEAD.unpack_from(record) if len(record) >= _SIZE else (0, 0, 0)
            if after > self._sender.claimed and self._has_to_wait(record):
                return None
            self.again, self.repeat, self.last = None, None, record[_SIZE:]
        self._early = None
        self._sender.take(generation, place)
        return self.again or self.last

    def _has_to_wait(self, record: bytes) -> bool:
        """Whether it is too early for ``record``, which is kept then."""
        if self._early is None:
            self._early, self._since = record, time.monotonic()
        return time.monotonic() - self._since < _PATIENCE

    def is_drained(self) -> bool:
        """Whether its sender has gone and nothing is left to be taken. For any thread."""
        if self._early is not None:
            return False
        try:
            return not self._end.recv(1, socket.MSG_PEEK | _DONTWAIT)
        except OSError:  # the sender's end is open still, in a child of its; or ours is closed
            return True

    def close(self) -> None:
        self._end.close()

    def close_in_child(self) -> None:
        self._end.close()


class Lanes:
    """The lanes of all senders of one endpoint that receives. Any thread may add to them, the one that receives takes.

    ``before_end``: called with a descriptor that is about to be closed.
    """

    def __init__(self, before_end: Callable[[int], None]) -> None:
        self.open: list[Lane] = []
        """Those there are, that whose turn it is first."""
        self.are_long_at_it = False
        """Whether it is time to see what the socket has."""
        self._row = 0
        self._limited = False
        self.turn: Lane | None = None
        """The one that was taken from last."""
        self._before_end = before_end
        self._changing = threading.Lock()
        self._closed = False
        self._watched: list[int] = []
        self._poll = select.poll()

    def add(self, end: socket.socket, sender: Sender) -> Lane:
        lane = Lane(end, sender)
        with self._changing:
            if self._closed:  # the thread that hears of it goes on for a moment
                lane.close()
            else:
                self.open.append(lane)
        return lane

    def descriptors(self) -> list[int]:
        """Those that are readable when there is something to take."""
        return [lane.fileno() for lane in self.open if not lane.is_early]

    def await_message(self, other: int, seconds: float) -> None:
        """Return once there is something to take, or to read from the descriptor ``other``, or after ``seconds``."""
        watched = [other, *self.descriptors()]
        if watched != self._watched:
            self._watched, self._poll = watched, select.poll()
            for descriptor in watched:
                self._poll.register(descriptor, select.POLLIN)
        self._poll.poll(max(1, int(seconds * 1000)))

    def take(self) -> bytes | None:
        """The first part of the next message on any lane, each in turn; None without one."""
        lanes = self.open
        for index, lane in enumerate(lanes):
            if self._limited and not lane.left:
                continue
            message = lane.take()
            if message is not None:
                self.turn = lane
                if len(lanes) > 1:
                    lanes.append(lanes.pop(index))
                self._row += 1
                self.are_long_at_it = self._row >= AHEAD and not self._limited
                lane.left -= 1
                return message
            lane.left = 0
            if lane.ended:
                self._end(lane)
                return self.take()
        return None

    def finish(self) -> None:
        """Something has come by the socket. From now on give only what was there before, so that it has its turn."""
        self._limited, self.are_long_at_it = True, False
        for lane in self.open:
            lane.left = AHEAD  # no sender puts more on its lane

    def pause(self) -> None:
        """The socket has had its turn."""
        self._limited, self.are_long_at_it, self._row = False, False, 0

    def _end(self, lane: Lane) -> None:
        self._before_end(lane.fileno())
        lane.close()
        self.open.remove(lane)
        self._watched = []  # its number is soon another's

    def close(self) -> None:
        with self._changing:
            self._closed = True
        while self.open:
            self._end(self.open[0])
