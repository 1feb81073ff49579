"""A cable between two ends of a TCP connection: it can be cut, be slow, and go silent without a word to either."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
from children import PATIENCE


class Cable:
    """Forwards what comes to its own address to another, and back."""

    def __init__(self, address, *, notes=False, fuses=None):
        self._fuses = fuses  # gives, for each connection, the bytes after which it is cut; None for never
        self.delay = 0.0
        """Seconds for which each piece is held up."""
        self.passed = bytearray() if notes else None
        """What has passed in either direction."""
        host, port = address.removeprefix("tcp://").split(":")
        self._target = host, int(port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._lock = threading.Lock()
        self._lines = []
        self._threads = []
        self.accepted = 0
        self._open = True
        self._start(self._accept)

    def _start(self, run, *args):
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while self._open:
                near, _ = self._server.accept()
                if not self._open:
                    near.close()
                    return
                try:
                    far = socket.create_connection(self._target, PATIENCE)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                line = _Line(self, near, far, None if self._fuses is None else next(self._fuses))
                with self._lock:
                    self._lines.append(line)
                    self.accepted += 1
                self._start(line.forward, near, far)
                self._start(line.forward, far, near)

    def cut(self):
        """End the connections that there are, both ends at once; whoever connects anew is served."""
        assert self.cut_all()

    def cut_all(self):
        """The same, where there may be none; how many there were."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            line.end()
        return len(lines)

    def fall_silent(self):
        """Forward nothing more on the connections that there are; those that come anew are served."""
        assert self.silence_all()

    def silence_all(self):
        """The same, where there may be none; how many there are."""
        with self._lock:
            for line in self._lines:
                line.silent.set()
            return len(self._lines)

    def close(self):
        self._open = False
        self.cut_all()
        with contextlib.suppress(OSError):
            socket.create_connection(self._server.getsockname()).close()  # wakes accept
        self._server.close()
        for thread in self._threads:
            thread.join(PATIENCE)


class _Line:
    def __init__(self, cable, near, far, fuse):
        self._cable = cable
        self._ends = near, far
        self._left = fuse
        self.silent = threading.Event()
        self._ended = threading.Event()

    def forward(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                if self.silent.is_set():
                    self._ended.wait()  # neither end hears of it: nothing is taken, nothing is closed
                    return
                if self._cable.delay:
                    time.sleep(self._cable.delay)
                if self._cable.passed is not None:
                    self._cable.passed += data
                if self._left is not None:
                    data = data[: self._left]
                    self._left -= len(data)
                target.sendall(data)
                if self._left == 0:
                    break
        if not self.silent.is_set():
            self.end()

    def end(self):
        self._ended.set()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture(name="cable")
def cable_fixture():
    """``cable(address)``: a cable to an address."""
    with contextlib.ExitStack() as opened:

        def lay(address, **options):
            made = Cable(address, **options)
            opened.callback(made.close)
            return made

        yield lay
