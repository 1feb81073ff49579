"""Pickle protocol 5 with its buffers out of band, as the pickle module's documentation has it, as parts of pyzmq."""

from __future__ import annotations

import pickle

import zmq

from peers.contestants.pyzmq import limited
from peers.peer import Peer, ipc
from peers.work import Sink, Source


def send(address: str, source: Source) -> None:
    with zmq.Context() as context, limited(context.socket(zmq.PUSH), source.work) as socket:
        socket.connect(address)
        trackers: list[zmq.MessageTracker] = []
        for array in source.arrays(ring=3):
            buffers: list[pickle.PickleBuffer] = []
            head = pickle.dumps(array, protocol=5, buffer_callback=buffers.append)
            parts = [head, *(buffer.raw() for buffer in buffers)]
            trackers.append(socket.send_multipart(parts, copy=False, track=True))
            if len(trackers) == 3:  # the next array is the one of the oldest tracker
                trackers.pop(0).wait()
        source.stay()


def receive(address: str, sink: Sink) -> None:
    with zmq.Context() as context, limited(context.socket(zmq.PULL), sink.work) as socket:
        socket.bind(address)
        sink.ready()
        while not sink.full:
            head, *buffers = socket.recv_multipart(copy=False)
            sink.take(pickle.loads(head.buffer, buffers=[frame.buffer for frame in buffers]))


PEERS = [Peer("pickle 5 over pyzmq, ipc", "buffers out of band, copy=False, three arrays in turn", ipc, send, receive)]
