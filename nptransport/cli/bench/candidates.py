"""What can be measured, by name. The names are part of what ``--json`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .content import Reading

__all__ = ["CANDIDATES", "Candidate", "choose", "named"]


class Candidate(NamedTuple):
    """One way of moving arrays from process to process."""

    name: str
    label: str
    """For people."""
    pattern: str
    """stream or roundtrip."""
    transport: str
    """tcp, ipc, shm; socket and memory are what the machine itself can do."""
    face: str
    """sync, asyncio; pyzmq and system for what is not ours."""
    program: str
    """Its two functions, ``serve_NAME`` and ``drive_NAME``: module.NAME in ``programs/``."""
    quick: bool = False

    @property
    def ours(self) -> bool:
        return self.face in ("sync", "asyncio")

    @property
    def timed(self) -> bool:
        """Whether the time of one is what people ask about, less of which is better; of others it is the rate."""
        return self.pattern == "roundtrip"

    def copies(self, reading: Reading) -> bool:
        """Whether the bytes of an array are moved or written at all: those of a loan are only where they are read."""
        return reading == "read" or not self.program.endswith(".loan")

    def label_for(self, reading: Reading) -> str:
        return self.label if self.copies(reading) else f"{self.label}: no copy"


def _candidates() -> list[Candidate]:
    found = [
        Candidate("memcpy", "memcpy, warm", "stream", "memory", "system", "system.memcpy", quick=True),
        Candidate("unix-socket", "unix socket, warm", "stream", "socket", "system", "system.stream", quick=True),
    ]
    for transport in ("ipc", "tcp"):
        first = transport == "ipc"
        found += [
            Candidate(
                f"pyzmq-multipart-{transport}",
                f"pyzmq {transport}, send_multipart",
                "stream",
                transport,
                "pyzmq",
                "bare.multipart",
                quick=first,
            ),
            Candidate(
                f"pyzmq-parts-{transport}",
                f"pyzmq {transport}, part by part",
                "stream",
                transport,
                "pyzmq",
                "bare.parts",
                quick=first,
            ),
        ]
    for face, suffix in (("sync", ""), ("asyncio", "-asyncio")):
        for transport, ways in (("tcp", ("safe", "lent")), ("ipc", ("safe", "lent")), ("shm", ("safe", "loan"))):
            for way in ways:
                call = {"safe": "send()", "lent": "send(copy=False)", "loan": "loan()"}[way]
                name = transport + (f"-{way}" if way != "safe" else "") + suffix
                label = f"{transport}, {call}" + (", asyncio" if suffix else "")
                program = f"{'ours' if face == 'sync' else 'ours_asyncio'}.{way}"
                quick = (face == "sync" and (transport, way) != ("tcp", "lent")) or name == "ipc-asyncio"
                found.append(Candidate(name, label, "stream", transport, face, program, quick))
    found.append(
        Candidate("unix-socket-roundtrip", "unix socket, warm", "roundtrip", "socket", "system", "system.roundtrip")
    )
    for transport in ("ipc", "tcp"):
        name, label = f"pyzmq-roundtrip-{transport}", f"pyzmq {transport}, DEALER and ROUTER"
        found.append(
            Candidate(name, label, "roundtrip", transport, "pyzmq", "bare.roundtrip", quick=transport == "ipc")
        )
    for face, suffix in (("sync", ""), ("asyncio", "-asyncio")):
        for transport in ("tcp", "ipc", "shm"):
            label = f"{transport}, call()" + (", asyncio" if suffix else "")
            program = f"{'ours' if face == 'sync' else 'ours_asyncio'}.roundtrip"
            quick = face == "sync" and transport == "ipc"
            found.append(
                Candidate(f"{transport}-roundtrip{suffix}", label, "roundtrip", transport, face, program, quick)
            )
    return found


CANDIDATES = _candidates()


def named(name: str) -> Candidate:
    return next(candidate for candidate in CANDIDATES if candidate.name == name)


def choose(*, patterns: Sequence[str], transports: Sequence[str], faces: Sequence[str], quick: bool) -> list[Candidate]:
    """Those of the ``patterns``, with what they are to be compared with; an empty sequence excludes nothing.

    The limits of the machine are measured whatever the transports are, and pyzmq whatever the faces.
    """
    return [
        candidate
        for candidate in CANDIDATES
        if (not patterns or candidate.pattern in patterns)
        and (not transports or candidate.transport in (*transports, "memory", "socket"))
        and (not faces or candidate.face in (*faces, "pyzmq", "system"))
        and (candidate.quick or not quick)
    ]
