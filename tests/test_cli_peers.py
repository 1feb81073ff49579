"""Nothing that a peer says makes ``nptransport recv`` write where it must not, or leave half a file, or stop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from command_line import Receiver, receiver, run, wait_until

import nptransport as npt

pytest.importorskip("rich")

from nptransport.cli.report import Outcome, Report
from nptransport.cli.transfer.receiving import Receiving

LIKE = np.empty(0, np.float64)
DATA = np.arange(12.0).reshape(3, 4)


def begin(files: int = 1) -> dict[str, Any]:
    return {"word": "begin", "version": 1, "files": files, "bytes": None}


def array(file: str, member: str = "", shape: tuple[Any, ...] = DATA.shape, like: Any = LIKE) -> dict[str, Any]:
    return {"word": "array", "file": file, "member": member, "like": like, "shape": shape, "order": "C"}


def frame(file: str, number: int = 0, data: Any = DATA) -> dict[str, Any]:
    return {"word": "frame", "file": file, "frame": number, "frames": 1, "array": data}


def end(file: str, frames: int = 1, digest: str | None = None) -> dict[str, Any]:
    return {"word": "end", "file": file, "frames": frames, "digest": digest}


def close(file: str) -> dict[str, Any]:
    return {"word": "close", "file": file}


FINISH = {"word": "finish", "stopped": False}


def whole(file: str, member: str = "") -> list[dict[str, Any]]:
    return [array(file, member), frame(file), end(file), close(file)]


class Stage:
    """The receiving half without a socket: words in, files and outcomes out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcomes: list[Outcome] = []
        self.notes: list[str] = []
        report = Report(as_json=True)
        report.done = self.outcomes.append  # type: ignore[method-assign]
        report.note = self.notes.append  # type: ignore[method-assign]
        self.receiving = Receiving(str(folder), report, overwrite=False, verify=False)

    def hear(self, *words: Any) -> None:
        """``words`` of one sender between a beginning and an end; nothing half-written stays."""
        for number, word in enumerate([begin(), *words, FINISH]):
            self.receiving.message(npt.Message(word, None, number, 0.0, "sender", 0))
        assert not self.receiving.active
        assert not [name for name in self.names() if name.endswith(".part")]

    def names(self) -> list[str]:
        return sorted(os.listdir(self.folder))

    @property
    def files(self) -> dict[str, str]:
        return {outcome.file: outcome.status for outcome in self.outcomes}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "out").mkdir()
    return Stage(tmp_path / "out")


