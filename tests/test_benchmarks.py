"""The benchmarks that judge: that they run, notice what is wrong, and calculate what they say."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from children import BENCHMARKS, run_python, wait_until
from faces import needs_shm

sys.path.append(str(BENCHMARKS))

import shm
import stream
from compare import ratio, worse
from instructions import judged, to_keep
from peers.contestants import pipe
from peers.peer import Peer
from peers.table import size_text, sizes_of
from peers.turn import Failed, turn
from peers.work import Sink, Source, Work, WrongContent
from streaming import WrongContent as WrongArray
from streaming import array_of

WORK = Work(size=4096, seconds=0.05, whole=True)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="they start process groups")


def test_the_peers_run_and_their_table_is_printed(tmp_path):
    options = ["--only", "pyzmq, tcp", "Pipe, send_bytes", "--markdown", "--json", tmp_path / "figures"]
    done = run_python(BENCHMARKS / "peers", "--sizes", "4KB", "--seconds", 0.05, "--rounds", 1, *options)
    assert done.returncode == 0, done.stderr
    assert "| arrays a second | 4 KB |" in done.stdout
    figures = json.loads((tmp_path / "figures").read_text())
    assert [each["name"] for each in figures["figures"]] == ["pyzmq, tcp, copy=False", "Pipe, send_bytes"], done.stdout
    assert not figures["failures"]


@needs_shm
@pytest.mark.parametrize("pattern", ["publish", "serve"])
def test_endurance_tells_what_every_process_got_and_held(pattern):
    done = run_python(BENCHMARKS / "endurance.py", "--messages", 200, "--patterns", pattern)
    first, *lines, last = done.stdout.splitlines()
    assert (first, done.stderr) == ("seed 1", "")
    assert last in ("level", "NOT LEVEL, OR WRONG")  # it ends before anything can be level
    assert lines
    assert all(" 0 wrong; megabytes " in line for line in lines)


def test_a_contestant_that_fails_is_said_to():
    muddled = Peer("muddled", "", pipe.ends, pipe.send, pipe.receive_bytes)
    with pytest.raises(Failed, match="Error"):
        turn(muddled, WORK)


def test_the_receiver_sees_through_what_is_not_what_was_sent():
    def last(array):
        array[-1, -1] += 1

    def inside(array):
        array[1, 5] += 1

    for wrong in (last, inside, lambda array: array.setflags(write=False) or array.astype(np.int32)):
        array = next(Source(WORK).arrays())
        Sink(WORK, lent=False).take(array)
        changed = wrong(array)
        with pytest.raises(WrongContent):
            Sink(WORK, lent=False).take(array if changed is None else changed)
    sink = Sink(WORK, lent=False)
    arrays = Source(WORK).arrays()
    sink.take(next(arrays))
    next(arrays)  # lost
    with pytest.raises(WrongContent, match="expected array number 1, found 2"):
        sink.take(next(arrays))


def test_sizes():
    assert sizes_of("1KB,64kb,6.2MB,128MB,512") == [1000, 64_000, 6_200_000, 128_000_000, 512]
    assert [size_text(size) for size in (6_200_000, 512)] == ["6.2 MB", "512 B"]


def test_two_commits_are_judged_by_the_median_of_the_ratios_of_their_rounds():
    found = ratio([(100, 50), (100, 95), (10, 11), (1000, 1000), (200, 170)])
    assert found == pytest.approx((0.95, 0.85, 1.0))
    assert worse({"stream": found, "call": ratio([(10, 8)] * 3)}, tolerance=0.9) == ["call"]


def test_counts_are_judged_within_the_tolerance():
    kept = {name: to_keep([990, 1000, 1010]) for name in ("encode", "decode", "dumps")}
    assert kept["encode"] == {"instructions": 1000, "tolerance": 0.04}
    counts = {"encode": [1, 1040, 2000], "decode": [1041], "dumps": [10], "new": [5]}
    assert judged(counts, kept) == ["decode"]


SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if "Parser(" in path.read_text())


@pytest.fixture
def installed(tmp_path):
    """PYTHONPATH of a package of our name that is not the repository's."""
    package = tmp_path / "elsewhere" / "nptransport"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('not the repository beside the scripts')")
    return str(package.parent)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_take_the_repository_that_they_lie_in(script, installed):
    done = run_python(BENCHMARKS / script, "--help", PYTHONPATH=installed)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_so_do_their_children(installed):
    done = run_python(
        BENCHMARKS / "memory.py", "--frames", 8, "--size", 65536, "--addresses", "ipc", PYTHONPATH=installed
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("consumer") == 4


@pytest.mark.parametrize("script", [stream, shm])
def test_a_reader_notices_parts_in_the_wrong_order(script, monkeypatch):
    size = 1_000_000
    good, wrong = array_of(size), array_of(size)
    wrong[200_000:800_000] = np.roll(wrong[200_000:800_000], 262_144)
    wrong[size // 2] = good[size // 2]

    def arrays(last):
        return lambda *_: iter([*[good] * 11, last])

    def read(last):
        if script is stream:
            monkeypatch.setitem(stream.CONTESTANTS, "send()", (arrays(last), None))
            stream.reader("send()", "", size, 12)
        else:
            monkeypatch.setitem(shm.READERS, "shm", arrays(last))
            shm.read("shm", "", size, 12)

    read(good)
    with pytest.raises(WrongArray, match="elements differ"):
        read(wrong)
    with pytest.raises(WrongArray, match="expected uint8"):
        read(good.view(np.int8))


def test_faults_are_counted_of_every_contestant():
    done = run_python(BENCHMARKS / "faults.py", "--size", 1_000_000, "--arrays", 3, "--rounds", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("page faults per array") == 5


WRONG = [
    *[("compare.py", "HEAD", "HEAD", *wrong) for wrong in (("--rounds", "0"), ("--tolerance", "nan"))],
    ("compare.py", "HEAD", "HEAD", "--only", "bogus"),
    ("instructions.py", "--only", "bogus"),
    *[("peers", f"--sizes={sizes}") for sizes in ("0", "-1KB", "infMB")],
    *[("peers", *wrong) for wrong in (("--seconds", "nan"), ("--rounds", "0"), ("--json", "/nonexistent/figures"))],
]


@pytest.mark.parametrize("command", WRONG, ids=" ".join)
def test_wrong_arguments_are_said_in_a_line(command):
    script, *arguments = command
    done = run_python(BENCHMARKS / script, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr


def test_a_run_in_which_all_fail_has_failed():
    done = run_python(BENCHMARKS / "peers", "--only", "Pipe, send_bytes", "--sizes", "1000000GB", "--rounds", 1)
    assert done.returncode == 1
    assert "failed: Pipe, send_bytes, 1e+06 GB: " in done.stdout


def test_commits_are_not_compared_without_git():
    done = run_python(BENCHMARKS / "compare.py", "HEAD", "HEAD", PATH="/nonexistent")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "git is not installed\n")


def test_a_name_that_no_contestant_has_is_said():
    done = run_python(BENCHMARKS / "peers", "--only", "bogus")
    assert done.returncode == 2
    assert "--only bogus: there are nptransport, tcp;" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_worktrees_are_gone_when_a_comparison_is_ended(number, status, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    for script in ("compare.py", "arguments.py", "streaming.py"):
        (tmp_path / "benchmarks" / script).write_text((BENCHMARKS / script).read_text())
    (tmp_path / "nptransport.py").write_text("import time\ntime.sleep(60)\n")  # so that it is still measuring
    git(tmp_path, "init", "--quiet", ".")
    for commit in ("first", "second"):
        (tmp_path / commit).touch()
        git(tmp_path, "add", ".")
        git(tmp_path, "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", commit)
    command = [sys.executable, tmp_path / "benchmarks" / "compare.py", "HEAD~1", "HEAD"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        wait_until(lambda: git(tmp_path, "worktree", "list").count("\n") == 3)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in said
    assert git(tmp_path, "worktree", "list").count("\n") == 1


def git(folder, *arguments):
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout
