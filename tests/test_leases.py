"""Warm buffers that several readers share: counted while out, taken up again when the last has let go."""

from __future__ import annotations

import threading

import numpy as np

from nptransport.memory.leases import Leases, Readings

KB = 1000


def test_a_copy_holds_what_was_there():
    leases, source = Leases(100 * KB), bytearray(b"x" * 10 * KB)
    lease = leases.copy(memoryview(source))
    source[:] = b"y" * 10 * KB
    assert lease.tobytes() == b"x" * 10 * KB
    assert leases.nbytes == 10 * KB


def test_bytes_are_out_until_the_last_view_has_gone():
    leases = Leases(100 * KB)
    lease = leases.copy(bytes(10 * KB))
    view = lease.data
    other = memoryview(view)[5:]
    del lease, view
    assert leases.nbytes == 10 * KB
    del other
    assert leases.nbytes == 0


def test_a_buffer_that_came_back_is_used_again():
    leases = Leases(100 * KB)
    lease = leases.copy(bytes(10 * KB))
    first = lease.ctypes.data
    del lease
    lease = leases.copy(b"z" * 9 * KB)
    assert (lease.ctypes.data, lease.tobytes()) == (first, b"z" * 9 * KB)
    other = leases.copy(bytes(10 * KB))
    assert other.ctypes.data != first


def test_a_buffer_much_too_large_stays_for_others():
    leases = Leases(1000 * KB)
    lease = leases.copy(bytes(100 * KB))
    first = lease.ctypes.data
    del lease
    small = leases.copy(bytes(10 * KB))
    assert small.nbytes == 10 * KB
    assert small.ctypes.data != first
    assert leases.copy(bytes(90 * KB)).ctypes.data == first


def test_what_is_idle_gives_way_to_what_is_out():
    """Together they stay within the budget, as far as what is out allows."""
    leases = Leases(100 * KB)
    held = [leases.copy(bytes(20 * KB)) for _ in range(5)]
    del held
    held = [leases.copy(bytes(60 * KB))]
    assert leases.nbytes + sum(idle.nbytes for idle in leases._idle) <= 100 * KB
    held += [leases.copy(bytes(70 * KB))]
    assert leases.nbytes == 130 * KB  # who goes beyond is asked before
    assert leases._idle == []


def test_memory_that_is_lent_is_not_copied_and_comes_back():
    leases, free, source = Leases(100 * KB), [], np.arange(KB)
    lease = leases.lend(source.data.cast("B"), lambda: free.append(True))
    assert np.shares_memory(lease, source)
    assert (leases.nbytes, free) == (source.nbytes, [])
    del lease
    assert (leases.nbytes, free) == (0, [True])
    assert leases._idle == []  # it is the caller's
    assert leases.lend(b"abc", None).tobytes() == b"abc"
    assert leases.nbytes == 0


def test_readings_count_for_one_reader():
    leases, one, other, ends = Leases(100 * KB), Readings(), Readings(), []
    one.on_end = lambda: ends.append("one")
    lease = leases.copy(bytes(10 * KB))
    views = [one.view(lease, 1), one.view(lease, 0), other.view(lease, 1)]
    del lease
    assert (one.messages, one.nbytes, other.messages, other.nbytes) == (1, 20 * KB, 1, 10 * KB)
    assert leases.nbytes == 10 * KB
    views.pop()
    assert (other.messages, other.nbytes, leases.nbytes, ends) == (0, 0, 10 * KB, [])
    views.clear()
    assert (one.messages, one.nbytes, leases.nbytes, ends) == (0, 0, 0, ["one", "one"])


def test_threads():
    """Views that end in whatever thread: nothing is lost, and no buffer is with two at once."""
    leases, reader, mistakes = Leases(1000 * KB), Readings(), []

    def work(number):
        for size in range(200):
            payload = bytes([number]) * (4 * KB + size)
            lease = leases.copy(payload)
            view = reader.view(lease, 1)
            del lease
            if bytes(view) != payload:
                mistakes.append((number, size))

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (mistakes, leases.nbytes, reader.messages, reader.nbytes) == ([], 0, 0, 0)
