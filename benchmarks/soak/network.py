"""Ports to bind again and again, and strangers who connect to them."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket

__all__ = ["free_port", "throw_junk"]

_PORTS = itertools.count(random.SystemRandom().randrange(15_000, 31_000))  # below those that systems give out
_GREETING = bytes.fromhex("ff00000000000000017f03004e554c4c") + bytes(48)  # half of a handshake


def free_port() -> int:
    """One that nobody has, and that nobody is given while its owner is away."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def throw_junk(address: str, draw: random.Random) -> int:
    """Some connections that say what nobody understands; how many there were."""
    host, port = address.removeprefix("tcp://").split(":")
    count = 0
    for _ in range(draw.randrange(1, 20)):
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0) as stranger:
            count += 1
            stranger.sendall(draw.choice((draw.randbytes(200), b"GET / HTTP/1.1\r\n\r\n", _GREETING, b"")))
    return count
