"""Whatever is wrong on a command line: one line that says what, where and what to do, and an exit code."""

from __future__ import annotations

import os
import re
import socket
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from command_line import PROGRAM, receiver, run, run_here

import nptransport as npt

COMMANDS = ["send", "recv", "top", "view", "proxy", "broker", "worker", "workers", "keygen", "doctor", "bench", "demo"]
NOWHERE = ["--connect", "tcp://127.0.0.1:9"]


def complaint(*arguments: str | Path, code: int = 2, program: Sequence[str] | None = None) -> str:
    """The one line on stderr of a command that has to end with ``code``: in a process if ``program`` is given."""
    done = run(*arguments, program=program) if program else run_here(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("nptransport: ")
    return line.removeprefix("nptransport: ")


def test_the_help_lists_the_commands_and_the_exit_codes() -> None:
    for arguments in (["--help"], ["-h"]):
        done = run_here(*arguments)
        assert done.returncode == 0
        assert re.findall(r"^  (\w+)  ", done.stdout, re.MULTILINE) == COMMANDS
        assert "demo-" not in done.stdout
        assert "130 Ctrl-C" in done.stdout
    assert run_here().returncode == 2
    assert run_here("--version").stdout == f"nptransport {npt.__version__}\n"
    for command in COMMANDS:
        assert run_here(command, "--help").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        ([], 2),
        (["sing"], 2),
        (["send", "missing.npy", *NOWHERE], 2),
        (["recv", "--bind", "http://127.0.0.1:80", "--out", "out"], 2),
        (["recv", *NOWHERE, "--out", "out", "--timeout", "0.1"], 3),
    ],
)
def test_a_process_ends_as_a_run_in_this_one_does(
    arguments: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    process, here = run(*arguments), run_here(*arguments)
    assert process.returncode == here.returncode == code
    assert (process.stdout, process.stderr) == (here.stdout, here.stderr)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sing"], "No such command 'sing'. (see nptransport --help)"),
        (["send", "--connect", "tcp://127.0.0.1:9"], "Missing argument 'FILE...'"),
        (["send", "a.npy", *NOWHERE, "--loud"], "No such option"),
        (["send", "a.npy", *NOWHERE, "--timeout", "soon"], "--timeout"),
        (["send", "a.npy"], "give --bind ADDRESS or --connect ADDRESS"),
        (["recv", "--out", "out"], "give --bind ADDRESS or --connect ADDRESS"),
        (["recv", "--bind", "tcp://127.0.0.1:*"], "--out"),
        (["recv", "--bind", "tcp://127.0.0.1:*", "--out", "out", "--limit-bytes", "10"], "--limit-bytes"),
        (["recv", "--bind", "tcp://127.0.0.1:*", "--out", "/dev/null/x"], "/dev/null/x: Not a directory"),
        (["recv", "--bind", "tcp://127.0.0.1", "--out", "out"], "tcp://127.0.0.1: expected tcp://HOST:PORT"),
        (["recv", "--bind", "http://127.0.0.1:80", "--out", "out"], "http://127.0.0.1:80: expected tcp://"),
        (["recv", "--bind", "inproc://a", "--out", "out"], "inproc://a: reaches no other process"),
        (["recv", "--bind", "ipc:///no/such/folder/a", "--out", "out"], "/no/such/folder"),
        (
            ["recv", "--bind", "tcp://192.0.2.1:5555", "--out", "out"],
            "tcp://192.0.2.1:5555: no address of this machine",
        ),
        (["send", "a.npy", *NOWHERE, "--timeout", "nan"], "'--timeout': nan is no finite number"),
        (["send", "a.npy", *NOWHERE, "--timeout", "inf"], "'--timeout': inf is no finite number"),
        (["send", "a.npy", *NOWHERE, "--rate", "nan"], "'--rate': nan is no finite number"),
        (["recv", *NOWHERE, "--out", "out", "--timeout", "nan"], "'--timeout': nan is no finite number"),
        (["demo", "--seconds", "nan"], "'--seconds': nan is no finite number"),
        (["demo", "--viewers", "0"], "--viewers"),
    ],
)
def test_wrong_usage(arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.arange(3))
    assert expected in complaint(*arguments)
    assert os.listdir() == ["a.npy"]


