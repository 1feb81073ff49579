"""One of a broker's two sockets: who is behind which connection, and what waits for whom."""

from __future__ import annotations

from collections import deque
from typing import Any

import zmq

from ..codec.encoder import Encoder
from ..limits import Limits
from ..protocol.jobs import Jobs
from ..protocol.records import Key, Out
from ..transport.addresses import Addresses
from ..transport.channel import Channel
from ..transport.curve import Curve

__all__ = ["Side"]

_HIGH_WATER = 1000
_OPTIONS: dict[int, Any] = {zmq.ROUTER_MANDATORY: 1, zmq.ROUTER_HANDOVER: 1, zmq.RECONNECT_IVL_MAX: 1000}


class Side:
    """That for clients, or that for workers.

    Args:
        name: of the keyword that ``bind`` was given by.
        jobs: the books, which are to know whom nothing can be sent to.
    """

    def __init__(
        self,
        name: str,
        bind: Addresses,
        jobs: Jobs,
        limits: Limits,
        context: zmq.Context[Any] | None,
        security: Curve | None,
    ) -> None:
        self.channel = Channel(
            zmq.ROUTER,
            bind,
            None,
            max_messages=_HIGH_WATER,
            max_part_bytes=limits.max_total_bytes,
            options=_OPTIONS,
            context=context,
            security=security,
            names=(name, ""),
        )
        self.channel.connections.departed = []
        self._jobs = jobs
        self._encoder = Encoder(limits)
        self._peers: dict[int, bytes] = {}
        self._connections: dict[bytes, int] = {}
        self.backlog: dict[bytes, deque[Out]] = {}
        self.undelivered = 0
        """Messages for somebody who had gone."""
        self.unreachable: list[tuple[bytes, Key | None]] = []
        """Workers that messages did not reach, and which tasks those were. What they said before is yet to be read."""

    def take_note(self) -> None:
        """Of who has left. What they said before that is there to be read, from now on."""
        self.channel.connections.refresh()
        self.channel.complaints.settle()

    def departed(self) -> list[bytes]:
        """Who was noted to have left since this was asked last."""
        connections = self.channel.connections
        ended, connections.departed = connections.departed or [], []
        peers = []
        for connection in ended:
            peer = self._peers.pop(connection, None)
            if peer is not None and self._connections.get(peer) == connection:
                del self._connections[peer]
                self.backlog.pop(peer, None)
                peers.append(peer)
        return peers

    def is_new(self, peer: bytes, connection: int | None) -> bool:
        """Whether ``peer`` was not known to be at that connection."""
        return connection is not None and self._connections.get(peer) != connection

    def place(self, peer: bytes, connection: int) -> None:
        self._peers[connection] = peer
        self._connections[peer] = connection

    def try_send(self, message: Out) -> bool:
        """Whether that is settled: sent, or for nobody."""
        frames = message.frames if message.failure is None else self._encoder.encode(message.failure.payload())
        sent = self.channel.try_route([message.peer, message.head, *frames])
        if sent is None:
            self.undelivered += 1
            if message.to_worker:
                self.unreachable.append((message.peer, message.task))
            else:
                self._jobs.client_gone(message.peer)
            return True
        return sent

    def catch_up(self) -> None:
        """Send of the backlog what there is room for now."""
        for peer in list(self.backlog):
            waiting = self.backlog[peer]
            while waiting and self.try_send(waiting[0]):
                waiting.popleft()
            if not waiting:
                self.backlog.pop(peer, None)
