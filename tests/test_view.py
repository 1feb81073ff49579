"""``nptransport view`` as people run it, on live streams."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import PATIENCE, PROGRAM, posix, run, run_here, wait_until
from publishing import publishing
from test_cli_errors import complaint, without

pytest.importorskip("rich")
Image = pytest.importorskip("PIL.Image")
pytest.importorskip("plotille")

NOWHERE = "tcp://127.0.0.1:9"
COLOURS = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
NEST = {"camera": {"frame": {"left": COLOURS, "depth": np.linspace(0, 5, 48 * 64).reshape(48, 64)}, "t": 1.0}}


def is_a_caption(line: str, *parts: str) -> bool:
    return all(part in line for part in parts) and re.search(r"(sent|came) \d+\.\d s ago", line) is not None


def read(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_once() -> None:
    with publishing(NEST) as address:
        done = run("view", address, "--topic", "camera", "--once")
    assert done.returncode == 0, done.stderr
    *picture, caption = done.stdout.splitlines()
    assert is_a_caption(caption, "camera  frame.left  uint8[48,64,3]  ")
    assert any("⠀" < letter <= "⣿" for line in picture for letter in line)


def test_a_plot_of_a_curve() -> None:
    with publishing({"scan": np.sin(np.linspace(0, 9, 500))}) as address:
        done = run_here("view", address, "--once")
    assert done.returncode == 0, done.stderr
    assert "(index)" in done.stdout
    assert is_a_caption(done.stdout.splitlines()[-1], "scan  float64[500]  -0.9")


def test_a_png_of_what_was_sent(tmp_path: Path) -> None:
    with publishing(NEST) as address:
        done = run_here("view", address, "--topic", "camera", "--save", tmp_path / "left.png")
        assert done.returncode == 0, done.stderr
        assert is_a_caption(done.stdout, f"{tmp_path / 'left.png'}: camera  frame.left  uint8[48,64,3]  ")
        assert np.array_equal(read(tmp_path / "left.png"), COLOURS)
        done = run_here("view", address, "--path", "frame.depth", "--save", tmp_path / "depth.png")
        assert is_a_caption(done.stdout, "frame.depth  float64[48,64]  0 … 5")
    depth = read(tmp_path / "depth.png")
    assert (depth.shape, depth[0, 0], depth[-1, -1]) == ((48, 64), 0, 255)


def test_a_png_of_a_curve(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with publishing({"scan": np.sin(np.linspace(0, 9, 500))}) as address:
        assert run_here("view", address, "--save", tmp_path / "scan.png").returncode == 0
    assert read(tmp_path / "scan.png").shape[1] > 500


def test_the_very_topic_comes_before_those_that_begin_so() -> None:
    with publishing({"cam/left": np.zeros(3), "cam": np.zeros(5)}) as address:
        exact = run_here("view", address, "--topic", "cam", "--once")
        prefix = run_here("view", address, "--topic", "cam/", "--once")
    assert is_a_caption(exact.stdout.splitlines()[-1], "cam  float64[5]")
    assert is_a_caption(prefix.stdout.splitlines()[-1], "cam/left  float64[3]")


@posix
def test_where_there_is_no_terminal_there_are_captions() -> None:
    with publishing(NEST) as address:
        view = subprocess.Popen([*PROGRAM, "view", address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            lines = [view.stdout.readline() for _ in range(2)]
            view.send_signal(signal.SIGINT)
            _, stderr = view.communicate(timeout=PATIENCE)
        finally:
            view.kill()
    assert (view.returncode, stderr) == (130, "")
    assert all(is_a_caption(line, "camera  frame.left  ") for line in lines)


# What goes wrong


@pytest.mark.parametrize(
    ("payload", "options", "expected"),
    [
        (NEST["camera"], ["--path", "right"], "t: no array at 'right'; there are: frame.left, frame.depth"),
        ({"a": 1}, [], "t: no array in {a: int}"),
        (np.array(["text"]), [], "t: U4 is no number"),
        (np.zeros((0, 3)), ["--save", "a.png"], "t: float64[0,3] makes no picture"),
    ],
)
def test_what_cannot_be_shown(
    payload: Any, options: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with publishing({"t": payload}) as address:
        assert complaint("view", address, "--once", *options, code=1) == expected
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "give --bind ADDRESS or --connect ADDRESS"),
        ([NOWHERE, "--save", "a.jpg"], "--save a.jpg: writes PNG, give it a name that ends in .png"),
        ([NOWHERE, "--save", "/no/such/a.png"], "--save /no/such/a.png: no such folder"),
        ([NOWHERE, "--save", "/"], "--save"),
    ],
)
def test_wrong_usage(options: list[str], expected: str) -> None:
    assert expected in complaint("view", *options)


def test_nothing_comes() -> None:
    said = complaint("view", NOWHERE, "--topic", "a", "--once", "--timeout", "0.3", code=3)
    assert said == "tcp://127.0.0.1:9, topic 'a': nothing came for 0.3 s"


@pytest.mark.parametrize(("module", "package"), [("PIL", "pillow"), ("plotille", "plotille")])
def test_without_its_packages(module: str, package: str) -> None:
    said = complaint("view", NOWHERE, program=without(module))
    assert said == f"view needs {package}: pip install 'nptransport[view]'"


def test_a_plot_as_png_without_its_package(tmp_path: Path) -> None:
    with publishing({"a": np.zeros(9)}) as address:
        said = complaint("view", address, "--save", tmp_path / "a.png", program=without("matplotlib.figure"))
        assert said == "a plot as PNG needs matplotlib: pip install 'nptransport[view]'"
        assert run("view", address, "--once", program=without("matplotlib")).returncode == 0


# On a terminal


@posix
def test_a_live_picture_follows_the_stream_and_the_terminal() -> None:
    from terminal import terminal

    payloads: dict[str, Any] = {"camera": np.full((40, 40, 3), (255, 0, 0), np.uint8)}
    with publishing(payloads) as address, terminal(*PROGRAM, "view", address, columns=80, rows=24) as screen:

        def rows() -> int:
            return sum(line.startswith("▀▀▀") for line in screen.lines)

        wait_until(lambda: rows() == 20 and "ff0000" in screen.backgrounds)
        wait_until(lambda: is_a_caption(screen.text, "camera  uint8[40,40,3]  0 … 255", "[q]uit"))
        payloads["camera"] = np.full((40, 40, 3), (0, 0, 255), np.uint8)
        wait_until(lambda: "0000ff" in screen.backgrounds and "ff0000" not in screen.backgrounds)
        screen.resize(100, 12)
        wait_until(lambda: rows() == 10)
        payloads["camera"] = "no array"
        wait_until(lambda: "camera  no array in str" in screen.text)
        payloads["camera"] = np.zeros(100)
        wait_until(lambda: "(index)" in screen.text)
        screen.type("q")
        assert screen.wait() == 0
        assert screen.is_as_before


@posix
def test_a_terminal_without_colours_gets_dots() -> None:
    from terminal import terminal

    with publishing(NEST) as address, terminal(*PROGRAM, "view", address, NO_COLOR="1") as screen:
        wait_until(lambda: any("⠀" < letter <= "⣿" for letter in screen.text))
        assert screen.backgrounds == {"default"}
        screen.interrupt()
        assert screen.wait() == 128 + signal.SIGINT
        assert screen.is_as_before
