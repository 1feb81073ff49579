"""What ``nptransport view`` makes of any array: which part of it, which pixels, which caption."""

from __future__ import annotations

import io
import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("rich")
pytest.importorskip("PIL")
pytest.importorskip("plotille")

from PIL import Image

from nptransport.cli.picture.choose import Kind, choose
from nptransport.cli.picture.numbers import as_numbers, summarize
from nptransport.cli.picture.scale import scale_colour, scale_grey
from nptransport.cli.picture.shown import NothingToShow, show

RAMP = np.linspace(0, 1, 256 * 16).reshape(16, 256)  # 2-D, and too high to be curves
RNG = np.random.default_rng(1)


# Which part


@pytest.mark.parametrize(
    ("shape", "kind", "part"),
    [
        ((), Kind.VALUE, ""),
        ((0, 5), Kind.VALUE, ""),
        ((1,), Kind.CURVES, ""),
        ((1000,), Kind.CURVES, ""),
        ((3, 1000), Kind.CURVES, ""),
        ((1000, 8), Kind.CURVES, ""),
        ((1, 1000), Kind.CURVES, ""),
        ((4, 4), Kind.GREY, ""),
        ((9, 1000), Kind.GREY, ""),
        ((480, 640), Kind.GREY, ""),
        ((480, 640, 1), Kind.GREY, "[:, :, 0]"),
        ((480, 640, 3), Kind.COLOUR, ""),
        ((480, 640, 4), Kind.COLOUR, ""),
        ((3, 480, 640), Kind.COLOUR, ""),
        ((1, 480, 640, 3), Kind.COLOUR, "[0, :, :, :]"),
        ((10, 480, 640, 3), Kind.COLOUR, "[5, :, :, :]"),
        ((10, 3, 480, 640), Kind.COLOUR, "[5, :, :, :]"),
        ((64, 480, 640), Kind.GREY, "[32, :, :]"),
        ((480, 640, 30), Kind.GREY, "[:, :, 15]"),
        ((480, 640, 2), Kind.GREY, "[:, :, 1]"),
        ((9, 8, 7, 480, 640), Kind.GREY, "[4, 4, 3, :, :]"),
        ((1, 1, 1000), Kind.CURVES, "[0, :, :]"),
        ((1, 1, 1), Kind.GREY, "[0, :, :]"),
    ],
)
def test_which_part_is_shown(shape: tuple[int, ...], kind: Kind, part: str) -> None:
    choice = choose(shape)
    assert (choice.kind, str(choice)) == (kind, part)
    shown = show(np.zeros(shape), "")
    assert shown.numbers.ndim == {Kind.VALUE: len(shape), Kind.CURVES: 2, Kind.GREY: 2, Kind.COLOUR: 3}[kind]


def test_channels_come_last() -> None:
    image = RNG.integers(0, 255, (20, 30, 3), np.uint8)
    assert np.array_equal(show(np.moveaxis(image, 2, 0), "").numbers, image)
    assert np.array_equal(show(image, "").numbers, image)


# Which pixels


