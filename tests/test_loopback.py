"""Over loopback TCP the system holds no more of what is sent than a cache does; between machines, what it likes."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys

import numpy as np
import pytest
from faces import face_fixture, wait_until  # noqa: F401

import nptransport as npt

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds sockets in /proc")

SENT = 212_992  # of link.py, which Linux doubles for its own book-keeping


def send_buffers(port):
    """Sizes of the send buffers of this process's connections with that port at either end."""
    sizes = {}
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # closed since, or it only listens
            if stat.S_ISSOCK(os.fstat(int(entry)).st_mode):
                with socket.socket(fileno=os.dup(int(entry))) as found:
                    if found.family == socket.AF_INET:
                        theirs = found.getpeername()[1]
                        side = "connected" if theirs == port else "bound"
                        if port in (theirs, found.getsockname()[1]):
                            sizes[side] = found.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    return sizes


def connect(face, bound, host):
    """Send one array from a producer to a consumer; the sizes of their send buffers."""
    with face.consumer(bind=bound) as consumer:
        port = int(consumer.address.rpartition(":")[2])
        with face.producer(connect=f"tcp://{host}:{port}") as producer:
            producer.send(np.arange(5))
            assert list(consumer.recv()) == [0, 1, 2, 3, 4]
            wait_until(lambda: len(send_buffers(port)) == 2)
            return send_buffers(port)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.3.2.1"])
def test_over_loopback_little_lies_in_the_system(face, host):
    buffers = connect(face, "tcp://127.0.0.1:*" if host != "127.3.2.1" else "tcp://127.3.2.1:*", host)
    assert buffers == {"connected": 2 * SENT, "bound": 2 * SENT}


def test_where_others_may_come_from_the_system_decides(face):
    # 0.0.0.0 is this machine to Linux, and any address to us.
    buffers = connect(face, "tcp://0.0.0.0:*", "0.0.0.0")
    assert 2 * SENT not in buffers.values()


def test_one_socket_may_do_both(face):
    with (
        face.consumer(bind=["tcp://127.0.0.1:*", "tcp://0.0.0.0:*"]) as consumer,
        face.producer(connect=[consumer.addresses[0], consumer.addresses[1]]) as producer,
    ):
        near, far = (int(address.rpartition(":")[2]) for address in consumer.addresses)
        for _ in range(2):
            producer.send(np.arange(5))
            consumer.recv()
        wait_until(lambda: len(send_buffers(near)) == len(send_buffers(far)) == 2)
        assert set(send_buffers(near).values()) == {2 * SENT}
        assert 2 * SENT not in send_buffers(far).values()


def test_a_connection_that_was_left_is_made_anew_with_as_little():
    """Though the address that was connected last is another kind."""
    with (
        npt.Consumer(bind=["tcp://127.0.0.1:*", "tcp://0.0.0.0:*"]) as consumer,
        npt.Producer(connect=[consumer.addresses[0], consumer.addresses[1]]) as producer,
    ):
        near, far = (int(address.rpartition(":")[2]) for address in consumer.addresses)
        wait_until(lambda: producer.statistics().connections == 2)
        assert producer._channel.reconnect_all()
        wait_until(lambda: producer.statistics().disconnects == 2 and producer.statistics().connections == 2)
        assert send_buffers(near)["connected"] == 2 * SENT
        assert send_buffers(far)["connected"] != 2 * SENT
