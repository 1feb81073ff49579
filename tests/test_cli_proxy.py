"""``nptransport proxy`` as people run it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from command_line import BOTH_SIDES, Running, run_here

import nptransport as npt


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_passes_on_until_it_is_told_to_end(tmp_path: Path, how: signal.Signals) -> None:
    with (
        Running(tmp_path, "proxy", *BOTH_SIDES, "--retain") as proxy,
        npt.Publisher(connect=proxy.event("listening")["frontend"]) as publisher,
        npt.Subscriber(connect=proxy.event("listening")["backend"]) as subscriber,
    ):
        publisher.wait_for_subscribers(timeout=10)
        publisher.send(np.arange(5), topic="a")
        assert subscriber.recv(timeout=10).tolist() == [0, 1, 2, 3, 4]
        with npt.Subscriber(connect=subscriber.addresses[0]) as late:
            assert late.recv(timeout=10).tolist() == [0, 1, 2, 3, 4]
        proxy.process.send_signal(how)
        assert proxy.wait() == 0  # it has no other end than this
    summary = proxy.event("summary")
    assert (summary["messages"], summary["dropped_for_bytes"], summary["subscribers"]) == (1, 0, 1)


def test_what_cannot_be_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        used = run_here("proxy", "--frontend", f"tcp://127.0.0.1:{port}", "--backend", "tcp://127.0.0.1:*")
    missing = run_here("proxy", "--frontend", "tcp://127.0.0.1:*")
    malformed = run_here("proxy", "--frontend", "tcp://127.0.0.1:*", "--backend", "127.0.0.1:1")
    assert [done.returncode for done in (used, missing, malformed)] == [2, 2, 2]
    for done, text in ((used, "in use"), (missing, "give --backend ADDRESS"), (malformed, "expected tcp://HOST:PORT")):
        assert text in done.stderr
        assert len(done.stderr.splitlines()) == 1
