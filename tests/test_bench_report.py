"""What ``nptransport bench`` shows: every row has its name and its figure, and nothing that was measured is lost."""

from __future__ import annotations

import errno
import io
import itertools
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import events
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from nptransport.cli.app import run as run_command
from nptransport.cli.bench.candidates import CANDIDATES, Candidate, choose, named
from nptransport.cli.bench.figures import Figures
from nptransport.cli.bench.lines import result_lines
from nptransport.cli.bench.machine import this_machine
from nptransport.cli.bench.plan import FULL_SIZES, Case, Plan
from nptransport.cli.bench.plot.page import compose
from nptransport.cli.bench.table import caption, tables
from nptransport.cli.bench.turn import Missing
from nptransport.cli.exits import Stop
from nptransport.cli.units import as_size

TINY = ["bench", "--sizes", "1KB", "--rounds", "1", "--seconds", "0.001", "--readers", "read"]
RESULT = {
    *("event", "name", "pattern", "transport", "face", "reading", "bytes"),
    *("median", "lowest", "highest", "rates", "bytes_per_second", "to_pyzmq", "to_pyzmq_of"),
}
MACHINE = {"event", "cpu", "cores", "load", "kernel", "python", "numpy", "pyzmq", "libzmq", "nptransport"}


def invented(
    candidates: list[Candidate], sizes: Sequence[int], readings: list[Any], slow: Case | None = None
) -> Figures:
    """Figures of a run in which every array took a microsecond and a nanosecond for each byte."""
    rounds = 3
    figures = Figures(Plan(candidates, sizes, readings, rounds=rounds, seconds=1))
    figures.rounds = rounds
    for case in figures.plan.turns():
        for number in range(rounds):
            moved = case.nbytes if case.candidate.copies(case.reading) or case == slow else 1_000
            figures.add(case, (1 + number / 10) / (1e-6 + moved * 1e-9))
    return figures


# Tables


@pytest.mark.parametrize("width", [40, 80, 100, 120, 160])
def test_names_and_sizes_are_readable_however_wide_the_terminal_is(width: int) -> None:
    figures = invented(CANDIDATES, FULL_SIZES, ["touch", "read"])
    console = Console(width=width, file=io.StringIO())
    found: dict[str, list[str]] = {}
    for table in tables(figures, console):
        with console.capture() as capture:
            console.print(table, crop=False)
        lines = capture.get().splitlines()
        assert width == 40 or max(map(len, lines)) <= width
        heading = next(line for line in lines if "┃" in line)
        found.setdefault(str(table.title), []).extend(cell.strip() for cell in heading.strip("┃").split("┃")[1:])
        names = {line.split("│")[1].strip() for line in lines if "│" in line} - {""}
        pattern = "stream" if str(table.title).startswith("Streams") else "roundtrip"
        reading = "touch" if "touches" in str(table.title) else "read"
        assert names == {each.label_for(reading) for each in CANDIDATES if each.pattern == pattern}
    assert list(found.values()) == [[as_size(nbytes) for nbytes in FULL_SIZES]] * 4


def test_a_narrow_table_has_the_spread_in_a_few_letters() -> None:
    figures = invented([named("ipc-roundtrip")], [1_000], ["touch"])
    console = Console(width=30, file=io.StringIO())
    (table,) = tables(figures, console)
    with console.capture() as capture:
        console.print(table, crop=False)
    assert "1.82 µs" in capture.get()
    assert "±10%" in capture.get()


def test_a_ratio_of_a_round_trip_is_one_of_times() -> None:
    names = ("ipc", "pyzmq-parts-ipc", "ipc-roundtrip", "pyzmq-roundtrip-ipc")
    ours, bare, our_trip, bare_trip = map(named, names)
    figures = Figures(Plan([ours, bare, our_trip, bare_trip], [1000], ["touch"], rounds=1, seconds=1))
    figures.rounds = 1
    for candidate, rate in ((ours, 10_000.0), (bare, 16_000.0), (our_trip, 10_000.0), (bare_trip, 16_000.0)):
        figures.add(Case(candidate, 1000, "touch"), rate)
    console = Console(width=120, file=io.StringIO())
    with console.capture() as capture:
        for table in tables(figures, console):
            console.print(table)
    shown = " ".join(capture.get().split())
    assert "10.0k x0.62" in shown
    assert "100 µs x1.60" in shown
    ratios = {
        each["name"]: (each["to_pyzmq_of"], each["to_pyzmq"])
        for each in events("\n".join(result_lines(figures, this_machine())))
        if each["event"] == "result"
    }
    assert ratios["ipc"] == ("rates", 0.625)
    assert ratios["ipc-roundtrip"] == ("times", 1.6)
    said = caption(figures, this_machine())
    assert "streams, where above 1 is better" in said
    assert "round trips, where below 1 is better" in said


