"""The end of a publisher: what was sent arrives, the newest above all, and what does not is counted."""

from __future__ import annotations

import numpy as np
import pytest
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import face_fixture, wire_fixture  # noqa: F401

import nptransport as npt

READER = """
    subscriber = npt.Subscriber(connect=args[0], latest=args[1] == "latest")
    say("here")
    hear()
    last = -1
    while last < int(args[2]) - 1:
        last = int(subscriber.recv(timeout=10)[0])
    streams = list(subscriber.statistics().streams.values())
    say(sum(stream.received + stream.skipped + stream.missed for stream in streams))
"""


@pytest.mark.parametrize("how", ["latest", "queue"])
def test_a_slow_reader_gets_the_last_message(face, wire, spawn, how):
    """Though it begins to read when the publisher has begun to close, and much is still to come."""
    publisher = face.publisher(bind=wire)
    child = spawn(READER, publisher.address, how, 8)
    assert child.hear() == "here"
    publisher.wait_for_subscribers(topic="x")
    for index in range(8):
        publisher.send(np.full(1_000_000, index, np.int64), topic="x")
    child.say("go on")
    assert publisher.close(linger=PATIENCE) == 0
    assert child.hear() == "8"


def test_what_the_newest_replaced_is_counted(face, wire, spawn):
    publisher = face.publisher(bind=wire)
    child = spawn(READER, publisher.address, "latest", 40)
    assert child.hear() == "here"
    publisher.wait_for_subscribers()
    child.stop()
    for index in range(40):
        publisher.send(np.full(1_000_000, index, np.int64))
    (state,) = publisher.statistics().subscribers.values()
    assert state.latest
    assert state.replaced > 30
    assert state.sent + state.replaced == 39  # and the newest waits
    assert (publisher.statistics().replaced, publisher.statistics().dropped_for_bytes) == (state.replaced, 0)
    child.resume()
    child.say("go on")
    assert child.hear() == "40"


def test_closing_says_what_a_stopped_reader_has_not_got(face, wire, spawn, caplog):
    publisher = face.publisher(bind=wire)
    child = spawn(READER, publisher.address, "queue", 12)
    assert child.hear() == "here"
    publisher.wait_for_subscribers()
    child.stop()
    for index in range(12):
        publisher.send(np.full(1_000_000, index, np.int64))
    assert publisher.close(linger=0.1) > 0
    assert "not known to have arrived" in caplog.text


def test_who_is_waited_for_in_vain(face, wire):
    publisher, subscriber = face.publisher(bind=wire), None
    subscriber = face.subscriber(connect=publisher.address, topics=["camera/", "log"])
    publisher.wait_for_subscribers()
    with pytest.raises(npt.Timeout) as caught:
        publisher.wait_for_subscribers(2, topic="camera/left", timeout=0.05)
    assert "waited 0.05 s for 2 subscribers to topic 'camera/left', found 1" in str(caught.value)
    assert "ask for 'camera/', 'log'" in str(caught.value)
    subscriber.close()
    wait_until(lambda: not publisher.statistics().subscribers)
