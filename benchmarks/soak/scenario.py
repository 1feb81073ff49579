"""What one episode plays: drawn from the seed and its number, the same on any machine."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

__all__ = ["Lane", "Spec", "draw_lanes"]

PATTERNS = ("push", "publish", "serve", "broker")


@dataclass(frozen=True)
class Spec:
    """One slot of a lane: an endpoint that lives again when it has died."""

    role: str
    face: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Lane:
    """Endpoints that belong together."""

    name: str
    pattern: str
    transport: str
    secured: bool
    largest: int
    """Bytes of the largest array."""
    interval: float
    """Seconds between two messages of one sender."""
    sender_binds: bool
    slots: dict[str, Spec]

    @property
    def receivers(self) -> list[str]:
        """Slots that have to get on."""
        return [slot for slot, spec in self.slots.items() if spec.role in ("consumer", "subscriber", "client")]


def draw_lanes(seed: int, episode: int) -> list[Lane]:
    """One lane of each pattern."""
    draw = random.Random(f"soak {seed} {episode}")
    return [_draw_lane(f"{pattern}{episode}", pattern, draw) for pattern in PATTERNS]


def _draw_lane(name: str, pattern: str, draw: random.Random) -> Lane:
    transport = draw.choice(("tcp", "tcp", "ipc", "shm", "shm"))
    slots = {f"{role}-{index}": Spec(role, draw.choice(("sync", "asyncio")), o) for index, (role, o) in _parts(pattern)}
    return Lane(
        name=name,
        pattern=pattern,
        transport=transport,
        secured=transport != "shm" and draw.random() < 0.4,
        largest=draw.choice((2_000, 400_000, 4_000_000)),
        interval=draw.choice((0.004, 0.01, 0.03)),
        sender_binds=draw.random() < 0.5 if pattern == "push" else pattern == "publish",
        slots=slots,
    )


def _parts(pattern: str) -> list[tuple[int, tuple[str, dict[str, Any]]]]:
    roles: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "push": [("consumer", {}), ("producer", {})],
        "publish": [
            ("publisher", {"topics": ["left", "right", "depth"]}),
            ("subscriber", {"topics": ["left", "depth"], "latest": False}),
            ("subscriber", {"topics": [""], "latest": True}),
        ],
        "serve": [("server", {}), ("client", {}), ("client", {})],
        "broker": [("broker", {}), ("worker", {}), ("worker", {}), ("worker", {}), ("client", {})],
    }
    return list(enumerate(roles[pattern]))
