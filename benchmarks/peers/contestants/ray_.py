"""Ray: ray.put into its object store, and the reference to an actor, where the array is a view on shared memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import ray

from peers.peer import Peer
from peers.work import Sink, Source, Work

UNREAD = 3


class Receiver:
    def __init__(self, work: Work) -> None:
        self.sink = Sink(work, lent=False)

    def take(self, array: Any) -> None:
        self.sink.take(array)

    def rate(self) -> float:
        return self.sink.rate()


def alone(work: Work, folder: Path) -> float:
    store = max(300_000_000, (UNREAD + 3) * work.nbytes)
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # of the actor's process
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=store, _temp_dir=str(folder / "ray"))
    try:
        receiver = ray.remote(Receiver).remote(work)
        ray.get(receiver.__ray_ready__.remote())
        unread: list[Any] = []
        for array in Source(work).arrays():
            unread.append(receiver.take.remote(ray.put(array)))
            if len(unread) > UNREAD:
                ray.get(unread.pop(0))
        ray.get(unread)
        return float(ray.get(receiver.rate.remote()))
    finally:
        ray.shutdown()


PEERS = [Peer("Ray", "ray.put, and an actor that is given the reference; at most 4 unread", alone=alone)]