def test_a_port_that_is_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        assert f"{address}: in use" in complaint("recv", "--bind", address, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_noticed_before_anything_comes(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("may write anywhere: run as root")
    said = complaint("recv", "--bind", "tcp://127.0.0.1:*", "--out", folder)
    assert said.startswith(f"--out {folder}: not writable")


def bad_files(folder: Path) -> dict[str, str]:
    """Files that hold nothing to send, and what is said of them."""
    good = folder / "good.npy"
    np.save(good, np.arange(1000.0))
    data = good.read_bytes()
    (folder / "cut.npy").write_bytes(data[:1000])
    (folder / "header.npy").write_bytes(data[:50])
    (folder / "magic.npy").write_bytes(data[:3])
    (folder / "empty.npy").write_bytes(b"")
    (folder / "future.npy").write_bytes(data[:6] + b"\x09\x00" + data[8:])
    (folder / "code.npy").write_bytes(data.replace(b"(1000,)", b"exit(1)"))
    (folder / "text.npy").write_text("hello")
    (folder / "notes.txt").write_text("hello\n" * 1000)
    (folder / "folder.npy").mkdir()
    np.save(folder / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.savez(folder / "objects.npz", a=np.array([{}], dtype=object))
    np.savez(folder / "whole.npz", a=np.arange(1000.0))
    (folder / "cut.npz").write_bytes((folder / "whole.npz").read_bytes()[:-30])
    np.savez(folder / "nothing.npz")
    with zipfile.ZipFile(folder / "strange.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with zipfile.ZipFile(folder / "climbing.npz", "w") as archive:
        archive.write(good, "../good.npy")
    (folder / "negative.npy").write_bytes(data.replace(b"(1000,), ", b"(-100,), "))
    (folder / " spaced.npy").write_bytes(data)
    return {
        "missing.npy": "missing.npy: No such file or directory",
        "cut.npy": "cut.npy: cut off: its header promises 8128 bytes, the file has 1000",
        "header.npy": "header.npy: its .npy header is damaged",
        "magic.npy": "magic.npy: no .npy",
        "empty.npy": "empty.npy: no .npy: it is empty",
        "future.npy": "format version 9.0",
        "code.npy": "code.npy: its .npy header is damaged",
        "text.npy": "text.npy: no .npy: it begins with b'hello'",
        "notes.txt": "notes.txt: neither .npy nor .npz, and no image",
        "folder.npy": "folder.npy: Is a directory",
        "objects.npy": "objects.npy: holds Python objects",
        "objects.npz": "its member 'a.npy' holds Python objects",
        "cut.npz": "cut.npz: no .npz that can be read",
        "nothing.npz": "nothing.npz: holds no array",
        "strange.npz": "its member 'readme.txt' is no .npy",
        "climbing.npz": "the name of a member cannot travel: '../good'",
        "negative.npy": "negative.npy: its .npy header is damaged: shape (-100,)",
        " spaced.npy": "its name cannot travel",
    }


def test_files_that_hold_nothing_to_send(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av")
    for name, expected in bad_files(tmp_path).items():
        # Before anything is connected: else this would wait.
        assert expected in complaint("send", *NOWHERE, tmp_path / name, tmp_path / "good.npy")
    assert capfd.readouterr() == ("", "")  # nor has a library written there on its own


def test_a_picture_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    said = complaint("send", *NOWHERE, tmp_path / "a.png", program=PROGRAM)  # whose libraries write to stderr, too
    assert "decoded" in said
    assert "Errno" not in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    assert "pipe.npy: no regular file" in complaint("send", *NOWHERE, tmp_path / "pipe.npy")
    assert "no regular file" in complaint("send", *NOWHERE, os.devnull)


def test_two_files_that_would_arrive_as_one(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / "a.npy", tmp_path / "sub" / "a.npy"):
        np.save(path, np.arange(3))
    said = complaint("send", *NOWHERE, tmp_path / "a.npy", tmp_path / "sub" / "a.npy")
    assert "another file would arrive as a.npy" in said


def test_nobody_there(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    sent = run("send", *NOWHERE, "--timeout", "0.3", tmp_path / "a.npy")
    assert sent.returncode == 3
    assert sent.stderr == "nptransport: tcp://127.0.0.1:9: no receiver came within 0.3 s\n"
    assert sent.stdout == ""
    said = complaint("recv", *NOWHERE, "--out", tmp_path / "out", "--timeout", "0.3", code=3)
    assert said == "tcp://127.0.0.1:9: nothing came for 0.3 s; senders that are connected: none"


def test_a_host_whose_name_means_nothing_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    where = ["--connect", "tcp://no..host:5555", "--timeout", "2"]  # known to be none without asking anybody
    expected = "; the name no..host cannot be resolved: is it spelled right?"
    assert complaint("recv", *where, "--out", tmp_path / "out", code=3).endswith(expected)
    sent = run("send", *where, tmp_path / "a.npy")
    assert sent.returncode == 3
    assert all(line.endswith(expected) for line in sent.stderr.splitlines())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_stdout_that_cannot_be_written(tmp_path: Path) -> None:
    program = ["bash", "-c", 'exec "$@" > /dev/full', "bash", *PROGRAM]
    where = ["--bind", "tcp://127.0.0.1:*", "--out", tmp_path / "out", "--timeout", "0.1"]
    assert complaint("recv", *where, "--json", program=program, code=1) == "cannot write: No space left on device"


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors with a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_not_written_to_and_nobody_minds(tmp_path: Path, closed: str) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    program = ["bash", "-c", f'exec "$@" {closed}', "bash", *PROGRAM]
    assert run("--help", program=program).returncode == 0
    assert run("send", "--connect", "nowhere", tmp_path / "a.npy", program=program).returncode == 2
    with receiver(tmp_path) as recv:
        sent = run("send", "--connect", recv.address, "--verify", tmp_path / "a.npy", program=program)
        assert sent.returncode == 0
        assert recv.wait() == 0
        assert recv.files == {"a.npy": "verified"}


def test_what_is_named_can_neither_end_the_line_nor_paint_on_the_terminal(tmp_path: Path) -> None:
    assert complaint("send", *NOWHERE, tmp_path / "a\n\x1b[31mb.npy").endswith(
        "a \\x1b[31mb.npy: No such file or directory"
    )
    assert complaint("recv", "--bind", "tcp://a\nb\x1b", "--out", "out").startswith("tcp://a b\\x1b: expected")


def without(*modules: str) -> list[str]:
    """The program, where some packages are not installed."""
    block = f"import sys; sys.modules.update(dict.fromkeys({modules!r})); "
    return [sys.executable, "-c", block + "from nptransport.cli import main; sys.exit(main())"]


@pytest.mark.parametrize("module", ["click", "rich"])
def test_without_the_packages_of_the_command_line(module: str) -> None:
    said = complaint("--help", program=without(module))
    assert said == f"the command line needs {module}: pip install 'nptransport[cli]'"


@pytest.mark.parametrize("module", ["av", "imageio"])
def test_without_the_packages_for_pictures(tmp_path: Path, module: str) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = complaint("send", *NOWHERE, tmp_path / "a.png", program=without(module, f"{module}.v3"))
    assert said.endswith("pip install 'nptransport[media]'")
    np.save(tmp_path / "a.npy", np.arange(3))
    sent = run("send", *NOWHERE, tmp_path / "a.npy", "--timeout", "0.1", program=without(module, f"{module}.v3"))
    assert sent.returncode == 3


@pytest.mark.parametrize("module", ["skimage", "PIL"])
def test_without_the_packages_of_the_demo(module: str) -> None:
    assert complaint("demo", program=without(module)).endswith("pip install 'nptransport[demo]'")


def test_a_bug_of_ours_is_one_line_unless_the_traceback_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, nptransport.cli.app as app; app._COMMANDS.append('missing'); sys.exit(app.run(['missing']))"
    said = complaint(program=[sys.executable, "-c", code], code=1)
    assert said.startswith("a bug of nptransport's: ModuleNotFoundError: ")
    assert "NPTRANSPORT_TRACEBACK=1" in said
