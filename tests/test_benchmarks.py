"""The benchmarks that judge: that they run, notice what is wrong, and calculate what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.append(str(BENCHMARKS))

from compare import ratio, worse  # noqa: E402 - found once the folder is on the path
from instructions import judged, to_keep  # noqa: E402
from peers.contestants import pipe  # noqa: E402
from peers.peer import Peer  # noqa: E402
from peers.table import size_text, sizes_of  # noqa: E402
from peers.turn import Failed, turn  # noqa: E402
from peers.work import Sink, Source, Work, WrongContent  # noqa: E402

WORK = Work(size=4096, seconds=0.05, whole=True)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="they start process groups")


def test_the_peers_run_and_their_table_is_printed(tmp_path):
    command = [sys.executable, BENCHMARKS / "peers", "--sizes", "4KB", "--seconds", "0.05", "--rounds", "1"]
    command += ["--only", "pyzmq, tcp", "Pipe, send_bytes", "--markdown", "--json", tmp_path / "figures"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "| arrays a second | 4 KB |" in done.stdout
    figures = json.loads((tmp_path / "figures").read_text())
    assert [each["name"] for each in figures["figures"]] == ["pyzmq, tcp, copy=False", "Pipe, send_bytes"], done.stdout
    assert not figures["failures"]


@pytest.mark.skipif(sys.platform != "linux", reason="shm:// needs Linux")
@pytest.mark.parametrize("pattern", ["publish", "serve"])
def test_endurance_tells_what_every_process_got_and_held(pattern):
    command = [sys.executable, BENCHMARKS / "endurance.py", "--messages", "200", "--patterns", pattern]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
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
