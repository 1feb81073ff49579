"""Ctrl-C, a peer that dies, a disk that is full: no half-written file, and the other side goes on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import PROGRAM, Receiver, posix, receiver, run, sender, small_fixture, wait_until  # noqa: F401

pytestmark = posix

SLOWLY = ["--split", "--rate", "20"]  # long.npy would take far longer than any test


@pytest.fixture
def long(tmp_path: Path) -> Path:
    path = tmp_path / "long.npy"
    np.save(path, np.random.default_rng(1).integers(0, 255, (4000, 100, 100), np.uint8))
    return path


def amid(recv: Receiver) -> bool:
    """Whether frames have been written, and the file is not whole."""
    return any(name.endswith(".part") and os.path.getsize(recv.folder / name) > 10_000 for name in recv.names())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_sender_that_is_stopped_takes_leave(tmp_path: Path, long: Path, number: signal.Signals) -> None:
    with receiver(tmp_path) as recv, sender(tmp_path, "--connect", recv.address, *SLOWLY, long) as send:
        wait_until(lambda: amid(recv))
        send.process.send_signal(number)
        assert send.wait() == 128 + number
        assert recv.wait() == 1
    assert recv.files == {"long.npy": "failed"}
    assert recv.names() == []
    assert recv.events()[-1]["exit"] == 1
    assert send.events()[-1]["exit"] == 128 + number


def test_other_senders_go_on_when_one_is_stopped(tmp_path: Path, long: Path, small: Path) -> None:
    with receiver(tmp_path, "--count", "2") as recv:
        with sender(tmp_path, "--connect", recv.address, *SLOWLY, long) as send:
            wait_until(lambda: amid(recv))
            send.process.send_signal(signal.SIGINT)
            assert send.wait() == 130
        assert run("send", "--connect", recv.address, "--verify", small).returncode == 0
        assert recv.wait() == 1
    assert recv.files == {"long.npy": "failed", "small.npy": "verified"}
    assert recv.names() == ["small.npy"]


def test_a_receiver_that_is_stopped_leaves_nothing_behind(tmp_path: Path, long: Path) -> None:
    with receiver(tmp_path) as recv, sender(tmp_path, "--connect", recv.address, *SLOWLY, long) as send:
        wait_until(lambda: amid(recv))
        recv.process.send_signal(signal.SIGINT)
        assert recv.wait() == 130
        assert send.wait() == 1
    assert recv.names() == []
    assert send.files == {"long.npy": "failed"}
    (said,) = send.stderr.splitlines()
    assert "broke off" in said


@pytest.mark.parametrize("module", ["nptransport", "numpy", "zmq", "click", "nptransport.cli.commands.recv"])
def test_ctrl_c_while_the_program_is_being_imported(tmp_path: Path, module: str) -> None:
    """``module`` is where it meets."""
    code = f"""
import os, signal, sys, nptransport_command
class Finder:
    def find_spec(name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
sys.exit(nptransport_command.main())
"""
    done = run("recv", "--bind", "tcp://127.0.0.1:*", "--out", tmp_path, program=[sys.executable, "-c", code])
    assert done.returncode == 130
    assert done.stderr.strip() in ("", "nptransport: interrupted")


def test_a_receiver_that_is_stopped_while_it_waits(tmp_path: Path) -> None:
    with receiver(tmp_path) as recv:
        recv.process.send_signal(signal.SIGINT)
        assert recv.wait() == 130
    assert recv.stderr == ""


def test_a_sender_that_is_stopped_while_it_waits(tmp_path: Path, small: Path) -> None:
    with sender(tmp_path, "--bind", "tcp://127.0.0.1:*", small) as send:
        send.event("listening")
        send.process.send_signal(signal.SIGINT)
        assert send.wait() == 130
    assert send.files == {}


def test_a_sender_that_dies_is_given_up_after_the_timeout(tmp_path: Path, long: Path) -> None:
    with (
        receiver(tmp_path, "--timeout", "4") as recv,
        sender(tmp_path, "--connect", recv.address, *SLOWLY, long) as send,
    ):
        wait_until(lambda: amid(recv))
        send.process.kill()
        assert recv.wait() == 3
    assert recv.files == {"long.npy": "failed"}
    assert recv.names() == []
    assert "nothing came for 4 s" in recv.stderr


def test_a_receiver_that_dies_is_noticed(tmp_path: Path, long: Path) -> None:
    with receiver(tmp_path) as recv, sender(tmp_path, "--connect", recv.address, *SLOWLY, long) as send:
        wait_until(lambda: amid(recv))
        recv.process.kill()
        assert send.wait() == 1
    assert "broke off" in send.stderr


def test_what_a_receiver_leaves_that_is_killed_is_swept_by_the_next(tmp_path: Path, long: Path) -> None:
    with receiver(tmp_path) as recv, sender(tmp_path, "--connect", recv.address, *SLOWLY, long) as send:
        again = ["recv", "--bind", "tcp://127.0.0.1:*", "--out", recv.folder, "--timeout", "0.1"]
        wait_until(lambda: amid(recv))
        assert "removed" not in run(*again).stderr
        (left,) = recv.names()  # what somebody is writing stays
        recv.process.kill()
        assert send.wait() == 1
    others = sorted([".long.npy.part", ".other.part", left[1:]])
    for name in others:
        (recv.folder / name).touch()
    assert f"removed {left}, left by a recv that was killed" in run(*again).stderr
    assert recv.names() == others


def test_a_file_that_does_not_fit_is_removed_and_the_others_are_written(
    tmp_path: Path, long: Path, small: Path
) -> None:
    limited = ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash", *PROGRAM]  # no file over 100 KiB
    with receiver(tmp_path, program=limited) as recv:
        sent = run("send", "--connect", recv.address, "--verify", "--split", long, small)
        assert sent.returncode == 0, sent.stderr
        assert recv.wait() == 1
    assert recv.files == {"long.npy": "failed", "small.npy": "verified"}
    assert recv.names() == ["small.npy"]
    assert recv.events()[1]["reason"] == f"{recv.folder}: {os.strerror(errno.EFBIG)}"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("options", [[], ["--split"]], ids=["whole", "split"])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_a_full_disk(tmp_path: Path, full_disk: Path, small: Path, options: list[str], kind: str) -> None:
    large = tmp_path / f"large.{kind}"
    data = np.random.default_rng(1).integers(0, 255, (300, 100, 100), np.uint8)
    if kind == "npy":
        np.save(large, data)
    else:
        np.savez(large, data=data)
    with receiver(tmp_path, out=full_disk) as recv:
        assert run("send", "--connect", recv.address, "--verify", *options, large, small).returncode == 0
        assert recv.wait() == 1
    assert recv.files == {large.name: "failed", "small.npy": "verified"}
    assert recv.events()[1]["reason"] == f"{full_disk}: No space left on device"
    assert recv.names() == ["small.npy"]
    assert recv.stderr == ""
