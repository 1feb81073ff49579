"""Somebody who publishes while a test looks at what the command line makes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import nptransport as npt

_INTERVAL = 0.01  # seconds


@contextmanager
def publishing(payloads: Mapping[str, Any], **where: Any) -> Iterator[str]:
    """Sends each payload under its topic, again and again; gives its address. Whoever changes the dict is heard."""
    ended = threading.Event()
    started: list[Any] = []
    is_up = threading.Event()

    def run() -> None:
        try:
            with npt.Publisher(**(where or {"bind": "tcp://127.0.0.1:*"})) as publisher:
                started.append(publisher.addresses[0])
                is_up.set()
                while not ended.wait(_INTERVAL):
                    for topic, payload in list(payloads.items()):
                        publisher.send(payload, topic=topic)
        finally:
            is_up.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert is_up.wait(60)
        assert started, "the publisher did not come up"
        yield started[0]
    finally:
        ended.set()
        thread.join()
