"""Broker: many clients, many workers, one address for each side."""

from __future__ import annotations

from types import TracebackType

from .errors import Timeout
from .patterns.brokering import Brokering
from .transport.ending import read_linger

__all__ = ["Broker"]


class Broker(Brokering):
    """Stands between clients, which connect to its frontend, and workers, which connect to its backend.

    It works from the start, in a thread of its own, and passes arrays on without decoding them. A worker gets no more
    tasks at a time than it has slots. If a worker dies or falls silent, its tasks go to others; a task with which three
    workers died ends in an error. Clients and workers reconnect to a broker that is restarted on its addresses, and go
    on.

    Args:
        frontend, backend: the address, or several, to bind for clients, and for workers. shm:// on both sides, with one
            folder, or on none.
        max_messages, max_bytes: tasks held at a time, and bytes of their arguments; clients keep further ones until
            there is room. Arguments in shared memory do not count: each client's own ``max_bytes`` bounds those.
        interval: seconds between heartbeats to either side; a client with tasks that is silent for three of its own
            intervals is considered dead.
        limits: bounds on each message; one that exceeds them is refused.
        linger: seconds that ``close`` waits for the tasks that it holds to be done.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: a :class:`Curve`: encrypts, and decides who may connect. None: neither.
        frontend_security, backend_security: the same for one side, where the two differ.

    Raises:
        AddressError: an address is malformed, in use, or of a kind that this system lacks; or shm:// is not on both
            sides.
        AuthenticationError: ``security`` is not a Curve, or another authenticator runs in this context.
        TransportError: there is no socket, descriptor or thread left for it, or libzmq is too old.
        ValueError: a number is out of range.
    """

    def serve(self, *, timeout: float | None = None) -> None:
        """Wait until another thread closes the broker, which works by itself.

        Raises:
            Timeout: ``timeout`` seconds (None: no end) have passed. It can be called again.
            ConnectionClosed: its zmq.Context has been terminated.
            MisuseError: this is a forked child.
            TransportError: an error has ended its thread.
        """
        self._clients.channel.check_not_forked()
        if not self._ended.wait(timeout):
            raise Timeout(f"{self._clients.channel}: still serving after {timeout:g} s", seconds=timeout)
        self._service.check()

    def close(self, *, linger: float | None = None) -> int:
        """Accept no more tasks, wait up to ``linger`` seconds for those that it holds to be done, then close.

        Returns:
            The number of tasks that are not done. Their clients keep them, for the next broker.
        """
        return self._close_blocking(read_linger(linger, self._linger))

    def __enter__(self) -> Broker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
