"""Proxy: many publishers, many subscribers, one address for each side."""

from __future__ import annotations

from types import TracebackType

from .errors import Timeout
from .patterns.proxying import Proxying
from .transport.ending import read_linger

__all__ = ["Proxy"]


class Proxy(Proxying):
    """Stands between publishers, which connect to its frontend, and subscribers, which connect to its backend.

    It works from the start, in a thread of its own. Arrays pass through unopened, and each subscriber goes at its own
    pace, as at a :class:`Publisher`. Sources, sequences and times remain those of the publishers: what is lost on
    either side of the proxy is missed, exactly, at the subscriber. ``wait_for_subscribers`` counts those behind it, but
    for sockets that are not of this library. ``retain`` is the proxy's own: a publisher sends each message to it once,
    whoever comes later.

    Args:
        frontend, backend: the address, or several, to bind for publishers, and for subscribers.
        connect_frontend, connect_backend: addresses to connect to instead or as well: of publishers that have bound,
            or another proxy's backend; of subscribers that have bound, or another proxy's frontend.
        max_messages: high-water mark: messages that wait for one subscriber before more are dropped.
        max_bytes: bytes that wait, all subscribers together.
        retain: 1 keeps the last message of each topic for whoever subscribes later.
        limits: what is accepted of one message.
        linger: seconds that ``close`` gives the subscribers to read what was sent.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: :class:`Curve` for both sides: who may take part, and nobody listens.
        frontend_security, backend_security: for one side, where they differ.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` cannot be had.
    """

    def serve(self, *, timeout: float | None = None) -> None:
        """Return once another thread has closed the proxy; Timeout after ``timeout`` seconds (None: no end).

        Raises TransportError if it has come to an end by an error.
        """
        self._channel.check_not_forked()
        if not self._ended.wait(timeout):
            raise Timeout(f"{self._backend}: still serving after {timeout:g} s", seconds=timeout)
        self._service.check()

    def close(self, *, linger: float | None = None) -> int:
        """Give the subscribers up to ``linger`` seconds to read what was sent to them, then close.

        Returns 0 if they did; else the number of messages, at the least, that are not known to have arrived.
        """
        return self._close_blocking(read_linger(linger, self._linger))

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
