"""docker-compose.yml for real: all of it up, a worker's container killed in the middle of the job, all of it down."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import wait_until

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0  # seconds for containers to start and end, and for the job
BUILD = 900.0  # seconds to make the image where nothing of it is there yet
KILLED = 137
SHORT = 12  # digits of a container's id that are its host name, too

WITHIN_LIMIT = """
import numpy as np
import nptransport as npt

frame = np.ones(16_000_000, np.uint8)
with (
    npt.Consumer(bind="shm:///run/nptransport/limited") as consumer,
    npt.Producer(connect=consumer.address, max_bytes=2**30) as producer,
):
    held = []
    try:
        while True:
            producer.send(frame, timeout=10)
            held.append(consumer.recv(timeout=10))
    except npt.TransportError as error:
        print(f"{len(held)} held: {error}")
    held.clear()
    producer.send(frame, timeout=10)
    print("goes on:", consumer.recv(timeout=10).sum())
"""

pytestmark = pytest.mark.docker


def run(*command: str, timeout: float = PATIENCE) -> str:
    """What it printed; AssertionError if it failed."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Project:
    """All that the file describes, under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self._compose = ["docker", "compose", "--ansi", "never", "--project-name", f"nptransport-test-{os.getpid()}"]
        self._said = folder / "said"
        self._up: subprocess.Popen[bytes] | None = None

    def compose(self, *arguments: str, timeout: float = PATIENCE) -> str:
        return run(*self._compose, *arguments, timeout=timeout)

    def up(self, *arguments: str) -> None:
        with self._said.open("wb") as said:
            self._up = subprocess.Popen([*self._compose, "up", *arguments], cwd=ROOT, stdout=said, stderr=said)

    def said(self) -> str:
        """What ``up`` has printed so far."""
        assert self._up is not None
        said = self._said.read_text()
        assert not self._up.poll(), said
        return said

    def wait(self) -> str:
        """What ``up`` has printed once it has ended; AssertionError if its exit code is not 0."""
        assert self._up is not None
        self._up.wait(PATIENCE)
        return self.said()

    def workers(self) -> dict[str, int]:
        """For each container of the broker's workers, its tasks."""
        asked = self.compose("exec", "-T", "broker", "nptransport", "workers", "tcp://broker:5555", "--json")
        state = json.loads(asked)
        return {worker["name"].partition(":")[0]: worker["busy"] for worker in state["workers"].values()}

    def exit_codes(self) -> dict[str, int]:
        """By container."""
        listed = self.compose("ps", "--all", "--format", "{{.ID}} {{.ExitCode}}").split()
        return dict(zip(listed[::2], map(int, listed[1::2]), strict=True))

    def down(self) -> None:
        if self._up is not None:
            self._up.kill()
            self._up.wait()
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


@pytest.fixture(name="project")
def project_fixture(tmp_path: Path) -> Iterator[Project]:
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    for question, lack in ([["info"], "no Docker engine answers"], [["compose", "version"], "docker has no compose"]):
        try:
            done = subprocess.run(["docker", *question], capture_output=True, text=True, timeout=10, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"{lack} within 10 s")
        if done.returncode:
            pytest.skip(f"{lack}: {done.stderr.strip()[:200]}")
    project = Project(tmp_path)
    project.compose("build", "--quiet", timeout=BUILD)
    try:
        yield project
    finally:
        project.down()


def test_nothing_is_lost_with_a_worker(project: Project) -> None:
    project.up("--scale", "worker=4", "--exit-code-from", "client", "client")
    wait_until(lambda: "checked 20 of 200" in project.said(), PATIENCE)
    killed = project.compose("ps", "--quiet", "worker").split()[0][:SHORT]
    run("docker", "exec", killed, "sh", "-c", "kill -STOP -1")  # all but tini: so that it dies with a task
    wait_until(lambda: project.workers().get(killed, 1), PATIENCE)
    run("docker", "kill", "--signal", "KILL", killed)
    said = project.wait()
    pattern = r"(\d+) pictures blurred, all as here; workers lost: (\d+), pictures given out again: (\d+)"
    account = re.search(pattern, said)
    assert account is not None, said
    blurred, lost, again = map(int, account.groups())
    assert (blurred, lost) == (200, 1)
    assert again >= 1

    project.compose("stop")
    codes = project.exit_codes()
    assert codes.pop(killed) == KILLED
    assert len(codes) == 9
    assert set(codes.values()) == {0}
    logs = project.compose("logs", "--no-color")
    assert re.search(r"detector-1 .* checked [1-9]\d* frames, missed 0", logs), logs
    assert re.search(r"subscriber-1 .* checked [1-9]\d* frames", logs), logs
    assert "Traceback" not in logs


def test_a_memory_limit_is_an_error_and_no_kill(project: Project) -> None:
    image = project.compose("config", "--images", "client").split()[0]
    limit = ["--memory", "256m", "--memory-swap", "256m"]
    said = run("docker", "run", "--rm", *limit, image, "python", "-c", WITHIN_LIMIT)
    account = re.search(r"(\d+) held: .*the memory cgroup .* has room for (\d+); lower max_bytes, or raise", said)
    assert account is not None, said
    held, room = map(int, account.groups())
    assert held > 3
    assert room < 16_000_000
    assert "goes on: 16000000" in said