@pytest.mark.parametrize(
    ("nbytes", "shown"),
    [
        (16, "16 B"), (1_000, "1 KB"), (900_000, "900 KB"), (1_100_000, "1.1 MB"), (1_200_000, "1.2 MB"),
        (6_200_000, "6.2 MB"), (24_900_000, "24.9 MB"), (65_536, "64 KiB"), (12_345_672, "12.345672 MB"),
    ],
)  # fmt: skip
def test_sizes_are_shown_exactly(nbytes: int, shown: str) -> None:
    assert as_size(nbytes) == shown


# Pictures


def quick(**what: Any) -> list[Candidate]:
    return choose(**{"patterns": (), "transports": (), "faces": (), "quick": True, **what})


ROUND_TRIPS = [candidate for candidate in CANDIDATES if candidate.pattern == "roundtrip"]
NEAR = [900_000, 1_000_000, 1_100_000, 1_200_000]


@pytest.mark.parametrize("readings", [["touch"], ["touch", "read"]], ids="-".join)
@pytest.mark.parametrize("sizes", [FULL_SIZES, [1_000], [128_000_000], NEAR, [8_000, 1_000_000, 1_000_008]])
@pytest.mark.parametrize("candidates", [CANDIDATES, quick(), ROUND_TRIPS], ids=["all", "quick", "roundtrips"])
def test_no_text_of_a_picture_runs_off_or_into_another(
    candidates: list[Candidate], sizes: list[int], readings: list[str]
) -> None:
    machine = this_machine()._replace(cpu="Processor With a Very Long Name(R) 9999X, First of a Long Line @ 2.70 GHz")
    figure = compose(invented(candidates, sizes, readings), machine)
    figure.draw_without_rendering()
    boxes = {text: text.get_window_extent() for text in figure.findobj(Text) if text.get_visible() and text.get_text()}
    for text in _beyond_the_scale(figure):
        boxes.pop(text, None)
    assert len(boxes) > 8
    for text, box in boxes.items():
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    for (text, box), (other, its) in itertools.combinations(boxes.items(), 2):
        assert not box.padded(-2).overlaps(its.padded(-2)), (text, other)


