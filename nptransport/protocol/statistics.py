"""What an endpoint tells of its own doings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .ledger import StreamStatistics

__all__ = [
    "BrokerStatistics",
    "ClientStatistics",
    "ConsumerStatistics",
    "ProducerStatistics",
    "ProxyStatistics",
    "PublisherStatistics",
    "ServerStatistics",
    "SubscriberState",
    "SubscriberStatistics",
    "WorkerState",
]


@dataclass(frozen=True, kw_only=True)
class EndpointStatistics:
    """What each endpoint tells."""

    refused: int = 0
    """Connections that came and were refused: their key is not allowed, they have none, they speak another protocol."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """The same, by reason."""


@dataclass(frozen=True)
class ProducerStatistics(EndpointStatistics):
    """What a producer has done so far."""

    messages: int
    """Messages that ``send`` accepted."""
    nbytes: int
    """Their bytes, metadata included."""
    bytes_in_flight: int
    """Bytes of large arrays that have not left this process yet."""
    connections: int
    """Consumers connected now."""
    disconnects: int
    """Connections that ended before this endpoint was closed. What was on its way to that consumer may be lost; a
    consumer that sees all of a source's messages counts how many."""


@dataclass(frozen=True)
class ConsumerStatistics(EndpointStatistics):
    """What a consumer has seen so far."""

    messages: int
    """Messages handed out."""
    nbytes: int
    """Their bytes, metadata included."""
    missed: int
    """Gaps in the sequences of the sources, added up: messages sent since this consumer's first from that source that
    did not come. Lost, or gone to another consumer, if the producer has several."""
    malformed: int
    """Messages that were refused because they could not be decoded."""
    unread: int
    """Messages that had come when it was closed, and that nobody had received."""
    connections: int
    """Producers connected now."""
    disconnects: int
    """Connections that ended before this endpoint was closed."""


@dataclass(frozen=True)
class SubscriberState:
    """What a publisher knows of one subscriber."""

    topics: tuple[str, ...]
    """The prefixes that it asks for."""
    latest: bool
    """Whether it takes only the newest message of each topic."""
    sent: int
    """Messages handed to ZeroMQ for it."""
    dropped_for_messages: int
    """Messages it did not get since ``max_messages`` were waiting for it."""
    dropped_for_bytes: int
    """Messages it did not get since there was no room for it in ``max_bytes``."""
    replaced: int
    """Messages it did not get since a newer one took their place before there was room, as it asked for."""
    bytes_waiting: int
    """Bytes of large arrays that have not left for it yet."""


@dataclass(frozen=True)
class PublisherStatistics(EndpointStatistics):
    """What a publisher has done so far."""

    messages: int
    """Messages that ``send`` accepted, whoever got them."""
    nbytes: int
    """Their bytes, metadata included."""
    topics: Mapping[str, int]
    """Messages on each topic."""
    dropped_for_messages: int
    """Copies of messages that a subscriber did not get since ``max_messages`` were waiting for it; all subscribers,
    those that have left included."""
    dropped_for_bytes: int
    """The same, since there was no room in ``max_bytes``."""
    replaced: int
    """Copies that a newer one took the place of before there was room, for subscribers with ``latest=True``."""
    bytes_in_flight: int
    """Bytes of large arrays that have not left for everybody yet, each counted once."""
    subscribers: Mapping[str, SubscriberState]
    """By number; "plain" stands for all subscribers together that are not of this library. What ZeroMQ drops for those
    is not counted."""
    connections: int
    """Connections now."""
    disconnects: int
    """Connections that ended before this endpoint was closed."""


@dataclass(frozen=True)
class ProxyStatistics(EndpointStatistics):
    """What a proxy has done so far."""

    messages: int
    """Messages that came to be handed on."""
    nbytes: int
    """Their bytes."""
    malformed: int
    """Messages that were refused because they could not be decoded."""
    duplicates: int
    """Messages that came again, and were not handed on again."""
    dropped_for_messages: int
    """Copies that a subscriber did not get since ``max_messages`` were waiting for it."""
    dropped_for_bytes: int
    """The same, since there was no room in ``max_bytes``."""
    replaced: int
    """Copies that a newer one took the place of before there was room, for subscribers with ``latest=True``."""
    bytes_in_flight: int
    """Bytes of large arrays that have not left for everybody yet, each counted once."""
    subscribers: Mapping[str, SubscriberState]
    """As in :class:`PublisherStatistics`."""
    publishers: int
    """Publishers connected now."""


