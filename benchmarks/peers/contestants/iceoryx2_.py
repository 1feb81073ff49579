"""iceoryx2: samples lent by the publisher's loan_slice_uninit, without overflow, so that nothing is dropped.

Once written in place and once with a copy of the sender's array. Its publish-subscribe has no blocking receive: the
receiver asks again and again, which keeps a core busy also when nothing comes. dtype and shape are agreed beforehand.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import iceoryx2
import numpy as np

from peers.peer import Peer, Place
from peers.work import Array, Sink, Source, Stamp, Work

BUFFER = 4  # samples, of the publisher's data segment and of the subscriber's queue


def service(place: Place) -> str:
    return f"peers/{place.folder.name}"


def opened(name: str) -> tuple[Any, Any]:
    """Node and service. Both sides must ask for the same."""
    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
    builder = node.service_builder(iceoryx2.ServiceName.new(name))
    builder = builder.publish_subscribe(iceoryx2.Slice[ctypes.c_uint64]).enable_safe_overflow(False)
    return node, builder.subscriber_max_buffer_size(BUFFER).subscriber_max_borrowed_samples(2).open_or_create()


def view(sample: Any, work: Work) -> Array:
    memory = (ctypes.c_uint8 * work.nbytes).from_address(sample.payload_ptr)
    return np.frombuffer(memory, np.int64).reshape(work.shape)


def publish(name: str, source: Source, fill: Callable[[Array, Stamp], None]) -> None:
    source.wait()
    _node, found = opened(name)
    elements = source.work.nbytes // 8
    publisher = (
        found.publisher_builder()
        .initial_max_slice_len(elements)
        .backpressure_strategy(iceoryx2.BackpressureStrategy.RetryUntilDelivered)
        .create()
    )
    for stamp in source.stamps():
        delivered = 0
        while not delivered:  # it does not wait for a subscriber that is there, but has yet to map this publisher
            sample = publisher.loan_slice_uninit(elements)
            fill(view(sample, source.work), stamp)
            delivered = sample.assume_init().send()
    source.stay()


def send_loans(name: str, source: Source) -> None:
    publish(name, source, source.write)


def send_copies(name: str, source: Source) -> None:
    array = source.work.template()

    def fill(lent: Array, stamp: Stamp) -> None:
        stamp.put(array)
        np.copyto(lent, array)

    publish(name, source, fill)


def receive(name: str, sink: Sink) -> None:
    _node, found = opened(name)
    subscriber = found.subscriber_builder().create()
    sink.ready()
    while not sink.full:
        sample = subscriber.receive()
        if sample is not None:
            sink.take(view(sample, sink.work))
            sample.delete()


PEERS = [
    Peer("iceoryx2, copied in", "loan_slice_uninit, one copy; a busy receiver", service, send_copies, receive),
    Peer(
        "iceoryx2, loan",
        "loan_slice_uninit, in place; a busy receiver",
        service,
        send_loans,
        receive,
        lends=True,
    ),
]
