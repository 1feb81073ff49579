"""Memory with one subscriber that is stuck: within the budget on all sides, and whoever keeps up misses nothing."""

from __future__ import annotations

import sys

import pytest
from children import spawn_fixture  # noqa: F401
from faces import wire_fixture  # noqa: F401

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads memory sizes from /proc")

MB = 1_000_000
BUDGET = 64 * MB
FRAMES = 150

PUBLISHER = """
    publisher = npt.Publisher(bind=args[0], max_bytes=64_000_000, linger=0)
    frame = np.ones(8_000_000, "u1")
    publisher.send(frame, topic="nobody")
    say(publisher.address)
    while (word := hear().strip()) != "end":
        if word == "send":
            publisher.send(frame, topic="a")
        elif word == "wait":
            publisher.wait_for_subscribers(3, topic="a")
            say("all there")
        else:
            statistics = publisher.statistics()
            say(statistics.dropped_for_bytes, statistics.dropped_for_messages)
"""

SUBSCRIBER = """
    limits = npt.Limits(max_total_bytes=8_100_000)
    subscriber = npt.Subscriber(connect=args[0], topics="a", max_bytes=64_000_000, limits=limits)
    say("ready")
    if args[1] == "reads":
        for array in subscriber:
            assert array[-1] == 1
            say(subscriber.statistics().received, subscriber.statistics().missed)
    hear()
    del args[1:]
    while True:
        subscriber.recv(timeout=5)
        say(subscriber.statistics().received)
"""


def test_stuck_subscribers(wire, spawn):
    """One stopped, one that does not read, and a healthy one, which the publisher waits for after each frame."""
    publisher = spawn(PUBLISHER, wire)
    address = publisher.hear()
    healthy, idle, stopped = subscribers = [spawn(SUBSCRIBER, address, how) for how in ("reads", "idles", "stops")]
    assert [child.hear() for child in subscribers] == ["ready"] * 3
    publisher.say("wait")
    assert publisher.hear() == "all there"
    everyone = [publisher, *subscribers]
    before = [child.resident_bytes() for child in everyone]
    stopped.stop()
    most = [0] * len(everyone)
    for count in range(1, FRAMES + 1):
        publisher.say("send")
        assert healthy.hear() == f"{count} 0"
        most = [max(size, child.resident_bytes()) for size, child in zip(most, everyone, strict=True)]
    publisher.say("how many?")
    for_bytes, for_messages = map(int, publisher.hear().split())
    assert (for_bytes > FRAMES, for_messages) == (True, 0)
    grown = [size - start for size, start in zip(most, before, strict=True)]
    assert max(grown) <= 1.1 * BUDGET, grown
    assert grown[0] >= BUDGET / 4  # it was used
    stopped.resume()
    for child in (idle, stopped):  # and now they read what was kept for them
        child.say()
        assert child.hear() == "1"
        assert child.resident_bytes() <= before[everyone.index(child)] + 1.1 * BUDGET
