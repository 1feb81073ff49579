"""The examples run, say that they did, and stay short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
ALONE = [
    "asyncio_publish.py",
    "asyncio_stream.py",
    "latest_only.py",
    "nested_payload.py",
    "pyzmq_program.py",
    "topics.py",
]
PAIRED = ["consumer.py", "producer.py"]


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


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.parametrize("name", ALONE)
def test_example_runs(name: str) -> None:
    assert output(start(name))


def test_producer_and_consumer(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/s"
    consumer, producer = start("consumer.py", address), start("producer.py", address)
    assert "sent 100 frames" in output(producer)
    assert "received 100 frames, missed 0" in output(consumer)
