"""What a publisher and a proxy have in common: a socket for subscribers, whoever waits on it, and its end."""

from __future__ import annotations

import threading
from typing import Any

import zmq

from ..errors import AuthenticationError, ConnectionClosed, Timeout
from ..log import warn
from ..protocol.tags import LONGEST
from ..shm.lending import Lender
from ..transport.addresses import Addresses
from ..transport.channel import Channel, check_positive
from ..transport.curve import Curve
from ..transport.ending import close_at_end, read_linger
from ..transport.service import Service, weakly
from ..transport.steps import Need, Steps
from .announcing import Repertoire
from .distributing import Distributor

__all__ = ["LINGER", "MAX_BYTES", "MAX_MESSAGES", "Broadcasting"]

MAX_MESSAGES = 1000  # ZeroMQ's own default
MAX_BYTES = 2**28  # 256 MiB
LINGER = 2.0

# Whom a message goes to is decided here, what finds no room is told, and no notice is ever dropped.
_OPTIONS: dict[int, int] = {zmq.XPUB_MANUAL: 1, zmq.XPUB_NODROP: 1, zmq.RCVHWM: 0, zmq.RECONNECT_IVL_MAX: 1000}
_NOTICE_BYTES = 2 * LONGEST  # nothing longer comes here, where libzmq would keep a node for each byte


class Broadcasting:
    """A backend for subscribers, shared by threads under a lock, and a thread that works while nobody calls."""

    _backend: Channel
    _service: Service

    def _open_backend(
        self,
        repertoire: Repertoire,
        bind: Addresses,
        connect: Addresses,
        max_messages: int,
        max_bytes: int,
        retain: int,
        linger: float,
        context: zmq.Context[Any] | None,
        security: Curve | None = None,
        names: tuple[str, str] = ("bind", "connect"),
    ) -> None:
        check_positive(max_messages=max_messages, max_bytes=max_bytes)
        if retain not in (0, 1):
            raise ValueError(f"retain={retain!r}: expected 0, or 1 to keep the last message of each topic")
        self._retain, self._linger = retain, read_linger(linger)
        self._lock = threading.RLock()
        self._backend = Channel(
            zmq.XPUB,
            bind,
            connect,
            max_messages=max_messages,
            max_part_bytes=_NOTICE_BYTES,
            options=_OPTIONS,
            context=context,
            security=security,
            names=names,
        )
        on_return = weakly(self._on_return)
        self._distributor = Distributor(self._backend, repertoire, max_messages, int(max_bytes), on_return)
        if self._backend.is_shared:
            try:
                lender = Lender(str(self._backend), self._backend.folders[0], int(max_bytes), None)
            except BaseException:
                self._backend.destroy()
                raise
            self._distributor.lender, self._backend.tell_holders = lender, lender.situation

    def _start(self, name: str, *descriptors: int) -> None:
        """Begin to work in a thread. What that needs has to be there."""
        self._service = Service(f"{name} at {self._backend}", descriptors, self._work, self._on_error)
        close_at_end(self)

    def _work(self) -> bool:
        raise NotImplementedError

    def _on_error(self) -> None:
        """The thread has come to an end by an error."""

    def _on_return(self) -> None:
        self._backend.on_release()
        if self._distributor.anyone_behind:
            self._service.wake()

    # The end

    def __del__(self) -> None:
        if hasattr(self, "_service"):
            self._close_blocking()

    def _begin_to_close(self) -> bool:
        """Every use from now on is refused; False if that is so already, or this is a forked child."""
        if self._backend.is_forked:
            return False
        with self._lock:
            if self._backend.closing:
                return False
            self._mark_closing()
        self._service.stop()
        return True

    def _mark_closing(self) -> None:
        self._backend.closing = True

    def _close_blocking(self, linger: float | None = None) -> int:
        if not self._begin_to_close():
            return 0
        try:
            self._backend.go_on(self._ending(), self._linger if linger is None else linger)
            return 0
        except (Timeout, AuthenticationError, ConnectionClosed) as error:
            return self._report(str(error))
        finally:
            self._destroy()

    def _ending(self) -> Steps[None]:
        """Until every subscriber has read what it was sent."""
        while not self._distributor.part():
            yield Need.RELEASED
        if self._backend.within_process or not self._backend.connections.refresh():
            return
        yield from self._backend.draining()
        yield from self._backend.parting()

    def _report(self, why: str) -> int:
        """Say what the close leaves behind."""
        count = self._distributor.waiting()
        warn("%s: closed with %d or more messages not known to have arrived, %s", self._backend, count, why)
        return count

    def _destroy(self) -> None:
        self._backend.destroy()
        if self._distributor.lender is not None:
            self._distributor.lender.close(self._linger)
