"""The board as people and programs read it: a table, lines, JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

import nptransport as npt

from ..units import as_age, as_megabytes, as_milliseconds, as_rate
from .board import Row

__all__ = ["as_json", "as_lines", "as_table"]

_SOURCE = 8  # characters of a source: enough to tell a few apart
_SILENT = 5.0  # seconds after which a row is dimmed

# Heading, and the order that it stands for.
_NUMBERS = 58  # characters that the other columns take, and the room between all
_SHORTEST = 7  # characters of a topic, or a payload
_COLUMNS = [
    ("msg/s", "rate"),
    ("MB/s", "bandwidth"),
    ("median ms", ""),
    ("p99 ms", "latency"),
    ("missed", "missed"),
    ("age", "age"),
]


def as_table(rows: Sequence[Row], sort: str, width: int, height: int | None = None) -> Table:
    """A row a stream, the first ``height`` of them, for ``width`` characters. Sources are named where a topic has
    several."""
    several = _have_several_sources(rows)
    table = Table(box=SIMPLE_HEAD, expand=True)
    # Topics before payloads: two that are cut to the same tell nothing.
    longest = max((len(row.topic) for row in rows[:height]), default=0)
    room = max(_SHORTEST, width - _NUMBERS - _SHORTEST - several * (_SOURCE + 2))
    table.add_column(
        _heading("topic", sort == "topic"), width=max(_SHORTEST, min(longest, room)), no_wrap=True, overflow="ellipsis"
    )
    if several:
        table.add_column("source", no_wrap=True)
    table.add_column("payload", ratio=1, no_wrap=True, overflow="ellipsis")
    for name, order in _COLUMNS:
        table.add_column(_heading(name, sort == order), justify="right", no_wrap=True)
    for row in rows[:height]:
        source = [row.source[:_SOURCE]] if several else []
        missed = Text(f"{row.missed:,}", style="red" if row.missed else "")
        numbers: list[str | Text] = [*_speed(row), *_latency(row), missed, as_age(row.reading.age)]
        texts = map(Text, [row.topic or "(no topic)", *source, row.payload])  # what peers say is no markup
        table.add_row(*texts, *numbers, style="dim" if row.reading.age >= _SILENT else "")
    return table


def as_lines(rows: Sequence[Row]) -> Iterator[str]:
    """A line a stream, the same fields in the same order whatever they hold."""
    several = _have_several_sources(rows)
    for row in rows:
        rate, bandwidth = _speed(row)
        median, p99 = _latency(row)
        where = row.topic or "(no topic)"
        yield "  ".join(
            [
                f"{where} from {row.source[:_SOURCE]}" if several else where,
                row.payload,
                f"{rate} msg/s",
                f"{bandwidth} MB/s",
                f"median {median} ms",
                f"p99 {p99} ms",
                f"missed {row.missed}",
                f"age {as_age(row.reading.age)}",
            ]
        )


def as_json(rows: Sequence[Row], statistics: npt.SubscriberStatistics) -> str:
    """One object: numbers in the base units, null for what is not known."""
    streams = [_facts(row) for row in rows]
    counts = {
        "connections": statistics.connections,
        "malformed": statistics.malformed,
        "refused": statistics.refused,
        "refusals": dict(statistics.refusals),
    }
    return json.dumps({"event": "top", "time": round(time.time(), 3), **counts, "streams": streams})


def _facts(row: Row) -> dict[str, Any]:
    reading = row.reading
    return {
        "topic": row.topic,
        "source": row.source or None,
        "payload": row.payload,
        "dtype": row.dtype,
        "shape": row.shape,
        "messages_per_s": _rounded(reading.rate),
        "bytes_per_s": _rounded(reading.bandwidth, 0),
        "latency_median_s": _rounded(_plausible(reading.median), 6),
        "latency_p99_s": _rounded(_plausible(reading.p99), 6),
        "received": row.received,
        "missed": row.missed,
        "skipped": row.skipped,
        "stale": row.stale,
        "age_s": _rounded(reading.age),
    }


def _have_several_sources(rows: Sequence[Row]) -> bool:
    return len({row.topic for row in rows}) < len(rows)


def _heading(name: str, is_sorted: bool) -> Text:
    return Text(name, style="reverse" if is_sorted else "")


def _speed(row: Row) -> tuple[str, str]:
    return as_rate(row.reading.rate), as_megabytes(row.reading.bandwidth)


def _latency(row: Row) -> tuple[str, str]:
    return as_milliseconds(_plausible(row.reading.median)), as_milliseconds(_plausible(row.reading.p99))


def _plausible(latency: float | None) -> float | None:
    """None for what came before it was sent: then the clocks differ, and nothing is known."""
    return None if latency is None or latency < 0 else latency


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
