"""nptransport: Producer and Consumer, over each transport."""

from __future__ import annotations

import nptransport as npt
from peers.peer import Peer, Place, ipc, tcp
from peers.work import Sink, Source


def shm(place: Place) -> str:
    return f"shm://{place.folder}/socket"


def send(address: str, source: Source) -> None:
    with npt.Producer(connect=address) as producer:
        for array in source.arrays():
            producer.send(array)
        source.stay()


def send_lent(address: str, source: Source) -> None:
    with npt.Producer(connect=address) as producer:
        handles: list[npt.SendHandle] = []
        for array in source.arrays(ring=3):
            handles.append(producer.send(array, copy=False))
            if len(handles) == 3:  # the next array is the one of the oldest handle
                handles.pop(0).wait()
        source.stay()


def send_loans(address: str, source: Source) -> None:
    with npt.Producer(connect=address, max_bytes=max(2**26, 4 * source.work.nbytes)) as producer:
        for stamp in source.stamps():
            with producer.loan(source.work.shape, "i8") as array:
                source.write(array, stamp)
        source.stay()


def receive(address: str, sink: Sink) -> None:
    with npt.Consumer(bind=address) as consumer:
        sink.ready()
        for array in consumer:
            sink.take(array)
            if sink.full:
                break


PEERS = [
    Peer("nptransport, tcp", "send(), which copies: the array may be changed at once", tcp, send, receive),
    Peer("nptransport, ipc", "send(), which copies: the array may be changed at once", ipc, send, receive),
    Peer("nptransport, ipc, copy=False", "send(copy=False), three arrays in turn", ipc, send_lent, receive),
    Peer("nptransport, shm", "send(): one copy into shared memory, none out of it", shm, send, receive),
    Peer("nptransport, loan", "Producer.loan: written where it is read", shm, send_loans, receive, lends=True),
]
