"""What every endpoint has: the channel that it works on, and where that is."""

from __future__ import annotations

from typing import NoReturn

from ..transport.channel import Channel

__all__ = ["Endpoint", "Single"]


class Single:
    """What cannot be copied: a copy that goes would close the sockets of both."""

    def __reduce__(self) -> NoReturn:
        """TypeError for ``copy`` and ``pickle``."""
        raise TypeError(f"{self!r} cannot be copied, nor given to another process: make one there, at the same address")


class Endpoint(Single):
    """An end of a connection, apart from what it does there."""

    _channel: Channel

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._channel}{' closed' if self.closed else ''}>"

    @property
    def addresses(self) -> list[str]:
        """Its addresses, with the port that the system chose for ``tcp://*:0``."""
        return self._channel.addresses

    @property
    def address(self) -> str:
        """The first of its addresses."""
        return self._channel.addresses[0]

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._channel.closed
