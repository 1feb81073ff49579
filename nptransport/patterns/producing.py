"""What a producer does, apart from how it waits."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import zmq

from ..codec.cuts import cut
from ..codec.metadata import with_entry
from ..errors import AuthenticationError, ConnectionClosed, MisuseError, Timeout
from ..limits import Limits
from ..log import warn
from ..memory.pool import SMALL
from ..protocol.handle import FREE, SendHandle
from ..protocol.outbox import Outbox
from ..protocol.statistics import ProducerStatistics
from ..shm.layout import Lending, shaped
from ..transport.addresses import Addresses
from ..transport.channel import Channel, check_positive
from ..transport.connections import refused
from ..transport.curve import Curve
from ..transport.ending import close_at_end, read_linger
from ..transport.lanes import AHEAD
from ..transport.steps import Need, Steps
from .sharing import CROSSOVER
from .shortcuts import LOOK, Shortcuts

__all__ = ["LINGER", "MAX_BYTES", "MAX_MESSAGES", "Producing"]

MAX_MESSAGES = 1000  # ZeroMQ's own default
# 384 MiB: two arrays of 128 MB, one being filled while the other travels, and MAX_MESSAGES small ones.
MAX_BYTES = 3 * 2**27
LINGER = 5.0


class Producing(Shortcuts):
    """State and steps of a producer; the faces beside this add the waiting."""

    def _set_up(
        self,
        channel: type[Channel],
        bind: Addresses,
        connect: Addresses,
        max_messages: int,
        max_bytes: int,
        limits: Limits,
        linger: float,
        context: zmq.Context[Any] | None,
        security: Curve | None = None,
    ) -> None:
        check_positive(max_messages=max_messages, max_bytes=max_bytes)
        self._linger = read_linger(linger)
        self._channel = channel(
            zmq.PUSH,
            bind,
            connect,
            max_messages=max_messages,
            max_part_bytes=limits.max_total_bytes,
            context=context,
            security=security,
        )
        small = CROSSOVER if self._channel.is_shared else SMALL
        self._outbox = Outbox(limits, max_messages, max_bytes, self._channel.on_release, small)
        self._channel.tell_holders = self._outbox.in_flight.situation
        self._set_up_sharing(max_bytes, lanes=security is None)
        self._looked = 0.0
        self._refusals_seen = self._refused = 0  # how often we were refused; messages that were lost by it
        close_at_end(self)
        self._settled_at = 0  # messages sent when a connection was last seen to be there, or to have gone

    def __del__(self) -> None:
        if hasattr(self, "_settled_at"):
            self._close_blocking()

    def statistics(self) -> ProducerStatistics:
        """What has been done so far."""
        if not self.closed:
            self._channel.check_not_forked()
            self._look()
            if self._lender is not None:
                self._lender.look()
        connections = self._channel.connections
        return ProducerStatistics(
            messages=self._outbox.messages,
            nbytes=self._outbox.nbytes,
            bytes_in_flight=self._outbox.in_flight.nbytes + (0 if self._lender is None else self._lender.nbytes),
            connections=connections.count,
            disconnects=connections.disconnects,
            **refused(connections),
        )

    def _sending(self, payload: Any, copy: bool) -> Steps[SendHandle | None]:
        channel, outbox = self._channel, self._outbox
        now = time.time()
        self._look_now_and_then(now)
        frames = outbox.pack(payload, now)
        handle = None
        if self._lender is not None and not outbox.is_small(frames):
            if (yield from self._sharing(self._lender, frames)):
                return None if copy else FREE
            outbox.renew(frames, time.time())  # others may have sent meanwhile
            frames[0] = with_entry(frames[0], self._lender.mark())
        if outbox.is_small(frames):
            while not channel.try_send(outbox.as_sent(frames)):
                yield Need.WRITABLE
                outbox.renew(frames, time.time())
            if not copy:
                handle = FREE
        else:
            waits = 0
            cuts = self._lender is None and not channel.within_process  # there the very memory is handed over
            if cuts:
                outbox.cut(frames)
            while True:
                if not outbox.has_room(frames):
                    yield Need.RELEASED
                elif copy and not outbox.is_warm(frames, waits):
                    waits += 1
                    yield Need.WARM
                elif copy and not channel.writable():  # before a copy is made for nothing
                    yield Need.WRITABLE
                else:
                    handle = None if copy else SendHandle()
                    staged = outbox.stage(frames, handle)
                    if channel.try_send(cut(staged), cut(frames)) if cuts else channel.try_send(staged, frames):
                        break
                    if channel.broke_off:
                        outbox.in_flight.abandon(staged)
                    yield Need.WRITABLE
                outbox.renew(frames, time.time())
        self._carried = 0
        outbox.count(sum(map(len, frames)))
        return handle

    # Loans

    def _lending(self, loan: Lending[Any]) -> Steps[np.ndarray[Any, Any]]:
        """An array to be filled and sent: in shared memory if what is sent here lies there, else in a warm buffer."""
        loan.check_not_open()
        kind, sizes, nbytes = self._outbox.check_loan(loan.shape, loan.dtype)
        slot = None
        if self._lender is not None and nbytes > self._outbox.small:
            yield from self._letting_catch_up(self._lender, AHEAD)
            slot = self._lender.take(nbytes)
            while slot is None:
                if self._lender.is_stuck():
                    break
                yield Need.RELEASED
                slot = self._lender.take(nbytes)
        if slot is not None:
            memory, loan.slot = slot.array, slot
        else:
            memory = loan.buffer = self._outbox.in_flight.borrow(nbytes)
        loan.array = array = shaped(memory, kind, sizes, nbytes, loan.order)
        return array

    def _sending_lent(self, loan: Lending[Any], array: np.ndarray[Any, Any]) -> Steps[None]:
        """Send the ``array`` that was lent."""
        self._look_now_and_then(now := time.time())
        frames = self._outbox.pack(array, now)
        if self._lender is None or loan.slot is None:
            yield from self._sending(array, True)
            self._take_back(loan)
        else:
            slot, loan.slot = loan.slot, None
            yield from self._handing_over(self._lender, slot, frames)

    def _take_back(self, loan: Lending[Any]) -> None:
        """It is not sent, or a copy was. Nothing happens where it was taken back before, or is on its way."""
        slot, buffer = loan.slot, loan.buffer
        loan.array = loan.slot = loan.buffer = None
        if self._channel.is_forked:  # the memory is the parent's, which may be sending it
            return
        if buffer is not None:
            self._outbox.in_flight.take_back(buffer)
        elif slot is not None and self._lender is not None:
            self._lender.give_back(slot)

    # The end

    def _flushing(self) -> Steps[None]:
        """Until everything that was sent has left this process, as far as that can be known."""
        sent = self._outbox.messages
        yield from self._draining()
        self._settled_at = max(self._settled_at, sent)  # whoever leaves from now on, had it
        while self._lender is not None and self._lender.awaits():
            yield Need.RELEASED

    def _draining(self) -> Steps[None]:
        left = self._channel.connections.disconnects
        while self._outbox.in_flight.nbytes:
            yield Need.RELEASED
        yield from self._channel.draining(left)

    def _close_blocking(self, linger: float | None = None) -> int:
        channel = self._channel
        if channel.closing or channel.is_forked:
            return 0
        linger = self._linger if linger is None else linger
        try:
            channel.finish(self._ending(), linger)
            left = self._report_refused()
        except MisuseError:  # another thread is waiting in send, and hears of the end now
            left = self._report("another thread was using it") if self._undelivered() else 0
        except (Timeout, AuthenticationError, ConnectionClosed) as error:
            left = self._report_error(error)
        finally:
            channel.close()
            unfetched = self._stop_lending(linger)
        return max(left, unfetched)

    def _ending(self) -> Steps[None]:
        """Until every consumer has read what it was sent."""
        if self._channel.within_process:
            return  # the consumer holds everything already
        self._look()
        if self._lender is not None:
            self._lender.look()
        connections = self._channel.connections
        if self._undelivered() or (self._outbox.messages and (connections.count or connections.lost)):
            yield from self._draining()
            yield from self._channel.parting()
        self._settled_at = self._outbox.messages

    def _look_now_and_then(self, now: float) -> None:
        if now - self._looked > LOOK:
            self._look()
            self._channel.look()
            self._looked = now

    def _look(self) -> None:
        """Take note of who is connected. Messages sent before that have had somebody to go to."""
        connections = self._channel.connections
        before = connections.disconnects
        if self._lender is not None:
            connections.end_orphans()
        connections.refresh()
        if connections.refused_us > self._refusals_seen:  # libzmq drops what was meant for who refuses us
            self._refusals_seen = connections.refused_us
            self._refused += self._outbox.messages - self._settled_at
            self._settled_at = self._outbox.messages
        if connections.count or connections.disconnects > before:
            self._settled_at = self._outbox.messages

    def _undelivered(self) -> int:
        """Messages that nobody can have got yet, at the least."""
        return self._refused + max(self._outbox.messages - self._settled_at, self._outbox.in_flight.count)

    def _report_refused(self) -> int:
        """Say it if messages were sent, without a wait, to somebody who then turned out to refuse us."""
        return self._report("they went to somebody who refused us") if self._refused else 0

    def _report(self, why: str) -> int:
        """Say what the close leaves behind."""
        count, nbytes = max(self._undelivered(), 1), self._outbox.in_flight.nbytes
        large = f" ({nbytes} bytes of large arrays)" if nbytes else ""
        warn("%s: closed with %d or more messages not known to have arrived%s: %s", self._channel, count, large, why)
        return count

    def _report_error(self, error: Exception) -> int:
        """As :meth:`_report`, after an ``error`` that ended the wait for what was sent."""
        connections = self._channel.connections
        if isinstance(error, Timeout) and not (connections.count or connections.disconnects):
            return self._report("no consumer was ever here")
        return self._report(f"{error}".removeprefix(f"{self._channel}: "))
