"""``nptransport top`` as people run it, on live streams."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from command_line import PATIENCE, PROGRAM, Running, events, posix, run, run_here, wait_until
from publishing import publishing

import nptransport as npt

pytest.importorskip("rich")

IMAGE = np.zeros((48, 64, 3), np.uint8)
TWO = {"camera/left": IMAGE, "state": {"joints": np.zeros(6), "t": 1.0}}


def streams(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {stream["topic"]: stream for stream in event["streams"]}


def test_one_reading_as_json() -> None:
    with publishing(TWO) as address:
        done = run("top", address, "--once", "--interval", "0.5", "--json")
    assert done.returncode == 0, done.stderr
    (event,) = events(done.stdout)
    assert (event["event"], event["connections"], event["malformed"]) == ("top", 1, 0)
    image, state = streams(event)["camera/left"], streams(event)["state"]
    assert (image["dtype"], image["shape"], image["payload"]) == ("uint8", [48, 64, 3], "uint8[48,64,3]")
    assert (state["dtype"], state["shape"], state["payload"]) == (None, None, "{joints: float64[6], t: float}")
    for stream in (image, state):
        assert stream["received"] > 1
        assert (stream["missed"], stream["skipped"], stream["stale"]) == (0, 0, 0)
        assert stream["messages_per_s"] > 0
        assert 0 <= stream["latency_median_s"] <= stream["latency_p99_s"]
        assert stream["source"]
    assert image["bytes_per_s"] > image["messages_per_s"] * IMAGE.nbytes


def test_one_reading_as_lines() -> None:
    with publishing(TWO) as address:
        done = run_here("top", "--connect", address, "--once", "--interval", "0.2")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("camera/left  uint8[48,64,3]  ")
    assert second.startswith("state  {joints: float64[6], t: float}  ")
    assert "msg/s" in first
    assert "\x1b" not in done.stdout


def test_a_filter_and_an_order() -> None:
    payloads = {"a/small": np.zeros(1), "a/large": IMAGE, "b": IMAGE}
    with publishing(payloads) as address:
        done = run_here("top", address, "--topic", "a/", "--sort", "bandwidth", "--once", "--interval", "0.3", "--json")
    (event,) = events(done.stdout)
    assert [stream["topic"] for stream in event["streams"]] == ["a/large", "a/small"]


@posix
def test_it_goes_on_until_ctrl_c_and_a_silent_topic_stays(tmp_path: Path) -> None:
    payloads = dict(TWO)
    with publishing(payloads) as address, Running(tmp_path, "top", address, "--interval", "0.1") as top:
        wait_until(lambda: any(len(event["streams"]) == 2 for event in top.events()))
        del payloads["state"]
        silent = wait_until(
            lambda: next((event for event in top.events() if streams(event)["state"]["age_s"] > 1), None)
        )
        assert streams(silent)["camera/left"]["age_s"] < streams(silent)["state"]["age_s"]
        top.process.send_signal(signal.SIGINT)
        assert top.wait() == 130


def test_nothing_comes() -> None:
    done = run_here("top", "tcp://127.0.0.1:9", "--once", "--timeout", "0.3")
    assert done.returncode == 3
    assert done.stderr == "nptransport: tcp://127.0.0.1:9: nothing came for 0.3 s\n"
    assert done.stdout == ""


def test_it_says_what_it_waits_for() -> None:
    done = run_here("top", "tcp://127.0.0.1:9", "--topic", "x", "--timeout", "1.5")
    waiting, ended = done.stderr.splitlines()
    assert waiting == "waiting for a message at tcp://127.0.0.1:9, topic 'x': 0 publishers connected"
    assert ended.endswith("nothing came for 1.5 s")


def test_publishers_may_connect(tmp_path: Path) -> None:
    options = ["--once", "--interval", "0.1"]
    with (
        Running(tmp_path, "top", "--bind", "tcp://127.0.0.1:*", *options) as top,
        publishing({"a": IMAGE}, connect=top.event("listening")["address"]),
    ):
        assert top.wait() == 0
    assert top.event("top")["streams"][0]["topic"] == "a"


def test_junk_between_good_messages_is_counted() -> None:
    context = zmq.Context()
    junk = context.socket(zmq.XPUB)
    port = junk.bind_to_random_port("tcp://127.0.0.1")
    try:
        with publishing({"a": IMAGE}) as address:
            command = [*PROGRAM, "top", address, f"tcp://127.0.0.1:{port}", "--json", "--interval", "0.1"]
            top = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                assert junk.poll(PATIENCE * 1000)  # it has subscribed
                for _ in range(5):
                    junk.send_multipart([b"a", b"junk"])
                for line in top.stdout:
                    (event,) = events(line)
                    if event["malformed"] >= 5 and event["streams"]:
                        break
                assert event["streams"][0]["payload"] == "uint8[48,64,3]"
            finally:
                top.kill()
                top.communicate()
    finally:
        context.destroy(linger=0)


@posix
def test_a_top_that_stands_still_holds_nobody_up_and_says_what_it_missed(tmp_path: Path) -> None:
    frame, sent = np.zeros(20_000, np.uint8), 10
    with (
        npt.Publisher(bind="tcp://127.0.0.1:*") as publisher,
        npt.Subscriber(connect=publisher.addresses[0]) as other,
        Running(tmp_path, "top", publisher.addresses[0], "--interval", "0.1") as top,
    ):

        def counted() -> tuple[int, int]:
            stream = top.events()[-1]["streams"][0] if top.events() else {"received": 0, "missed": 0}
            return stream["received"], stream["missed"]

        publisher.wait_for_subscribers(2, timeout=PATIENCE)
        for _ in range(sent):
            publisher.send(frame, topic="a")
            other.recv(timeout=PATIENCE)
        wait_until(lambda: counted() == (sent, 0))
        top.process.send_signal(signal.SIGSTOP)
        for _ in range(5000):  # far more than may wait
            publisher.send(frame, topic="a")
            other.recv(timeout=PATIENCE)
            sent += 1
        top.process.send_signal(signal.SIGCONT)
        wait_until(lambda: sum(counted()) == sent)
        assert counted()[1] > 0
        assert other.statistics().missed == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["top"], "give --bind ADDRESS or --connect ADDRESS"),
        (["top", "tcp://127.0.0.1"], "tcp://127.0.0.1: expected tcp://HOST:PORT"),
        (["top", "inproc://a"], "inproc://a: reaches no other process"),
        (["top", "tcp://127.0.0.1:9", "--sort", "beauty"], "--sort"),
        (["top", "tcp://127.0.0.1:9", "--interval", "0"], "--interval"),
    ],
)
def test_wrong_usage(arguments: list[str], expected: str) -> None:
    done = run_here(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


# On a terminal


@posix
def test_a_live_table_and_its_keys() -> None:
    from terminal import terminal

    payloads = {"b/large": IMAGE, "a/small": np.zeros(1)}
    with publishing(payloads) as address, terminal(*PROGRAM, "top", address, "--interval", "0.2") as screen:

        def topics() -> list[str]:
            return [line.split()[0] for line in screen.lines if "float64[1]" in line or "uint8[48,64,3]" in line]

        wait_until(lambda: topics() == ["a/small", "b/large"])
        assert f"{address}: 1 publisher, 2 streams" in screen.text
        assert "[q]uit" in screen.text
        assert not screen.is_as_before
        screen.type("\x1ab")  # Ctrl-Z does nothing
        wait_until(lambda: topics() == ["b/large", "a/small"])
        screen.type("t")
        wait_until(lambda: topics() == ["a/small", "b/large"])
        screen.resize(100, 7)  # room for one row
        wait_until(lambda: topics() == ["a/small"] and "… and 1 more" in screen.text)
        screen.type("q")
        assert screen.wait() == 0
        assert screen.is_as_before


@posix
def test_ctrl_c_gives_the_terminal_back() -> None:
    from terminal import terminal

    with publishing(TWO) as address, terminal(*PROGRAM, "top", address) as screen:
        wait_until(lambda: "camera/left" in screen.text)
        screen.interrupt()
        assert screen.wait() == 130
        assert screen.is_as_before


@posix
def test_a_terminal_that_has_gone_is_no_reason_to_stay() -> None:
    from terminal import terminal

    with terminal(*PROGRAM, "top", "tcp://127.0.0.1:9") as screen:
        wait_until(lambda: "waiting for a message" in screen.text)
        screen.process.send_signal(signal.SIGHUP)
        assert screen.wait() == 128 + signal.SIGHUP
        assert screen.is_as_before
