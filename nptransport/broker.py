"""Broker: many clients, many workers, one address for each side."""

from __future__ import annotations

from types import TracebackType

from .errors import Timeout
from .patterns.brokering import Brokering
from .transport.ending import read_linger

__all__ = ["Broker"]


class Broker(Brokering):
    """Stands between clients, which connect to its frontend, and workers, which connect to its backend.

    It works from the start, in a thread of its own, and passes arrays on unopened. A worker gets what it has slots for.
    Where one dies or falls silent, its tasks go to others; a task with which three died ends in an error. Clients and
    workers find a broker that is started anew on its addresses, and go on.

    Args:
        frontend, backend: the address, or several, to bind for clients, and for workers. shm:// on both sides, with one
            folder, or on none.
        max_messages, max_bytes: tasks that may be here, with bytes of arguments; clients keep the rest until there is
            room. What lies in shared memory is not here, and does not count: each client's own ``max_bytes`` bounds it.
        interval: seconds between two words to each side; a client with tasks that is silent for three of its own is
            taken for dead.
        limits: what is accepted of one message.
        linger: seconds that ``close`` gives the tasks that are here to be done.
        context: the zmq.Context to use; zmq.Context.instance() otherwise.
        security: :class:`Curve`: who may take part, and nobody listens; for both sides, where ``frontend_security`` or
            ``backend_security`` does not say otherwise for one.

    Raises:
        AuthenticationError: ``security`` cannot be had.
        AddressError: an address is malformed, in use, or of a kind that this system lacks; or shm:// is not on both
            sides.
    """

    def serve(self, *, timeout: float | None = None) -> None:
        """Return once another thread has closed the broker; Timeout after ``timeout`` seconds (None: no end).

        Raises TransportError if it has come to an end by an error.
        """
        self._clients.channel.check_not_forked()
        if not self._ended.wait(timeout):
            raise Timeout(f"{self._clients.channel}: still serving after {timeout:g} s", seconds=timeout)
        self._service.check()

    def close(self, *, linger: float | None = None) -> int:
        """Take no more tasks, give those that are here up to ``linger`` seconds to be done, then close.

        Returns the number of tasks that are not done. Their clients keep them, for the next broker.
        """
        return self._close_blocking(read_linger(linger, self._linger))

    def __enter__(self) -> Broker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
