"""What one process of a lane does: ``python -m soak.peers SPEC``, with the specification in JSON.

It hears ``close`` (amid all that goes on) and ``drain`` (finish, then close) at its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import zmq

import nptransport as npt
import nptransport.asyncio

from .history import History

SLICE = 0.2  # seconds after which a loop looks whether it is to end
QUIET = 1.5  # seconds without a message after which a receiver that drains is done
CALL_TIMEOUT = 90.0
BUDGET = 16_000_000  # bytes that a sender may hold: few, so that what grows afterwards is a leak
BATCH = 4  # calls that a client has under way
HELD = 3  # received arrays that are kept for a while, and then must be what they were
DTYPES = ("u1", "<f4", ">i2", "c16", [("a", "<i4"), ("b", "<f8"), ("c", "S4")])
FAILS = "a handler that fails"


class Peer:
    """One endpoint of either face, called by methods that block, and its history."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec, self.name, self.options = spec, spec["name"], spec["options"]
        self.draw = random.Random(f"{spec['seed']} {self.name}")
        self.history = History(Path(spec["folder"]), self.name)
        self.ends = threading.Event()
        self.drains = False
        self._before = possessions()
        self._noise = np.random.default_rng(spec["seed"]).integers(0, 256, 2 * spec["largest"], np.uint8)
        self._loop = asyncio.new_event_loop() if spec["face"] == "asyncio" else None
        self.package: Any = npt if self._loop is None else nptransport.asyncio
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        word = sys.stdin.readline()  # a director that has died is told by its end
        self.drains = word.strip() == "drain"
        self.ends.set()

    def security(self) -> npt.Curve | None:
        keys = self.spec["keys"]
        if not keys:
            return None
        if self.spec["binds"]:
            return npt.Curve.server(secret=f"{keys}/server.secret", allowed=f"{keys}/client.public")
        return npt.Curve.client(server=f"{keys}/server.public", secret=f"{keys}/client.secret")

    def open(self, kind: str, **options: Any) -> Any:
        addresses = self.spec["addresses"]
        endpoint = getattr(self.package, kind)(**addresses, security=self.security(), **options)
        self.history.note("opened")
        return endpoint

    def run(self, result: Any) -> Any:
        """What a method gave; for the asyncio face, once it has been awaited."""
        return result if self._loop is None else self._loop.run_until_complete(result)

    def serve(self, endpoint: Any, **close: Any) -> None:
        """Until we are to end."""
        if self._loop is None:
            closing = threading.Thread(target=lambda: (self.ends.wait(), endpoint.close(**close)))
            closing.start()
            endpoint.serve()
            closing.join()
            return

        async def serve() -> None:
            serving = asyncio.ensure_future(endpoint.serve())
            while not self.ends.is_set() and not serving.done():
                await asyncio.sleep(SLICE / 4)
            await endpoint.close(**close)
            await serving

        self._loop.run_until_complete(serve())

    def close_loop(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def left(self) -> dict[str, int]:
        """What this process has more than before it opened anything."""
        return {name: now - self._before[name] for name, now in possessions().items()}

    # Payloads

    def make(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """An array of noise, and the bytes under it, to be written over once it has been sent."""
        nbytes = int(16 * (self.spec["largest"] / 16) ** self.draw.random()) // 16 * 16 or 16
        start = self.draw.randrange(len(self._noise) - nbytes)
        memory = self._noise[start : start + nbytes].copy()
        array = memory.view(self.draw.choice(DTYPES))
        if array.size % 2 == 0 and self.draw.random() < 0.3:
            array = array.reshape(-1, 2, order="F")
        return array, memory

    def pause(self) -> None:
        self.ends.wait(self.draw.expovariate(1 / self.spec["interval"]))


def crc(array: np.ndarray[Any, Any]) -> int:
    """Of its bytes, its dtype and its shape."""
    return zlib.crc32(array.tobytes(), zlib.crc32(f"{array.dtype.str}{array.shape}".encode()))


def note_refusal(peer: Peer, error: Exception) -> None:
    """A server that is away behind a cable that is not looks like one that refuses us: we are to go on trying."""
    if isinstance(error, npt.AuthenticationError):
        peer.history.note("turned away", text=str(error)[:300])
        peer.ends.wait(SLICE)


def send_stream(peer: Peer) -> None:
    producer = peer.open("Producer", max_messages=64, max_bytes=BUDGET)
    number = 0
    while not peer.ends.is_set():
        array, memory = peer.make()
        payload = {"from": peer.name, "number": number, "data": array}
        peer.history.note("offered", number=number, crc=crc(array), nbytes=array.nbytes)
        while True:
            try:
                peer.run(producer.send(payload, timeout=SLICE))
                break
            except (npt.Timeout, npt.AuthenticationError) as error:
                note_refusal(peer, error)
                if peer.ends.is_set():
                    peer.history.note("refused", number=number)
                    break
        memory[...] = 0xAA  # it is ours again
        number += 1
        peer.pause()
    disconnects = producer.statistics().disconnects
    in_doubt = peer.run(producer.close(linger=30.0 if peer.drains else 2.0))
    peer.history.note("closed", in_doubt=in_doubt, disconnects=disconnects, drained=peer.drains)


def publish(peer: Peer) -> None:
    publisher = peer.open("Publisher", max_messages=64, max_bytes=BUDGET)
    numbers = dict.fromkeys(peer.options["topics"], 0)
    while not peer.ends.is_set():
        topic = peer.draw.choice(peer.options["topics"])
        array, memory = peer.make()
        peer.history.note("offered", topic=topic, number=numbers[topic], crc=crc(array), nbytes=array.nbytes)
        peer.run(publisher.send({"from": peer.name, "number": numbers[topic], "data": array}, topic=topic))
        memory[...] = 0xAA
        numbers[topic] += 1
        peer.pause()
    in_doubt = peer.run(publisher.close(linger=30.0 if peer.drains else 2.0))
    peer.history.note("closed", in_doubt=in_doubt, totals=numbers, drained=peer.drains)


def receive(peer: Peer, receiver: Any, count: Callable[[], dict[str, Any]]) -> None:
    """Take what comes, look at some of it again later, and write the counts down at the end."""
    held: list[tuple[int, np.ndarray[Any, Any]]] = []
    last = time.monotonic()
    while not peer.ends.is_set() or (peer.drains and time.monotonic() - last < QUIET):
        try:
            message = peer.run(receiver.recv_message(timeout=SLICE))
        except (npt.Timeout, npt.AuthenticationError) as error:
            note_refusal(peer, error)
            continue
        except npt.DecodeError as error:
            peer.history.note("malformed", text=str(error)[:300])
            continue
        last = time.monotonic()
        array, seen = message.payload["data"], crc(message.payload["data"])
        peer.history.note(
            "got",
            sender=message.payload["from"],
            number=message.payload["number"],
            sequence=message.sequence,
            source=message.source,
            topic=message.topic,
            crc=seen,
        )
        held.append((seen, array))
        if len(held) > HELD:
            before, array = held.pop(0)
            if crc(array) != before:
                peer.history.note("changed", number=message.payload["number"])
        del message, array
    peer.history.note("counts", drained=peer.drains, **count())
    held.clear()
    peer.run(receiver.close())
    peer.history.note("closed")


def consume(peer: Peer) -> None:
    consumer = peer.open("Consumer", max_messages=64)

    def count() -> dict[str, Any]:
        statistics = consumer.statistics()
        return {"missed": statistics.missed, "malformed": statistics.malformed, "messages": statistics.messages}

    receive(peer, consumer, count)


def subscribe(peer: Peer) -> None:
    subscriber = peer.open("Subscriber", topics=peer.options["topics"], latest=peer.options["latest"])

    def count() -> dict[str, Any]:
        streams = [
            {"source": source, "topic": topic, **vars(stream)}
            for (source, topic), stream in subscriber.statistics().streams.items()
        ]
        return {"streams": streams, "malformed": subscriber.statistics().malformed}

    receive(peer, subscriber, count)


def call(peer: Peer) -> None:
    """Batches of calls, each of which ends in a result or an error that is written down."""
    client = peer.open("Client", max_bytes=BUDGET)
    number = 0
    while not peer.ends.is_set():
        batch = []
        for _ in range(BATCH):
            array, memory = peer.make()
            fails = peer.draw.random() < 0.05
            expected = FAILS if fails else crc(array[::-1])
            peer.history.note("begun", number=number, expected=expected)
            task = {"from": peer.name, "number": number, "fails": fails, "data": array}
            batch.append((number, task, memory))
            number += 1
        if peer.package is npt:
            _call_sync(peer, client, batch)
        else:
            peer.run(_call_soon(peer, client, batch))
        peer.pause()
    peer.history.note("counts", **{name: getattr(client.statistics(), name) for name in ("outstanding", "late")})
    peer.run(client.close())
    peer.history.note("closed")


def _gives_up(peer: Peer) -> bool:
    return peer.ends.is_set() and not peer.drains


def _call_sync(peer: Peer, client: npt.Client, batch: list[tuple[int, Any, Any]]) -> None:
    futures: dict[Future[Any], int] = {}
    for number, task, memory in batch:
        futures[client.submit("work", task, timeout=CALL_TIMEOUT)] = number
        memory[...] = 0xAA
    while wait(futures, SLICE).not_done:
        if _gives_up(peer):
            client.close()
    for future, number in futures.items():
        _note_end(peer, number, future.exception(), future)


async def _call_soon(peer: Peer, client: Any, batch: list[tuple[int, Any, Any]]) -> None:
    tasks = {asyncio.ensure_future(client.call("work", task, timeout=CALL_TIMEOUT)): n for n, task, _ in batch}
    while (await asyncio.wait(tasks, timeout=SLICE))[1]:
        if _gives_up(peer):
            await client.close()
    for task, number in tasks.items():
        _note_end(peer, number, task.exception(), task)


def _note_end(peer: Peer, number: int, error: BaseException | None, future: Any) -> None:
    if error is None:
        result = future.result()
        peer.history.note("ended", number=number, answers=result["number"], crc=crc(result["data"]))
    else:
        kind = error.type if isinstance(error, npt.RemoteError) else type(error).__name__
        peer.history.note("failed", number=number, error=kind, text=str(error)[:300])


def work(peer: Peer, kind: str, **options: Any) -> None:
    endpoint = peer.open(kind, max_bytes=BUDGET, **options)

    @endpoint.method
    def work(task: dict[str, Any]) -> dict[str, Any]:
        peer.history.note("executed", client=task["from"], number=task["number"])
        time.sleep(peer.draw.choice((0, 0, 0.005, 0.05)))
        if task["fails"]:
            raise RuntimeError(FAILS)
        return {"number": task["number"], "data": task["data"][::-1]}

    peer.serve(endpoint, linger=5.0)
    peer.history.note("closed")


def broke(peer: Peer) -> None:
    peer.serve(peer.open("Broker", interval=1.0), linger=5.0)
    peer.history.note("closed")


ROLES: dict[str, Callable[[Peer], None]] = {
    "producer": send_stream,
    "consumer": consume,
    "publisher": publish,
    "subscriber": subscribe,
    "client": call,
    "server": lambda peer: work(peer, "Server"),
    "worker": lambda peer: work(peer, "Worker", interval=1.0),
    "broker": broke,
}


def possessions() -> dict[str, int]:
    """What this process has of the system."""
    links = []
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself
            links.append(os.readlink(f"/proc/self/fd/{entry}"))
    maps = Path("/proc/self/maps").read_text().count("/memfd:nptransport")
    segments = maps + sum("memfd:nptransport" in link for link in links)
    return {"descriptors": len(links), "threads": len(os.listdir("/proc/self/task")), "segments": segments}


def warm_up() -> None:
    """Have pyzmq start what it keeps for good, for buffers that are lent, before anything is counted."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as left, context.socket(zmq.PAIR) as right:
        left.bind("inproc://warm-up")
        right.connect("inproc://warm-up")
        left.send(bytes(zmq.COPY_THRESHOLD), copy=False)
        right.recv()


def main() -> None:
    warm_up()
    peer = Peer(json.loads(sys.argv[1]))
    ROLES[peer.spec["role"]](peer)
    peer.close_loop()
    zmq.Context.instance().term()
    deadline = time.monotonic() + 5.0
    while (left := peer.left()) != dict.fromkeys(left, 0) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)
    peer.history.note("left", **left)


if __name__ == "__main__":
    main()