@pytest.fixture
def recv(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as running:
        yield running


def say(recv: Receiver, *words: dict[str, Any]) -> int:
    """Say ``words`` between a beginning and an end; the receiver's exit code."""
    with npt.Producer(connect=recv.address) as producer:
        for word in [begin(), *words, FINISH]:
            producer.send(word, timeout=10)
    return recv.wait()


BAD_NAMES = [
    "../escaped.npy",
    "..",
    "/tmp/escaped.npy",
    "sub/escaped.npy",
    "sub\\escaped.npy",
    "C:escaped.npy",
    "escaped.npy\0.txt",
    "escaped\n.npy",
    "\x1b[31mescaped.npy",
    "\u202eescaped.npy",
    ".escaped.npy",
    "-escaped.npy",
    "~escaped.npy",
    " escaped.npy",
    "escaped.npy ",
    "escaped.py",
    "escaped",
    "",
    ".npy",
    "e" * 252 + ".npy",
    "é" * 101 + ".npy",
]


def test_names_that_leave_the_folder_or_mean_something_are_refused(recv: Receiver, tmp_path: Path) -> None:
    words = [word for name in BAD_NAMES for word in whole(name)]
    assert say(recv, *words, *whole("good.npy")) == 1
    assert recv.names() == ["good.npy"]
    statuses = [event["status"] for event in recv.events() if event["event"] == "file"]
    assert statuses == ["failed"] * len(BAD_NAMES) + ["written"]
    assert not list(tmp_path.parent.rglob("*escaped*"))
    assert not Path("/tmp/escaped.npy").exists()
    assert "\x1b" not in recv.stderr


@pytest.mark.parametrize("member", ["../up", "/abs", "a//b", "a\\b", "C:x", "a/../b", "..", "x\0", ""])
def test_names_of_members_that_would_unpack_elsewhere_are_refused(stage: Stage, member: str) -> None:
    stage.hear(*whole("group.npz", member), *whole("good.npy"))
    assert stage.names() == ["good.npy"]
    assert stage.files == {"group.npz": "failed", "good.npy": "written"}


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder, target = tmp_path / "out", tmp_path / "target"
    folder.mkdir()
    os.symlink(target, folder / "a.npy")
    with receiver(tmp_path, out=folder) as recv:
        assert say(recv, *whole("a.npy")) == 1
    assert not target.exists()
    with receiver(tmp_path / "again", "--overwrite", out=folder) as recv:
        assert say(recv, *whole("a.npy")) == 0
    assert not target.exists()
    assert not (folder / "a.npy").is_symlink()


A = "a.npy"
LIES = {
    "a frame is missing": [array(A), frame(A, 1), end(A, 2), close(A)],
    "a frame comes twice": [array(A, shape=(6, 4)), frame(A), frame(A), end(A, 2), close(A)],
    "less than announced": [array(A, shape=(4, 4)), frame(A), end(A), close(A)],
    "more than announced": [array(A, shape=(2, 4)), frame(A), end(A), close(A)],
    "another dtype": [array(A), frame(A, data=DATA.astype(">f8")), end(A), close(A)],
    "another number of frames": [array(A), frame(A), end(A, 2), close(A)],
    "no end": [array(A), frame(A), close(A)],
    "no close": [array(A), frame(A), end(A)],
    "another file between": [array(A), frame(A), *whole("b.npy"), end(A), close(A)],
    "two arrays in one file": [array(A), frame(A), end(A), *whole(A)],
    "a member of an .npy": [array(A, "x"), frame(A), end(A), close(A)],
    "a shape beyond NumPy": [array(A, shape=(0, 2**62, 2**62)), end(A, 0), close(A)],
    "a digest of something else": [array(A), frame(A), end(A, digest="00" * 32), close(A)],
    "the sender gives up": [array(A), frame(A), {"word": "failed", "file": A, "reason": "\x1b[2J" + "no" * 900}],
}


@pytest.mark.parametrize("lie", LIES)
def test_what_does_not_add_up_leaves_no_file(stage: Stage, lie: str) -> None:
    stage.hear(*LIES[lie])
    assert stage.names() == (["b.npy"] if "another file" in lie else [])
    assert stage.files[A] == ("differs" if "digest" in lie else "failed")
    for outcome in stage.outcomes:
        assert outcome.reason.isprintable()
        assert len(outcome.reason) < 300


@pytest.mark.skipif(not hasattr(np, "dtypes") or not hasattr(np.dtypes, "StringDType"), reason="NumPy before 2.0")
def test_a_dtype_that_no_file_can_hold_is_refused(stage: Stage) -> None:
    texts = np.array(["a", "b"], np.dtypes.StringDType())
    stage.hear(array(A, shape=(2,), like=texts[:0]), frame(A, data=texts), end(A), close(A))
    assert "cannot be kept" in stage.outcomes[0].reason
    assert stage.names() == []


def test_the_members_of_a_group_have_names_of_their_own(stage: Stage) -> None:
    group = "g.npz"
    stage.hear(*[array(group, "x"), frame(group), end(group)] * 2, close(group))
    assert stage.files == {group: "failed"}
    assert stage.names() == []


WRONG_FIELDS: list[Any] = [
    None,
    7,
    DATA,
    {"word": 1},
    {"word": "sing"},
    {"word": "begin", "version": 2, "files": 1, "bytes": None},
    {"word": "begin", "version": 1, "files": -1, "bytes": None},
    {"word": "frame", "file": 1, "frame": 0, "frames": 1, "array": DATA},
    {"word": "frame", "file": A, "frame": True, "frames": 1, "array": DATA},
    {"word": "frame", "file": A, "frame": 0, "frames": 1, "array": [1.0]},
    {"word": "array", "file": A, "member": "", "like": LIKE, "shape": [3, 4], "order": "C"},
    {"word": "array", "file": A, "member": "", "like": LIKE, "shape": (3, -4), "order": "C"},
    {"word": "array", "file": A, "member": "", "like": LIKE, "shape": (3, None), "order": "C"},
    {"word": "array", "file": A, "member": "", "like": LIKE, "shape": (None, 4), "order": "F"},
    {"word": "array", "file": A, "member": "", "like": LIKE, "shape": (3, 4), "order": "K"},
    {"word": "array", "file": A, "member": None, "like": LIKE, "shape": (3, 4), "order": "C"},
    {"word": "end", "file": A, "frames": 1, "digest": 5},
    {"word": "close"},
]


@pytest.mark.parametrize("wrong", WRONG_FIELDS, ids=[f"{number}" for number in range(len(WRONG_FIELDS))])
def test_what_is_no_word_is_described_and_changes_nothing(stage: Stage, wrong: Any) -> None:
    stage.hear(array(A), wrong, frame(A), end(A), close(A))
    assert stage.files == {A: "written"}
    (note,) = stage.notes
    assert note.startswith("skipped a message: ")
    assert stage.receiving.refused == 1


def test_what_is_no_word_is_counted(recv: Receiver) -> None:
    assert say(recv, *WRONG_FIELDS, *whole("good.npy")) == 0
    assert recv.names() == ["good.npy"]
    assert recv.events()[-1]["refused"] == len(WRONG_FIELDS)
    assert recv.stderr.count("skipped a message: ") == 3


def test_junk_from_a_socket_is_counted_and_described(recv: Receiver, tmp_path: Path) -> None:
    context = zmq.Context()
    with context.socket(zmq.PUSH) as socket:
        socket.linger = 0
        socket.connect(recv.address)
        junk: list[list[bytes]] = [[b""], [b"junk"], [b"\x00" * 100, b"more"], [os.urandom(1000)], *[[b"\x81"]] * 20]
        for parts in junk:
            socket.send_multipart(parts)
        wait_until(lambda: "only counted" in recv.stderr)
        np.save(tmp_path / "good.npy", DATA)
        assert run("send", "--connect", recv.address, "--verify", tmp_path / "good.npy").returncode == 0
        socket.close()
    context.term()
    assert recv.wait() == 0
    assert recv.files == {"good.npy": "verified"}
    assert recv.events()[-1]["malformed"] == len(junk)
    assert "skipped a message: " in recv.stderr


def test_a_sender_that_goes_between_two_files_is_mentioned(recv: Receiver) -> None:
    with npt.Producer(connect=recv.address) as producer:
        for word in [begin(files=2), *whole("a.npy"), {"word": "finish", "stopped": True}]:
            producer.send(word, timeout=10)
    assert recv.wait() == 1
    assert recv.files == {"a.npy": "written"}
    assert recv.stderr == "not all files of a sender came: its sender was stopped\n"


def test_frames_of_a_sender_that_began_before_are_not_taken_for_a_file(tmp_path: Path) -> None:
    with receiver(tmp_path, "--timeout", "1") as recv:
        with npt.Producer(connect=recv.address) as producer:
            producer.send(frame(A), timeout=10)
            producer.send(FINISH, timeout=10)
        assert recv.wait() == 3
        assert recv.names() == []
        assert "whose beginning was not seen" in recv.stderr
