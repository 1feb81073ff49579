"""The examples run, say that they did, and stay short."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import wait_until

import nptransport as npt

EXAMPLES = Path(__file__).parent.parent / "examples"
ALONE = [
    "asyncio_publish.py",
    "asyncio_requests.py",
    "asyncio_stream.py",
    "latest_only.py",
    "nested_payload.py",
    "pyzmq_program.py",
    "shared_memory.py",
    "topics.py",
    "worker_pool.py",
]
PAIRED = ["camera.py", "consumer.py", "producer.py", "requests_client.py", "requests_server.py", "viewer.py"]


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert not err
    return out


def test_every_example_is_tested() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(ALONE + PAIRED)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.parametrize("name", ALONE)
def test_example_runs(name: str) -> None:
    if name == "worker_pool.py":
        pytest.importorskip("scipy")
    assert output(start(name))


def test_producer_and_consumer(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/s"
    consumer, producer = start("consumer.py", address), start("producer.py", address)
    assert "sent 100 frames" in output(producer)
    assert "received 100 frames, missed 0" in output(consumer)


def test_requests(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/s"
    client, server = start("requests_client.py", address), start("requests_server.py", address)
    said = output(client)
    assert "sum 307200" in said
    assert "WrongArguments: missing a required argument: 'image'" in said
    assert "answered" in output(server)


@pytest.mark.parametrize(("source", "frames"), [("clip.mp4", 12), ("no such clip", 100)])  # nobody's webcam is touched
def test_camera_and_viewer(tmp_path: Path, source: str, frames: int) -> None:
    iio = pytest.importorskip("imageio.v3")
    pytest.importorskip("av")
    iio.imwrite(tmp_path / "clip.mp4", np.zeros((12, 96, 128, 3), np.uint8), plugin="pyav", codec="mpeg4", fps=30)
    address = f"ipc://{tmp_path}/s"
    viewer, camera = start("viewer.py", address), start("camera.py", address, str(tmp_path / source))
    assert f"sent {frames} frames" in output(camera)
    counts = re.search(r"showed (\d+) frames, skipped (\d+), missed (\d+)", output(viewer))
    assert counts is not None
    assert sum(map(int, counts.groups())) == frames


def test_what_the_containers_run(tmp_path: Path) -> None:
    for package in ("scipy", "skimage"):
        pytest.importorskip(package)
    stream, memory = f"ipc://{tmp_path}/stream", f"shm://{tmp_path}/memory"
    pairs = [("subscriber", "publisher", stream), ("detector", "camera", memory)]
    running = {}
    with npt.Broker(frontend=f"ipc://{tmp_path}/front", backend=f"ipc://{tmp_path}/back") as broker:
        worker = [sys.executable, "-m", "nptransport", "worker", "filters", "--connect", broker.backend]
        pool = subprocess.Popen(worker, cwd=EXAMPLES / "containers", stderr=subprocess.PIPE, text=True)
        try:
            for checks, sends, address in pairs:
                running[checks] = start(f"containers/{checks}.py", address, str(tmp_path / checks))
                running[sends] = start(f"containers/{sends}.py", address)
            assert "8 pictures blurred, all as here" in output(start("containers/job.py", broker.frontend, "8"))
            for checks, sends, _ in pairs:
                wait_until((tmp_path / checks).exists)
                for name in (sends, checks):
                    running[name].send_signal(signal.SIGTERM)
                    assert re.search(r"[1-9]\d* frames", output(running[name]))
            pool.terminate()
            assert "8 results, 0 errors" in pool.communicate(timeout=60)[1]
            assert pool.returncode == 0
        finally:
            for process in (pool, *running.values()):
                process.kill()
                process.communicate()
