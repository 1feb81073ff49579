"""A payload in a few words, and the arrays inside it by their path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rich")

from nptransport.cli.watch.outline import arrays_in, find_array, outline

IMAGE = np.zeros((480, 640, 3), np.uint8)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (IMAGE, "uint8[480,640,3]"),
        (np.float64(1), "float64[]"),
        (np.zeros(0, ">f4"), "big-endian float32[0]"),
        (np.zeros(2, "M8[ms]"), "datetime64[ms][2]"),
        (np.array(["abc"]), "U3[1]"),
        (np.array([b"abc"]), "S3[1]"),
        (np.zeros(1, [("x", "f4"), ("y", "f4")]), "struct(x, y)[1]"),
        ({"left": IMAGE, "t": np.float64(1)}, "{left: uint8[480,640,3], t: float64[]}"),
        ([1, "a", None], "[int, str, NoneType]"),
        ((IMAGE, [IMAGE]), "(uint8[480,640,3], [uint8[480,640,3]])"),
        ({f"k{number}": 1 for number in range(9)}, "{k0: int, k1: int, k2: int, k3: int, … 5 more}"),
        ({"a": {"b": {"c": {"d": 1}}}}, "{a: {b: {c: {…}}}}"),
        ({"\x1b[2J": 1}, "{?[2J: int}"),
        ({"k" * 100: 1}, "{" + "k" * 23 + "…: int}"),
        ({}, "{}"),
        (b"abc", "bytes"),
    ],
)
def test_outline(payload: Any, expected: str) -> None:
    assert outline(payload) == expected


def test_arrays_by_their_path() -> None:
    nest = {
        "t": np.float64(1),
        "frames": [{"left": IMAGE}, {"left": IMAGE[:1]}],
        "n": 3,
        "points": np.zeros(2, "f4,f4"),
    }
    assert [path for path, _ in arrays_in(nest)] == ["t", "frames[0].left", "frames[1].left", "points"]
    assert find_array(nest, "")[0] == "frames[0].left"  # rather than a mere number
    assert find_array(nest, "t")[0] == "t"
    assert find_array(nest, "frames[1]")[1].shape == (1, 640, 3)
    assert find_array(nest, "points.f1")[1].dtype == np.float32
    assert find_array(IMAGE, "") == ("", IMAGE)
    assert find_array({"t": np.float64(1)}, "")[0] == "t"
    with pytest.raises(LookupError, match=r"no array at 'right'; there are: t, frames\[0\]\.left"):
        find_array(nest, "right")
    with pytest.raises(LookupError, match=r"no array in \{n: int\}"):
        find_array({"n": 1}, "")