def pixels(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Read back from the PNG."""
    data, _ = show(array, "").save()
    return np.asarray(Image.open(io.BytesIO(data)))


NUMBERS = [*"?bBhHiIlLqQefdgFDG", ">f4", ">i2", ">c16", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4]


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_every_dtype_of_numbers_goes_from_black_to_white(dtype: Any) -> None:
    high = 7 if dtype is ml_dtypes.int4 else 100
    array = (RAMP * high).astype(dtype)
    seen = pixels(array)
    assert seen.dtype == np.uint8
    assert (seen[0, 0], seen[-1, -1]) == (0, 255)
    assert (np.diff(seen.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("scale", [1e-300, 1, 1e300])
def test_the_unit_does_not_matter(scale: float) -> None:
    assert np.array_equal(pixels(RAMP * scale), pixels(RAMP))
    assert np.array_equal(pixels((RAMP - 0.5) * scale), pixels(RAMP))


def test_the_largest_range_that_there_is() -> None:
    seen = pixels((RAMP * 2 - 1) * np.finfo(float).max)
    assert (seen[0, 0], seen[-1, -1]) == (0, 255)


def test_a_few_wild_elements_do_not_blacken_the_rest() -> None:
    wild = RAMP.copy()
    wild[3, 3], wild[5, 5] = 1e9, -1e9
    seen, note = scale_grey(wild)
    assert (seen[3, 3], seen[5, 5]) == (255, 0)
    assert np.abs(seen.astype(int) - scale_grey(RAMP)[0])[8:].max() <= 5
    assert re.fullmatch(r"black \S+, white \S+", note)


def test_few_elements_on_a_ground_of_zeros_are_seen() -> None:
    array = np.zeros((100, 100))
    array[50, 50] = 3
    seen = pixels(array)
    assert (seen[50, 50], seen[0, 0]) == (255, 0)


def test_what_is_not_finite() -> None:
    array = RAMP.copy()
    array[0, :3] = np.nan, np.inf, -np.inf
    seen = pixels(array)
    assert seen[0, 0].tolist() == [160, 0, 90]
    assert seen[0, 1].tolist() == [255] * 3
    assert seen[0, 2].tolist() == [0] * 3
    assert seen[-1, -1].tolist() == [255] * 3
    for nothing in (np.nan, np.inf, -np.inf):
        assert pixels(np.full((9, 9), nothing)).shape[:2] == (9, 9)


def test_a_constant_is_grey() -> None:
    assert set(pixels(np.full((9, 9), 7)).ravel()) == {128}


def test_what_is_masked_is_shown_as_nan() -> None:
    masked = np.ma.masked_less((RAMP * 100).astype(int), 50)
    assert pixels(masked)[0, 0].tolist() == [160, 0, 90]
    assert "masked as NaN, 50 … 100" in show(masked, "").describe()


def test_colours_are_as_they_were() -> None:
    image = RNG.integers(0, 255, (20, 30, 3), np.uint8)
    assert np.array_equal(pixels(image), image)
    assert np.array_equal(pixels(image / 255), image)
    assert np.array_equal(pixels((image / 255).astype(np.float32)), image)
    assert set(pixels(image > 100).ravel()) == {0, 255}


def test_other_colours_are_stretched() -> None:
    deep = RNG.integers(0, 4096, (20, 30, 3), np.uint16)
    seen, _ = scale_colour(deep)
    assert (seen.min(), seen.max()) == (0, 255)
    assert pixels(np.dstack([deep, np.full((20, 30), 65535, np.uint16)])).shape == (20, 30, 3)
    nan = np.where(RNG.random((20, 30, 3)) < 0.1, np.nan, RNG.random((20, 30, 3)))
    assert pixels(nan)[np.isnan(nan)].max() == 0


def test_transparency_is_saved() -> None:
    image = np.full((4, 4, 4), 255, np.uint8)
    image[:, :2, 3] = 0
    assert np.array_equal(pixels(image), image)


# What is said


def test_the_caption() -> None:
    array = np.array([[1.5, np.nan], [np.inf, 1e-7]])
    assert show(array, "").describe() == "float64[2,2]  1e-07 … 1.5, 1 NaN, 1 inf"
    assert show({"a": {"b": array[:1, :1] * 1j}}, "").describe() == "a.b  complex128[1,1]  magnitude, 1.5 … 1.5"
    volume = np.zeros((5, 20, 30), np.int8)
    assert show(volume, "").describe("black 0, white 1") == "int8[5,20,30] at [2, :, :]  0 … 0, black 0, white 1"
    assert show(np.zeros((0, 3)), "").describe() == "float64[0,3]"


def test_a_large_array_is_summarized_by_a_part_of_it() -> None:
    summary = summarize(np.zeros((4000, 4000), np.uint8))
    assert not summary.exact
    assert str(summary) == "about 0 … 0"


def test_times_are_shown_as_numbers() -> None:
    days = np.array(["1970-01-03", "NaT", "1970-01-11"], "M8[D]")
    assert show(days, "").describe() == "datetime64[D][3]  in steps of D since 1970, 2 … 10, 1 NaN"
    assert "in steps of 5 ms," in show(np.arange(3).astype("m8[5ms]"), "").describe()


@pytest.mark.parametrize(
    ("payload", "path", "expected"),
    [
        (np.array(["a"]), "", "U1 is no number"),
        (np.array([b"a"]), "", "S1 is no number"),
        (np.zeros(3, "V4"), "", "V4 is no number"),
        (np.zeros(3, "f4,f8"), "", "struct(f0, f1) is no number; choose a field with --path"),
        ({"a": 1}, "", "no array in {a: int}"),
        ({"a": np.zeros(3), "\x1b": np.zeros(3)}, "b", "no array at 'b'; there are: a, ?"),
        (None, "", "no array in NoneType"),
    ],
)
def test_what_cannot_be_shown(payload: Any, path: str, expected: str) -> None:
    with pytest.raises(NothingToShow) as caught:
        show(payload, path)
    assert str(caught.value) == expected


def test_a_field_can_be_chosen() -> None:
    assert show(np.zeros(30, "f4,f8"), "f1").kind is Kind.CURVES


def test_numbers_are_not_copied_where_they_are_numbers() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    assert np.shares_memory(as_numbers(image)[0], image)
    assert np.shares_memory(show(image, "").numbers, image)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs NumPy 2")
def test_texts_of_any_length() -> None:
    with pytest.raises(NothingToShow, match="StringDType is no number"):
        show(np.array(["a"], np.dtypes.StringDType()), "")
