"""Arrays for shared memory that say which they are, and a producer and a consumer that come to use a lane."""

from __future__ import annotations

import numpy as np
import pytest
from children import PATIENCE, wait_until

import nptransport as npt

SIZE = 100_000  # bytes, above the crossover


def large(number):
    array = np.zeros(SIZE, np.uint8)
    array[:8].view(np.int64)[0] = number
    return array


def number_of(payload):
    if isinstance(payload, dict):
        payload = payload["number"]
    return int(payload[:8].view(np.int64)[0])


def lane_of(producer):
    producer._lender.look()
    return producer._lender._consignees.only


def meet(producer, consumer):
    """Let them come to use the lane."""
    wait_until(lambda: producer.statistics().connections == 1)

    def have_met():
        producer.send(large(1))
        assert number_of(consumer.recv(timeout=PATIENCE)) == 1
        with pytest.raises(npt.Timeout):
            consumer.recv(timeout=0)  # finds the lane if there is one, and says that it listens
        return lane_of(producer)

    wait_until(have_met)
