"""What ``nptransport top`` counts and says: meters, the board, the table, units."""

from __future__ import annotations

import io
import json
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rich")

from rich.console import Console

import nptransport as npt
from nptransport.cli.units import as_age, as_megabytes, as_milliseconds, as_rate, counted
from nptransport.cli.watch import table
from nptransport.cli.watch.board import SORTS, Board, Row
from nptransport.cli.watch.meter import Meter

IMAGE = np.zeros((480, 640, 3), np.uint8)

# Meters


def metered(times: list[float], nbytes: int = 100, latency: float | None = 0.01, window: float = 3.0) -> Meter:
    meter = Meter(window)
    for now in times:
        meter.add(now, nbytes, latency)
    return meter


@pytest.mark.parametrize("rate", [0.1, 1, 30, 1000, 20_000])
def test_a_steady_stream(rate: float) -> None:
    times = (np.arange(max(3, int(rate * 4))) / rate).tolist()
    reading = metered(times).read(times[-1])
    assert reading.rate == pytest.approx(rate)
    assert reading.bandwidth == pytest.approx(rate * 100)
    assert reading.age == 0


def test_a_change_is_seen_within_the_window() -> None:
    slow, fast = np.arange(0, 10, 0.1), np.arange(10, 14, 0.01)
    assert metered([*slow, *fast]).read(14.0).rate == pytest.approx(100, rel=0.02)


def test_a_stream_that_ends_comes_to_zero() -> None:
    meter = metered([number / 100 for number in range(1000)])
    rates = [meter.read(now).rate for now in (10.0, 10.5, 12.0, 14.0, 1000.0)]
    assert rates[0] == pytest.approx(100)
    assert rates == sorted(rates, reverse=True)
    assert rates[-2:] == [0, 0]
    assert meter.read(1000.0).age == pytest.approx(990.01)


def test_one_message_has_no_rate() -> None:
    reading = metered([5.0], latency=None).read(6.0)
    assert reading == (None, None, None, None, 1.0)


def test_memory_is_bounded_however_fast_the_stream() -> None:
    meter = Meter(window=3.0)
    for number in range(100_000):
        meter.add(number * 1e-6, 1, number * 1e-6)
    samples = sum(len(slot.latencies) for slot in meter._slots)
    assert samples <= 256
    # Each message had the same chance to be kept, so the median is that of all.
    assert meter.read(0.1).median == pytest.approx(0.05, rel=0.3)


def test_percentiles_of_the_latency() -> None:
    meter = Meter(window=3.0)
    for number in range(100):
        meter.add(number / 100, 1, 0.001 if number % 50 else 0.5)
    reading = meter.read(1.0)
    assert reading.median == pytest.approx(0.001)
    assert reading.p99 == pytest.approx(0.5)


# The board


def message(topic: str | None = "a", source: str | None = "s", payload: Any = IMAGE, late: float = 0.01) -> npt.Message:
    sent_at = time.time() - late if source else None
    return npt.Message(payload, topic, 0 if source else None, sent_at, source, 1000)


def statistics(**streams: SimpleNamespace) -> Any:
    counts = {("s", topic): counts for topic, counts in streams.items()}
    return SimpleNamespace(streams=counts, connections=1, malformed=2, refused=1, refusals={"no key": 1})


def rows(board: Board, sort: str = "topic", now: float = 1.0, **streams: SimpleNamespace) -> list[Row]:
    return board.rows(now, statistics(**streams), sort)


def test_a_row_for_each_topic() -> None:
    board = Board(1.0)
    for number in range(11):
        board.add(message("b", payload={"x": IMAGE}), number / 10)
        board.add(message("a"), number / 10)
    lost = SimpleNamespace(received=11, skipped=0, stale=0, missed=7)
    first, second = rows(board, b=lost)
    assert (first.topic, first.dtype, first.shape, first.missed) == ("a", "uint8", (480, 640, 3), 0)
    assert (second.topic, second.payload, second.dtype) == ("b", "{x: uint8[480,640,3]}", None)
    assert (second.received, second.missed) == (11, 7)
    assert second.reading.rate == pytest.approx(10)
    assert second.reading.median == pytest.approx(0.01, abs=0.005)


