"""Senders and readers are killed at random instants, under load: nothing is left, nothing is wrong, nothing stalls.

    python benchmarks/shm_kills.py [--kills 1000] [--seed 1] [--bytes 800000]

One endpoint that stays binds an address and holds on to views whose checksums it keeps; its partner, on the other side,
is killed with SIGKILL at a random instant and started again, now as the sender, now as the reader. At the end, after
the last holder has gone, no process may map or hold any segment of theirs within a second, and the next sender that
comes leaves none of their sockets in the folder.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import repository  # noqa: F401 - for what is imported below
from arguments import Parser

import nptransport as npt

_started: set[int] = set()
STALL = 2.0  # seconds without progress, once a partner has been there
HANG = 30.0  # the same, on a machine however busy


def segments(pids: set[int]) -> int:
    """Segments that those processes map or have open."""
    found = 0
    for pid in pids:
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
            links = [os.readlink(link.path) for link in os.scandir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        found += maps.count("/memfd:nptransport") + sum("/memfd:nptransport" in link for link in links)
    return found


def sockets(folder: str) -> int:
    """Sockets of the dead in ``folder``, once another sender has been there."""
    npt.Producer(bind=f"shm://{folder}/another", linger=0).close()
    return len(list(Path(folder).glob("npt-*.side")))


def checked(size: int, number: int) -> np.ndarray:
    """An array that says of itself what its checksum is."""
    array = np.full(size, number % 251, np.uint8)
    array[:4] = np.frombuffer(zlib.crc32(array[4:]).to_bytes(4, "little"), np.uint8)
    return array


def is_right(array: np.ndarray) -> bool:
    return int.from_bytes(array[:4].tobytes(), "little") == zlib.crc32(array[4:])


def send(address: str, size: int) -> None:
    with npt.Producer(connect=address, max_bytes=16 * size) as producer:
        number = 0
        while True:
            producer.send(checked(size, number))
            number += 1


def read(address: str) -> None:
    with npt.Consumer(connect=address) as consumer:
        held: list[np.ndarray] = []
        for array in consumer:
            held.append(array)
            if not all(map(is_right, held)):
                print("wrong", flush=True)
            del held[:-3]


def partner(role: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--role", role, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    _started.add(process.pid)
    return process


def kill(process: subprocess.Popen[str]) -> int:
    """How many wrong arrays it saw."""
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate()
    return out.count("wrong")


def kill_senders(address: str, size: int, kills: int, chance: random.Random) -> tuple[int, int, float]:
    """Wrong checksums, messages refused, longest stall."""
    wrong, longest, held, source = 0, 0.0, [], None
    with npt.Consumer(bind=address) as consumer:
        for _ in range(kills):
            process = partner("send", address, size)
            due = None
            while due is None or time.monotonic() < due:
                begun = time.monotonic()
                try:
                    message = consumer.recv_message(timeout=HANG)
                except npt.DecodeError:
                    continue  # what the dead had not handed over
                held.append(message.payload)
                if message.source == source:
                    continue  # the dead had sent it; the next one has yet to come
                if due is None:
                    due = time.monotonic() + chance.uniform(0, 0.3)
                else:
                    longest = max(longest, time.monotonic() - begun)
                del held[:-5]
            wrong += kill(process)
            wrong += sum(not is_right(array) for array in held)
            source = message.source
        refused = consumer.statistics().malformed
    return wrong, refused, longest


def kill_readers(address: str, size: int, kills: int, chance: random.Random) -> tuple[int, int, float]:
    """The same, where the one that stays is the sender."""
    wrong, longest, number = 0, 0.0, 0
    with npt.Producer(bind=address, max_bytes=16 * size, linger=0) as producer:
        for _ in range(kills):
            process = partner("read", address)
            while not producer.statistics().connections:
                time.sleep(0.001)
            due = time.monotonic() + chance.uniform(0, 0.3)
            while time.monotonic() < due:
                begun = time.monotonic()
                try:
                    producer.send(checked(size, number), timeout=HANG)
                except npt.Timeout as hang:
                    kill(process)
                    sys.exit(f"hung: {hang}")
                longest = max(longest, time.monotonic() - begun)
                number += 1
            wrong += kill(process)
            while producer.statistics().connections:
                time.sleep(0.001)
    return wrong, 0, longest


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bytes", type=int, default=800_000)
    parser.add_argument("--no-stalls", action="store_true", help="Fail for no wait under 30 s, as on a busy machine.")
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        role, address, *rest = options.role
        send(address, int(rest[0])) if role == "send" else read(address)
    chance = random.Random(options.seed)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="npt") as folder:
        for number, run in enumerate((kill_senders, kill_readers)):
            kills = options.kills // 2
            wrong, refused, longest = run(f"shm://{folder}/{number}", options.bytes, kills, chance)
            deadline = time.monotonic() + 1.0
            while segments({os.getpid()}) and time.monotonic() < deadline:
                time.sleep(0.01)
            left, stale = segments({os.getpid(), *_started}), sockets(folder)
            print(
                f"{run.__name__}: {kills} kills, {wrong} wrong checksums, {refused} messages refused, "
                f"longest wait {longest:.2f} s, {left} segments left, {stale} sockets left"
            )
            bad += wrong + left + stale + (longest > STALL and not options.no_stalls)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
