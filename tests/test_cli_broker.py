"""``nptransport broker``, ``worker`` and ``workers`` as people run them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import BOTH_SIDES, Running, posix, run, run_here, wait_until

import nptransport as npt

MODULE = """
import os, time
import nptransport as npt
methods = npt.Methods()

@methods.method
def double(x):
    return 2 * x

@methods.method
def who():
    return os.getpid()

@methods.method
def slow(seconds):
    time.sleep(seconds)
    return "done"

def alone(x):
    return -x
"""


@contextmanager
def running(folder: Path, *arguments: str, cwd: Path | None = None) -> Iterator[Running]:
    """A command that is told to end, so that it ends what it has started, too."""
    with Running(folder, *arguments, cwd=cwd) as command:
        try:
            yield command
        finally:
            command.process.terminate()
            command.process.wait(20)


@pytest.fixture(name="addresses")
def addresses_fixture(tmp_path: Path) -> Iterator[dict[str, Any]]:
    (tmp_path / "tasks.py").write_text(MODULE)
    with running(tmp_path / "broker", "broker", *BOTH_SIDES) as command:
        yield command.event("listening")


def test_a_crew_is_kept_up(tmp_path: Path, addresses: dict[str, Any]) -> None:
    arguments = ["worker", "tasks", "--connect", addresses["backend"], "--processes", "2", "--interval", "0.5"]
    with (
        running(tmp_path / "crew", *arguments, cwd=tmp_path) as crew,
        npt.Client(connect=addresses["frontend"]) as client,
    ):

        def there() -> list[dict[str, Any]]:
            found = client.call("nptransport.broker", timeout=10)["workers"]
            return list(found.values()) if len(found) == 2 else []

        wait_until(there)
        assert (client.call("double", np.arange(3), timeout=10) == [0, 2, 4]).all()
        first = client.call("who", timeout=10)
        os.kill(first, signal.SIGKILL)
        assert crew.event("died")["code"] == -signal.SIGKILL
        wait_until(lambda: all(str(first) != str(each["name"]).rpartition(":")[2] for each in there()) and there())
        shown = run("workers", addresses["frontend"])
        assert "double, slow, who" in shown.stdout
        assert "2 workers" in shown.stdout
        state = json.loads(run_here("workers", addresses["frontend"], "--json").stdout)
        assert len(state["workers"]) == 2
        crew.process.send_signal(signal.SIGTERM)
        assert crew.wait() == 0


@posix
def test_a_signal_to_all_of_a_crew_is_one(tmp_path: Path, addresses: dict[str, Any]) -> None:
    """As service managers send it: to who leads, who passes it on, and to each of the others."""
    arguments = ["worker", "tasks", "--connect", addresses["backend"], "--processes", "2"]
    with (
        running(tmp_path / "crew", *arguments, cwd=tmp_path) as crew,
        npt.Client(connect=addresses["frontend"]) as client,
    ):

        def state() -> dict[str, Any]:
            found: dict[str, Any] = client.call("nptransport.broker", timeout=10)
            return found

        wait_until(lambda: len(state()["workers"]) == 2)
        future = client.submit("slow", 1.0, timeout=20)
        wait_until(lambda: state()["running"] == 1)
        for each in state()["workers"].values():
            os.kill(int(str(each["name"]).rpartition(":")[2]), signal.SIGTERM)
        crew.process.send_signal(signal.SIGTERM)
        assert future.result() == "done"
        assert crew.wait() == 0
        assert sorted(each["results"] for each in crew.events() if each["event"] == "summary") == [0, 1]
        assert "not every worker" not in crew.stderr
        assert "interrupted" not in crew.stderr


def test_a_task_is_finished_before_the_end(tmp_path: Path, addresses: dict[str, Any]) -> None:
    arguments = ["worker", "tasks:methods", "--connect", addresses["backend"]]
    with running(tmp_path / "worker", *arguments, cwd=tmp_path) as worker:
        assert worker.event("working")["methods"] == ["double", "slow", "who"]
        with npt.Client(connect=addresses["frontend"]) as client:
            future = client.submit("slow", 0.5, timeout=20)
            wait_until(lambda: client.call("nptransport.broker", timeout=10)["running"] == 1)
            worker.process.send_signal(signal.SIGTERM)
            assert future.result() == "done"
        assert worker.wait() == 0
        assert worker.event("summary")["results"] == 1


def test_a_function_by_its_name(tmp_path: Path, addresses: dict[str, Any]) -> None:
    arguments = ["worker", "tasks:alone", "--connect", addresses["backend"]]
    with running(tmp_path / "worker", *arguments, cwd=tmp_path), npt.Client(connect=addresses["frontend"]) as client:
        assert client.call("alone", 3, timeout=20) == -3


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("x = 1\n")
    connect = ["--connect", "tcp://127.0.0.1:9"]
    for arguments, text in (
        (["worker", "no.such.module", *connect], "cannot import no.such.module"),
        (["worker", "os:getpid", "--connect", "127.0.0.1:1"], "expected tcp://HOST:PORT"),
        (["worker", "json", *connect], "has no methods = npt.Methods()"),
        (["worker", "json:nothing", *connect], "json has no nothing"),
        (["broker", "--frontend", "tcp://127.0.0.1:*"], "give --backend ADDRESS"),
    ):
        done = run_here(*arguments)
        assert done.returncode == 2, done.stderr
        assert text in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert run_here("workers", "tcp://127.0.0.1:9", "--timeout", "0.1").returncode == 3


def test_who_has_mixed_up_the_brokers_addresses_is_told_of_there(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(MODULE)
    with running(tmp_path / "broker", "broker", *BOTH_SIDES) as broker:
        addresses = broker.event("listening")
        with (
            running(tmp_path / "worker", "worker", "tasks", "--connect", addresses["frontend"], cwd=tmp_path),
            npt.Client(connect=addresses["backend"]) as client,
        ):
            client.submit("double", 3)
            wait_until(lambda: "workers connect to the backend" in broker.stderr)
            wait_until(lambda: "clients connect to the frontend" in broker.stderr)


def test_a_worker_says_that_no_broker_is_there(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(MODULE)
    arguments = ["worker", "tasks", "--connect", "tcp://no..host:5556"]
    with running(tmp_path / "worker", *arguments, cwd=tmp_path) as worker:
        wait_until(lambda: "waiting for a broker at tcp://no..host:5556; the name no..host" in worker.stderr)