@dataclass(frozen=True)
class SubscriberStatistics(EndpointStatistics):
    """What a subscriber has seen so far. ``received + skipped + stale + missed`` is what was sent, for each stream."""

    received: int
    """Messages handed out."""
    nbytes: int
    """Their bytes, metadata included."""
    skipped: int
    """Messages that arrived and were passed over for a newer one of their topic (``latest=True``)."""
    stale: int
    """Messages that arrived, and were older than ``max_age`` when their turn came."""
    missed: int
    """Messages that did not arrive: dropped since there was no room, lost with a connection, or malformed."""
    malformed: int
    """Messages that were refused because they could not be decoded."""
    duplicates: int
    """Messages that came again, as after a reconnection, or by two ways; handed out once."""
    streams: Mapping[tuple[str, str], StreamStatistics]
    """The same by (source, topic). A message without an envelope, as from :func:`send_array`, has the source ""."""
    connections: int
    """Publishers and proxies connected now."""
    disconnects: int
    """Connections that ended before this endpoint was closed."""


@dataclass(frozen=True)
class ClientStatistics(EndpointStatistics):
    """What a client has done so far. Every call that was begun is outstanding, or has ended in one of four ways."""

    calls: int
    """Calls that were begun."""
    results: int
    """Those that were answered by a result."""
    errors: int
    """Those that were answered by an error, or ended by one, as by the client's being closed."""
    timeouts: int
    """Those that were not answered in time."""
    cancelled: int
    """Those that the caller gave up."""
    outstanding: int
    """Those that wait for an answer."""
    bytes_outstanding: int
    """Bytes of the arguments of those, which are kept to be sent again."""
    resent: int
    """Times that a call was sent once more, since the connection that it had been sent on ended, or its answer was in
    shared memory that ended with its sender."""
    late: int
    """Answers that came when nobody waited for them any more; they were dropped."""
    malformed: int
    """Messages that were refused because they could not be decoded."""
    connections: int
    """Servers or brokers connected now."""
    disconnects: int
    """Connections that ended before this endpoint was closed."""
    unshared: int = 0
    """Over ``shm://``: large arguments that went through the socket, as all shared memory was on loan."""


@dataclass(frozen=True)
class ServerStatistics(EndpointStatistics):
    """What a server, or a worker, has done so far."""

    results: int
    """Calls that were answered by a result."""
    errors: int
    """Those that were answered by an error."""
    waiting: int
    """Calls that have arrived, and not begun."""
    begun: int
    """Calls that are being handled."""
    repeated: int
    """Calls that came again while they were here, and were not handled twice."""
    cancelled: int
    """Calls that were dropped before they began, as their client had given them up."""
    undelivered: int
    """Answers that could not be sent: their client has gone, or does not read."""
    malformed: int
    """Messages that were refused because they could not be decoded."""
    connections: int
    """Peers connected now."""
    disconnects: int
    """Connections that ended before this endpoint was closed."""
    unshared: int = 0
    """Over ``shm://``: large results that went through the socket, as all shared memory was on loan."""


@dataclass(frozen=True)
class WorkerState:
    """What a broker knows of one worker."""

    name: str
    """Host and process id, or the name that the worker was given."""
    methods: tuple[str, ...]
    """What it offers."""
    slots: int
    """Tasks that it handles at once."""
    busy: int
    """Those that it has now."""
    done: int
    """Results that it has given."""
    failed: int
    """Errors that it has given."""
    leaving: bool
    """Whether it takes no more."""


@dataclass(frozen=True)
class BrokerStatistics(EndpointStatistics):
    """What a broker has done so far. Each task that was taken waits, runs, or has ended in one of four ways."""

    tasks: int
    """Tasks that were taken."""
    results: int
    """Those that ended in a result."""
    errors: int
    """Those that ended in an error."""
    waiting: int
    """Those that wait for a worker."""
    running: int
    """Those that a worker has."""
    nbytes: int
    """Bytes of the arguments of both."""
    redelivered: int
    """Times that a task was given to another worker, since the one that had it died or left."""
    late: int
    """Answers of workers that had been given up; they were dropped."""
    cancelled: int
    """Tasks that their client gave up."""
    abandoned: int
    """Tasks whose client has gone."""
    held_off: int
    """Times that a client was told to wait, since there was no room."""
    repeated: int
    """Calls that came again while they were here, and were not done twice."""
    undelivered: int
    """Messages that could not be sent, since their recipient has gone."""
    malformed: int
    """Messages that were refused because they could not be decoded."""
    lost_workers: int
    """Workers that died, or were silent for too long."""
    workers: Mapping[str, WorkerState]
    """Those that are there, by number."""
    clients: int
    """Clients that have or had tasks here, and are there."""
