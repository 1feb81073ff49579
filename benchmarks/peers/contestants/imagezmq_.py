"""imagezmq: ImageSender and ImageHub with REQ and REP, its default; its PUB and SUB drop what is not fetched in time.

Its documentation binds to tcp://*:PORT, which is open to the network; here it is ipc, which is faster, too.
"""

from __future__ import annotations

import imagezmq

from peers.peer import Peer, ipc
from peers.work import Sink, Source


def send(address: str, source: Source) -> None:
    source.wait()
    with imagezmq.ImageSender(connect_to=address) as sender:
        for array in source.arrays():  # the reply says that it has been read
            sender.send_image("camera", array)


def receive(address: str, sink: Sink) -> None:
    with imagezmq.ImageHub(open_port=address) as hub:
        sink.ready()
        while not sink.full:
            _, array = hub.recv_image()
            sink.take(array)
            hub.send_reply(b"OK")


PEERS = [Peer("imagezmq, ipc", "REQ and REP, its default: one image on its way at a time", ipc, send, receive)]
