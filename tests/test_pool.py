"""Warm buffers: few go round while they come back, and nobody waits long for those that do not."""

from __future__ import annotations

import numpy as np
import pytest

from nptransport.memory.pool import InFlight

SIZE = 2**20
DEPTH = 4  # buffers of that size that are enough on their way
DATA = bytes(SIZE)


@pytest.fixture(name="released")
def released_fixture():
    return []


@pytest.fixture(name="pool")
def pool_fixture(released):
    return InFlight(2**28, lambda: released.append(True))


def waits(pool):
    """How often the next copy waits, if none of the others comes back meanwhile."""
    count = 0
    while not pool.is_warm(SIZE, count):
        count += 1
    return count


def test_the_first_buffers_are_not_waited_for(pool):
    views = []
    for _ in range(DEPTH):
        assert waits(pool) == 0
        views.append(pool.copy(DATA, SIZE))
    assert waits(pool) > 0


def test_the_buffers_that_come_back_are_used_again(pool):
    addresses = set()
    views = [pool.copy(DATA, SIZE) for _ in range(DEPTH)]
    for _ in range(100):
        addresses.update(np.frombuffer(view, "u1").ctypes.data for view in views)
        del views[0]
        assert waits(pool) == 0
        views.append(pool.copy(DATA, SIZE))
    assert len(addresses) == DEPTH


def test_a_sender_that_waits_is_woken_when_half_have_come_back(pool, released):
    views = [pool.copy(DATA, SIZE) for _ in range(DEPTH)]
    assert not pool.is_warm(SIZE, 0)
    del views[0]
    assert not released
    del views[0]
    assert released


def test_a_reader_found_to_be_slow_is_not_waited_for_again(pool):
    views = [pool.copy(DATA, SIZE) for _ in range(DEPTH)]
    assert waits(pool) > 1  # a fresh buffer is worth some waiting
    for _ in range(10):
        views.append(pool.copy(DATA, SIZE))
        assert waits(pool) == 0
    del views[0]  # now there is a buffer, though gone cold
    assert waits(pool) == 1
    assert waits(pool) == 0
