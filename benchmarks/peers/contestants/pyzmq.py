"""pyzmq: a JSON part with dtype and shape, then the array's buffer, as "Serializing messages with PyZMQ" has it.

Once with its default, which copies on both sides, and once with copy=False and a MessageTracker, which its
documentation recommends for large messages. ZeroMQ's limit of 1,000 messages would be 128 GB of copies: here it is as
many as fit 64 MB.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zmq

from peers.peer import Peer, ipc, tcp
from peers.work import Sink, Source, Work


def limited(socket: Any, work: Work) -> Any:
    socket.set_hwm(max(2, 64_000_000 // work.nbytes))
    return socket


def send_array(socket: Any, array: np.ndarray, copy: bool) -> Any:
    socket.send_json({"dtype": str(array.dtype), "shape": array.shape}, zmq.SNDMORE)
    return socket.send(array, copy=copy, track=not copy)


def recv_array(socket: Any, copy: bool) -> np.ndarray:
    about = socket.recv_json()
    return np.frombuffer(socket.recv(copy=copy), about["dtype"]).reshape(about["shape"])


def send(address: str, source: Source) -> None:
    with zmq.Context() as context, limited(context.socket(zmq.PUSH), source.work) as socket:
        socket.connect(address)
        for array in source.arrays():
            send_array(socket, array, copy=True)
        source.stay()


def send_tracked(address: str, source: Source) -> None:
    with zmq.Context() as context, limited(context.socket(zmq.PUSH), source.work) as socket:
        socket.connect(address)
        trackers: list[zmq.MessageTracker] = []
        for array in source.arrays(ring=3):
            trackers.append(send_array(socket, array, copy=False))
            if len(trackers) == 3:  # the next array is the one of the oldest tracker
                trackers.pop(0).wait()
        source.stay()


def receive(address: str, sink: Sink, copy: bool = True) -> None:
    with zmq.Context() as context, limited(context.socket(zmq.PULL), sink.work) as socket:
        socket.bind(address)
        sink.ready()
        while not sink.full:
            sink.take(recv_array(socket, copy))


def receive_uncopied(address: str, sink: Sink) -> None:
    receive(address, sink, copy=False)


PEERS = [
    Peer("pyzmq, ipc", "send_array and recv_array as documented, with their copies", ipc, send, receive),
    Peer("pyzmq, tcp, copy=False", "the same, not copying, three arrays in turn", tcp, send_tracked, receive_uncopied),
    Peer("pyzmq, ipc, copy=False", "the same, not copying, three arrays in turn", ipc, send_tracked, receive_uncopied),
]