def test_only_what_is_shown_is_looked_at() -> None:
    board, looked = Board(1.0), []

    class Payload(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            looked.append(1)
            return super().items()

    for reading in range(3):
        for number in range(100):
            board.add(message(payload=Payload(a=1)), reading + number / 100)
        assert rows(board)[0].payload == "{a: int}"
        assert len(looked) == reading + 1


def test_every_order() -> None:
    board = Board(1.0)
    for number in range(20):
        board.add(message("fast", payload=IMAGE), number / 20)
    board.add(message("late", late=9.0), 0.0)
    board.add(message("late", late=9.0), 0.5)
    board.add(message("alone", source=None), 0.9)
    first = {sort: rows(board, sort, late=SimpleNamespace(skipped=0, stale=0, missed=1))[0].topic for sort in SORTS}
    expected = {
        "topic": "alone",
        "rate": "fast",
        "bandwidth": "fast",
        "latency": "late",
        "missed": "late",
        "age": "late",
    }
    assert first == expected
    assert rows(board, "rate")[-1].topic == "alone"  # unknown comes last


def test_a_topic_that_falls_silent_stays() -> None:
    board = Board(1.0)
    board.add(message("quiet"), 0.0)
    (row,) = rows(board, now=5000.0)
    assert (row.topic, row.reading.age) == ("quiet", 5000.0)


def test_a_publisher_that_was_started_anew_takes_the_place_of_its_former_self() -> None:
    board = Board(1.0)
    board.add(message(source="old"), 0.0)
    board.add(message(source="new"), 10.0)
    assert [row.source for row in rows(board, now=11.0)] == ["new", "old"]
    board.add(message(source="new"), 50.0)
    assert [row.source for row in rows(board, now=51.0)] == ["new"]


def test_topics_that_somebody_makes_up_do_not_fill_memory() -> None:
    board = Board(1.0)
    for number in range(1500):
        board.add(message(f"topic{number}"), float(number))
    assert len(board) == 1000
    assert board.forgotten == 500
    assert rows(board, "age")[0].topic == "topic500"


# The table


def painted(board: Board, width: int = 120, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(table.as_table(rows(board, **options), "topic", width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_table() -> None:
    board = Board(1.0)
    for number in range(11):
        board.add(message("camera/left"), number / 10)
    board.add(message("", source=None, payload=[1]), 0.5)
    lines = [line.split() for line in painted(board).splitlines() if line.strip()]
    assert " ".join(lines[0]) == "topic payload msg/s MB/s median ms p99 ms missed age"
    assert " ".join(lines[2]) == "(no topic) [int] - - - - 0 0.5 s"
    assert lines[3][:4] == ["camera/left", "uint8[480,640,3]", "10.0", "0.010"]
    assert "source" not in painted(board)
    board.add(message("camera/left", source="0123456789"), 1.0)
    assert "01234567 " in painted(board)


def test_topics_come_before_payloads() -> None:
    board = Board(1.0)
    for topic in ("camera/left", "camera/depth"):
        board.add(message(topic, payload=np.zeros((480, 640, 3), np.uint8)), 0.5)
    shown = [line.split()[0] for line in painted(board, 80).splitlines() if "camera" in line]
    assert shown == ["camera/depth", "camera/left"]


def test_what_peers_say_does_not_paint() -> None:
    board = Board(1.0)
    board.add(message("[red]\x1b[31m", payload={"[bold]x": 1}), 0.0)
    assert "[red]?[31m" in painted(board)
    assert "{[bold]x: int}" in painted(board)


def test_lines_have_the_same_fields_whatever_they_hold() -> None:
    board = Board(1.0)
    board.add(message("a", late=-5.0), 0.0)
    board.add(message("a", late=-5.0), 1.0)
    board.add(message("b", source=None), 1.0)
    before, other = table.as_lines(rows(board))
    assert before == "a  uint8[480,640,3]  1.0 msg/s  0.001 MB/s  median - ms  p99 - ms  missed 0  age 0.0 s"
    assert other == "b  uint8[480,640,3]  - msg/s  - MB/s  median - ms  p99 - ms  missed 0  age 0.0 s"


def test_json_has_base_units_and_null() -> None:
    board = Board(1.0)
    board.add(message("a"), 0.0)
    board.add(message("a", late=0.25), 0.5)
    board.add(message(None, source=None, payload=3), 1.0)
    said = json.loads(table.as_json(rows(board), statistics()))
    assert (said["event"], said["connections"], said["malformed"]) == ("top", 1, 2)
    nothing, stream = said["streams"]
    assert (stream["topic"], stream["source"], stream["dtype"]) == ("a", "s", "uint8")
    assert stream["shape"] == [480, 640, 3]
    assert (stream["messages_per_s"], stream["bytes_per_s"], stream["age_s"]) == (2.0, 2000.0, 0.5)
    assert stream["latency_p99_s"] == pytest.approx(0.25, abs=0.01)
    assert (nothing["topic"], nothing["payload"]) == ("", "int")
    absent = ("source", "dtype", "shape", "messages_per_s", "latency_median_s")
    assert all(nothing[name] is None for name in absent)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (as_rate(None), "-"),
        (as_rate(0.0), "0.0"),
        (as_rate(0.05), "0.05"),
        (as_rate(29.97), "30.0"),
        (as_rate(123456.7), "123,457"),
        (as_megabytes(27.6e6), "27.6"),
        (as_megabytes(2e9), "2,000"),
        (as_megabytes(1234), "0.001"),
        (as_milliseconds(0.00042), "0.42"),
        (as_milliseconds(12.3), "12,300"),
        (as_age(0.04), "0.0 s"),
        (as_age(59.9), "59 s"),
        (as_age(3 * 60 + 5), "3 min 05 s"),
        (as_age(3605), "60 min 05 s"),
        (as_age(7384), "2 h 03 min"),
        (counted(0, "stream"), "0 streams"),
        (counted(1, "stream"), "1 stream"),
    ],
)
def test_units(said: str, expected: str) -> None:
    assert said == expected
