"""zenoh: a publisher that blocks rather than drops, and a subscriber's channel, between two peers without a router.

Python has to hand it a bytearray and gets bytes, a copy each. Over a Unix socket, over TCP, and with its shared memory,
where the bytearray is written into an allocated buffer. dtype and shape go as the attachment.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import zenoh

from peers.peer import Peer, Place, tcp
from peers.work import Sink, Source


def unix(place: Place) -> str:
    return f"unixsock-stream/{place.folder}/socket"


def tcp_locator(place: Place) -> str:
    return tcp(place).replace("://", "/")


def opened(role: str, locator: str, shm: bool = False) -> Any:
    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5(f"{role}/endpoints", json.dumps([locator]))
    if role == "connect":
        config.insert_json5("listen/endpoints", "[]")
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("transport/shared_memory/enabled", json.dumps(shm))
    return zenoh.open(config)


def publish(locator: str, source: Source, shm: bool) -> None:
    source.wait()
    about = json.dumps({"dtype": "i8", "shape": source.work.shape})
    nbytes = source.work.nbytes
    with opened("connect", locator, shm) as session:
        publisher = session.declare_publisher("arrays", congestion_control=zenoh.CongestionControl.BLOCK)
        while not publisher.matching_status.matching:
            time.sleep(0.01)
        if shm:
            provider = zenoh.shm.ShmProvider.default_backend(4 * nbytes + 2**20)
            policy = zenoh.shm.BlockOn(zenoh.shm.GarbageCollect())
        room = bytearray(nbytes)  # a warm one: bytes made for each array took three times as long
        view = np.frombuffer(room, np.int64).reshape(source.work.shape)
        for array in source.arrays():
            np.copyto(view, array)
            if shm:
                buffer = provider.alloc(nbytes, policy=policy)
                buffer[:] = room
                publisher.put(buffer, attachment=about)
            else:
                publisher.put(room, attachment=about)
        source.stay()


def send(locator: str, source: Source) -> None:
    publish(locator, source, shm=False)


def send_shm(locator: str, source: Source) -> None:
    publish(locator, source, shm=True)


def receive(locator: str, sink: Sink, shm: bool = False) -> None:
    room = max(2, min(256, 64_000_000 // sink.work.nbytes))  # 256 by default
    with opened("listen", locator, shm) as session:
        subscriber = session.declare_subscriber("arrays", zenoh.handlers.FifoChannel(room))
        sink.ready()
        while not sink.full:
            sample = subscriber.recv()
            about = json.loads(sample.attachment.to_string())
            sink.take(np.frombuffer(sample.payload.to_bytes(), about["dtype"]).reshape(about["shape"]))


def receive_shm(locator: str, sink: Sink) -> None:
    receive(locator, sink, shm=True)


PEERS = [
    Peer("zenoh, tcp", "put of bytes, blocking; a FIFO channel", tcp_locator, send, receive),
    Peer("zenoh, unix socket", "put of bytes, blocking; a FIFO channel", unix, send, receive),
    Peer("zenoh, shared memory", "put of an allocated buffer, blocking; a FIFO channel", unix, send_shm, receive_shm),
]
