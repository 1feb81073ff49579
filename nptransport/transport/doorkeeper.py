"""Who is let in: the handler of ZeroMQ's authentication protocol (ZAP, RFC 27), one for each context."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import zmq

from ..errors import AuthenticationError
from .curve import Curve
from .service import Service

__all__ = ["Door", "open_door"]

_ADDRESS = "inproc://zeromq.zap.01"  # where libzmq asks
_VERSION = b"1.0"
_PATIENCE = 5.0  # seconds that a predecessor may take to leave
_LOOK = 0.25  # seconds between two looks at each door

_numbers = itertools.count()
_lock = threading.RLock()  # reentrant, as an endpoint may be collected, and close its door, at any line
_keepers: dict[tuple[int, int], _Doorkeeper] = {}


class Door(NamedTuple):
    """An endpoint whose clients are judged here."""

    keeper: _Doorkeeper
    domain: str

    def close(self) -> None:
        """Nobody comes in any more."""
        self.keeper.close_door(self.domain)


class _Entry(NamedTuple):
    curve: Curve
    on_refusal: Callable[[str, str, list[str]], object]
    look: Callable[[], object]


def open_door(
    context: zmq.Context[Any],
    curve: Curve,
    on_refusal: Callable[[str, str, list[str]], object],
    look: Callable[[], object],
) -> Door:
    """Begin to judge the clients of an endpoint, under a domain of its own.

    Args:
        on_refusal: called, from another thread, with the key and the address that was refused and with what of the
            list could not be read.
        look: called from that thread from time to time.

    Raises:
        AuthenticationError: the context has another handler.
    """
    place = os.getpid(), context.underlying
    domain = f"nptransport.{next(_numbers)}"
    deadline = time.monotonic() + _PATIENCE
    while True:
        with _lock:
            keeper = _keepers.get(place)
            if keeper is None:
                keeper = _keepers[place] = _Doorkeeper(context, place)
            keeper.doors[domain.encode()] = _Entry(curve, on_refusal, look)
            if not keeper.leaving:
                return Door(keeper, domain)
            del keeper.doors[domain.encode()]
        if not keeper.gone.wait(max(0.0, deadline - time.monotonic())):
            raise AuthenticationError("the last endpoint with security does not come to its end in this context")


class _Doorkeeper:
    """A thread that answers libzmq for as long as there is a door."""

    def __init__(self, context: zmq.Context[Any], place: tuple[int, int]) -> None:
        self.doors: dict[bytes, _Entry] = {}
        self.leaving = False
        self.gone = threading.Event()
        self._place = place
        self._looked = 0.0
        self._socket: zmq.Socket[bytes] = zmq.Context.shadow(context.underlying).socket(zmq.ROUTER)
        self._socket.set(zmq.LINGER, 0)
        try:
            self._socket.bind(_ADDRESS)
        except zmq.ZMQError as error:
            self._socket.close(0)
            if error.errno != zmq.EADDRINUSE:
                raise
            raise AuthenticationError(
                "this zmq.Context has an authenticator already (zmq.auth?), and a context can have only one; "
                "give the endpoint a context of its own: context=zmq.Context()"
            ) from None
        self._service = Service("nptransport doorkeeper", [int(self._socket.fileno())], self._work)

    def close_door(self, domain: str) -> None:
        with _lock:
            self.doors.pop(domain.encode(), None)
            if self.doors or self.leaving:
                return
            self.leaving = True
        # Not under the lock: the thread that ends here may be about to close the last of another context's doors.
        self._service.stop()
        try:
            self._socket.unbind(_ADDRESS)
        except zmq.ZMQError:
            pass  # the context has been terminated
        finally:
            self._socket.close(0)
            with _lock:
                if _keepers.get(self._place) is self:
                    del _keepers[self._place]
            self.gone.set()

    def _work(self) -> bool:
        try:
            while True:
                self._answer(self._socket.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            pass
        except zmq.ContextTerminated:
            return False
        now = time.monotonic()
        if now - self._looked > _LOOK:
            self._looked = now
            for entry in list(self.doors.values()):
                entry.look()
        return True

    def _answer(self, request: list[bytes]) -> None:
        if len(request) < 8:  # whoever asks within the process without knowing how gets no answer
            return
        back, _, version, number, domain, address, _, mechanism, *credentials = request
        entry = self.doors.get(domain)
        key = ""
        if version == _VERSION and entry is not None and mechanism == b"CURVE" and [*map(len, credentials)] == [32]:
            from zmq.utils import z85  # here, since only who has security needs it

            key = z85.encode(credentials[0]).decode()
            try:
                welcome, problems = entry.curve.judge(key)
            except Exception as error:  # noqa: BLE001 - whatever it was: nobody comes in by it, and the next is judged
                welcome, problems = False, [f"the list cannot be read: {type(error).__name__}"]
            if not welcome:
                entry.on_refusal(key, address.decode(errors="replace"), problems)
        else:
            welcome = False
        verdict = [b"200", b"OK", key.encode()] if welcome else [b"400", b"not allowed", b""]
        self._socket.send_multipart([back, b"", _VERSION, number, *verdict, b""])