def _beyond_the_scale(figure: Figure) -> Iterator[Text]:
    """Texts of ticks that matplotlib keeps, and does not draw."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = axis.get_view_interval()
        yield from (tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high)


def test_a_loan_that_nobody_copies_leaves_the_scale_to_the_others() -> None:
    figure = compose(invented(quick(), [1_000, 8_000_000], ["touch"]), this_machine())
    (axes,) = figure.axes
    assert axes.get_ylim()[1] < 2  # the others move 1 GB/s, and a loan is said to move 4000
    assert "shm, loan(): off the scale,\nno copy, 550k/s of 8 MB" in {text.get_text() for text in axes.texts}
    slow = Case(named("shm-loan"), 8_000_000, "touch")
    falling = compose(invented(quick(), [1_000, 1_000_000, 8_000_000], ["touch"], slow=slow), this_machine())
    assert "shm, loan(): no copy,\nin part off the scale" in {text.get_text() for text in falling.axes[0].texts}
    single = compose(invented(quick(), [8_000_000], ["touch"]), this_machine())
    assert single.axes[0].get_xlim()[1] < 2
    assert "off the scale, no copy, 550k/s of 8 MB" in {text.get_text() for text in single.axes[0].texts}


def test_a_picture_says_what_it_leaves_out() -> None:
    said = [text.get_text() for text in compose(invented(quick(), [1_000, 8_000], ["touch"]), this_machine()).texts]
    assert "Measured, but not drawn: 1 asyncio stream, 2 round trips." in said[-1]


# Everything at once


def test_lines_for_programs_and_a_picture(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "speed.png"
    assert run_command([*TINY, "--transports", "ipc", "--patterns", "stream", "--json", "--plot", str(picture)]) == 0
    machine, *results, summary = events(capfd.readouterr().out)
    assert set(machine) == MACHINE
    assert (summary["event"], summary["rounds"], summary["exit"]) == ("summary", 1, 0)
    chosen = choose(patterns=["stream"], transports=["ipc"], faces=(), quick=False)
    assert [result["name"] for result in results if result["event"] == "result"] == [each.name for each in chosen]
    for result in results:
        assert set(result) == RESULT
        assert result["lowest"] <= result["median"] <= result["highest"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_table_for_people_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*args: Any, **options: Any) -> float:
        if args[0].transport == "shm":
            raise Missing("shm:// needs Linux")
        return 1234.0

    monkeypatch.setattr("nptransport.cli.bench.run.measure", refused)
    assert run_command([*TINY, "--rounds", "2"]) == 0
    shown = capfd.readouterr().out
    assert all(candidate.label in shown for candidate in CANDIDATES)
    assert shown.count("not here: shm:// needs Linux") == sum(each.transport == "shm" for each in CANDIDATES)
    assert "1.23k x1.00" in shown


def test_medians_and_ratios_are_of_the_same_round() -> None:
    ours, bare = (next(each for each in CANDIDATES if each.name == name) for name in ("ipc", "pyzmq-parts-ipc"))
    figures = Figures(Plan([ours, bare], [1000], ["touch"], rounds=3, seconds=1))
    for mine, theirs in ((10.0, 20.0), (100.0, 100.0), (40.0, 20.0)):
        figures.add(Case(ours, 1000, "touch"), mine)
        figures.add(Case(bare, 1000, "touch"), theirs)
    figure = figures.get(Case(ours, 1000, "touch"))
    assert figure is not None
    assert figure[:3] == (40.0, 10.0, 100.0)
    assert figure.to_pyzmq == 1.0


def test_a_picture_that_could_not_be_written_is_refused_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bench", "--plot", "/no/such/folder/a.png"]) == 2
    assert "no such folder" in capfd.readouterr().err


def test_a_picture_that_cannot_be_written_costs_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nptransport.cli.bench.run.measure", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "a.png").symlink_to("/no/such/folder/a.png")
    assert run_command([*TINY, "--plot", str(tmp_path / "a.png")]) == 2
    assert "No such file" in capfd.readouterr().err


def test_figures_outlive_a_picture_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nptransport.cli.bench.run.measure", lambda *_, **__: 1234.0)
    monkeypatch.setattr("nptransport.cli.bench.plot.draw", full)
    command = [*TINY, "--plot", str(tmp_path / "a.png")]
    assert run_command(command) == 1
    shown = capfd.readouterr()
    assert "1.23k" in shown.out
    assert "No space left" in shown.err
    assert run_command([*command, "--json"]) == 1
    _, *results, summary = events(capfd.readouterr().out)
    assert len(results) == len(CANDIDATES)
    assert summary["exit"] == 1
    assert not list(tmp_path.iterdir())


def _die() -> None:
    raise Stop(1, "tcp: the process that waits died")


def _interrupt_twice() -> None:
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


def _ends_in_round(number: int, end: Callable[[], None]) -> Callable[..., float]:
    turns = itertools.count()

    def measured(*_: Any, **__: Any) -> float:
        if next(turns) == (number - 1) * len(CANDIDATES) + 3:
            end()
        return 1234.0

    return measured


@pytest.mark.parametrize(
    ("end", "code", "said"), [(_die, 1, "the process that waits died"), (_interrupt_twice, 130, "interrupted")]
)
def test_figures_of_the_rounds_before_are_shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    end: Callable[[], None],
    code: int,
    said: str,
) -> None:
    picture = tmp_path / "a.png"
    command = [*TINY, "--rounds", "5", "--plot", str(picture)]
    monkeypatch.setattr("nptransport.cli.bench.run.measure", _ends_in_round(3, end))
    assert run_command(command) == code
    shown = capfd.readouterr()
    assert "1.23k x1.00" in shown.out
    assert "Only 2 of 5 rounds were finished." in shown.out
    assert said in shown.err
    assert picture.read_bytes().startswith(b"\x89PNG")

    monkeypatch.setattr("nptransport.cli.bench.run.measure", _ends_in_round(3, end))
    assert run_command([*command, "--json"]) == code
    _, *results, summary = events(capfd.readouterr().out)
    assert [result["rates"] for result in results] == [[1234.0, 1234.0]] * len(CANDIDATES)
    assert (summary["rounds"], summary["exit"]) == (2, code)


@pytest.mark.parametrize("before", [None, b"an older one"])
def test_a_run_without_a_figure_leaves_the_picture_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], before: bytes | None
) -> None:
    picture = tmp_path / "a.png"
    if before is not None:
        picture.write_bytes(before)
    monkeypatch.setattr("nptransport.cli.bench.run.measure", _ends_in_round(1, _die))
    assert run_command([*TINY, "--plot", str(picture)]) == 1
    assert capfd.readouterr().out == ""
    assert (picture.read_bytes() if picture.exists() else None) == before
