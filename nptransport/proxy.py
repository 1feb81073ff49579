"""Proxy: many publishers, many subscribers, one address for each side."""

from __future__ import annotations

from types import TracebackType

from .errors import Timeout
from .patterns.proxying import Proxying
from .transport.ending import read_linger

__all__ = ["Proxy"]


class Proxy(Proxying):
    """Stands between publishers, which connect to its frontend, and subscribers, which connect to its backend.

    It works from the start, in a thread of its own. Arrays are passed on without being decoded, and each subscriber
    reads at its own pace, as from a :class:`Publisher`. Sources, sequences and times remain those of the publishers:
    what is lost on either side of the proxy is counted, exactly, as missed at the subscriber. A publisher's
    ``wait_for_subscribers`` counts those behind the proxy, except sockets that are not of this library. ``retain`` is
    the proxy's own: a publisher sends each message to it once, whoever subscribes later.

    Args:
        frontend, backend: the address, or several, to bind for publishers, and for subscribers.
        connect_frontend, connect_backend: addresses to connect to instead or as well: of publishers that have bound,
            or another proxy's backend; of subscribers that have bound, or another proxy's frontend.
        max_messages: high-water mark: messages that wait for one subscriber before more are dropped.
        max_bytes: bytes of messages that wait, all subscribers together. Over shm://, shared memory that messages take
            until the last reader has let go of them; one of any size fits beside one that a reader holds.
        retain: 1 keeps the last message of each topic for whoever subscribes later.
        limits: bounds on each message; one that exceeds them is refused.
        linger: seconds that ``close`` waits for the subscribers to read what was sent.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: a :class:`Curve`: encrypts, and decides who may connect. None: neither.
        frontend_security, backend_security: the same for one side, where the two differ.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks.
        AuthenticationError: ``security`` is not a Curve, or another authenticator runs in this context.
        TransportError: there is no socket, descriptor or thread left for it, or libzmq is too old.
        ValueError: a number is out of range.
    """

    def serve(self, *, timeout: float | None = None) -> None:
        """Wait until another thread closes the proxy, which works by itself.

        Raises:
            Timeout: ``timeout`` seconds (None: no end) have passed. It can be called again.
            ConnectionClosed: its zmq.Context has been terminated.
            MisuseError: this is a forked child.
            TransportError: an error has ended its thread.
        """
        self._channel.check_not_forked()
        if not self._ended.wait(timeout):
            raise Timeout(f"{self._backend}: still serving after {timeout:g} s", seconds=timeout)
        self._service.check()

    def close(self, *, linger: float | None = None) -> int:
        """Wait up to ``linger`` seconds for the subscribers to read what was sent to them, then close.

        Returns:
            0 if they did; else a lower bound of the number of messages that are not known to have arrived.
        """
        return self._close_blocking(read_linger(linger, self._linger))

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
