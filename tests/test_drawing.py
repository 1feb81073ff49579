"""What ``nptransport view`` paints on a terminal: blocks where there are colours, dots elsewhere, and plots."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rich")
pytest.importorskip("PIL")
pytest.importorskip("plotille")

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from strategies import arrays, masked_arrays, payloads

import nptransport as npt
from nptransport.cli.picture.choose import Kind
from nptransport.cli.picture.shown import NothingToShow, Shown, show
from nptransport.cli.watch.outline import outline

RNG = np.random.default_rng(1)


def drawn(shown: Shown, width: int = 40, height: int = 12, *, colours: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=colours, color_system="truecolor")
    console.print(shown.draw(width, height, colours=colours)[0])
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def segments(shown: Shown, width: int, height: int) -> Any:
    return [segment for segment in shown.draw(width, height, colours=True)[0].segments if segment.style]


def test_the_transparent_is_black() -> None:
    image = np.full((4, 4, 4), 255, np.uint8)
    image[:, :2, 3] = 0
    grounds = {segment.style.bgcolor.triplet for segment in segments(show(image, ""), 4, 2)}
    assert grounds == {(0, 0, 0), (255, 255, 255)}


@pytest.mark.parametrize("shape", [(480, 640, 3), (640, 480, 3), (3, 3, 3), (9, 9), (2000, 10), (10, 2000), (9, 37)])
@pytest.mark.parametrize("colours", [True, False], ids=["colours", "dots"])
def test_a_picture_fits_in_its_proportions(shape: tuple[int, ...], colours: bool) -> None:
    shown = show(RNG.integers(0, 255, shape, np.uint8), "")
    for width, height in [(40, 12), (80, 24), (200, 50), (3, 1)]:
        lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in drawn(shown, width, height, colours=colours)]
        lines = [line for line in lines if line]
        assert 1 <= len(lines) <= height
        assert 1 <= len(lines[0]) <= width
        assert len(set(map(len, lines))) == 1
        if width >= 40:
            narrow = len(lines[0]) < width * 0.4 and len(lines) < height * 0.4
            assert not narrow, "there was room for more"


def test_two_pixels_a_character() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0], image[1, 1] = (255, 0, 0), (0, 0, 255)
    left, right = segments(show(image, ""), 2, 1)
    assert left.text == right.text == "▀"
    assert (left.style.color.triplet, left.style.bgcolor.triplet) == ((255, 0, 0), (0, 0, 0))
    assert (right.style.color.triplet, right.style.bgcolor.triplet) == ((0, 0, 0), (0, 0, 255))


def test_without_colours_the_bright_has_dots() -> None:
    image = np.zeros((40, 40), np.uint8)
    image[:, 20:] = 255
    lines = [line for line in drawn(show(image, ""), 20, 10) if line]
    assert {line[:10].strip("⠀") for line in lines} == {""}
    assert {line[10:20] for line in lines} == {"⣿" * 10}


@pytest.mark.parametrize(
    "curve",
    [
        np.zeros(1),
        np.zeros(5),
        np.full(5, -1e9),
        np.sin(np.linspace(0, 9, 300)),
        np.array([1, np.nan, 2, np.inf, 3]),
        np.arange(1_000_000),
        np.array([True, False, True]),
        np.array([-1, 1]) * 1e300,
        np.array([2**63, 0], np.uint64),
        RNG.normal(size=(1000, 3)),
        RNG.normal(size=(8, 1000)),
    ],
)
def test_a_plot_fits(curve: np.ndarray[Any, Any]) -> None:
    shown = show(curve, "")
    for width, height in [(80, 24), (40, 12), (200, 50)]:
        lines = drawn(shown, width, height)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        assert any("⠀" < letter <= "⣿" for line in lines for letter in line)
    assert shown.save()[0].startswith(b"\x89PNG")


def test_no_peak_of_a_long_curve_is_lost() -> None:
    curve = np.zeros(1_000_000)
    curve[123_456] = 1
    dots = [sum("⠀" < letter <= "⣿" for letter in line) for line in drawn(show(curve, ""), 60, 20)]
    assert [count for count in dots if count][:-1] == [1] * 14  # a needle on a floor


def test_a_curve_of_nothing() -> None:
    assert drawn(show(np.full(9, np.nan), "")) == ["nothing in it is finite"]


def test_values_are_shown_as_they_are() -> None:
    assert drawn(show(np.float32(2.5), "")) == ["2.5"]
    assert drawn(show({"t": np.int8(3)}, "")) == ["3"]
    assert drawn(show(np.zeros((0, 3)), "")) == ["empty"]
    with pytest.raises(NothingToShow, match=r"float64\[0,3\] makes no picture"):
        show(np.zeros((0, 3)), "").save()


# Whatever comes


@settings(max_examples=300)
@given(st.one_of(arrays(), masked_arrays(), payloads()), st.booleans())
def test_any_payload_is_shown_or_refused(payload: Any, colours: bool) -> None:
    arrived = npt.loads(npt.dumps(payload))
    assert "\x1b" not in outline(arrived)
    try:
        shown = show(arrived, "")
    except NothingToShow:
        return
    assert shown.describe().isprintable()
    assert drawn(shown, 20, 6, colours=colours)
    if shown.kind in (Kind.GREY, Kind.COLOUR):  # a figure of matplotlib's takes a while
        assert shown.save()[0].startswith(b"\x89PNG")


def test_keys_that_python_cannot_write() -> None:
    assert outline({10**5000: 1}) == "{(int): int}"
    assert show({(10**5000,): np.zeros(9)}, "").path == "(tuple)"
