"""Which of the threads that share a client uses the socket: one that waits, for all, and the others wait for it."""

from __future__ import annotations

import threading
import time

from ..protocol.calls import Call
from ..transport.waking import Waker
from .requesting import SLICE, Requesting

__all__ = ["Leading"]

_REST = 1.0  # seconds that the thread beside waits for more to do before it ends


class Leading(Requesting):
    """A client that threads share."""

    def _set_up_leading(self) -> None:
        self._leading = threading.Lock()  # whose holder uses the socket, for all
        self._followers = 0
        self._asleep = False
        self._shared = False  # whether anybody but the one who leads has ever had to be heard meanwhile
        self._thread: threading.Thread | None = None
        self._waker = Waker()

    def _await(self, call: Call) -> None:
        while not call.done:
            if self._leading.acquire(blocking=False):
                try:
                    self._lead(call)
                finally:
                    self._leading.release()
                    if self._followers:
                        with self._changed:
                            self._changed.notify_all()
            else:
                self._shared = True
                self._wake()
                with self._changed:
                    self._followers += 1
                    if not call.done and self._leading.locked():
                        self._changed.wait(SLICE)
                    self._followers -= 1

    def _lead(self, call: Call | None) -> None:
        """Until ``call`` is done; None: until nothing is outstanding that nobody waits for."""
        while True:
            self._tend()
            if self._shared:
                self._receive()
                with self._changed:
                    self._changed.notify_all()
            if call.done if call is not None else not self._calls.unattended:
                return
            self._channel.check_open()
            self._sleep()
            if call is not None and call.done:
                if call.error is not None:
                    self._tend()  # should it have been given up, the other side is to know
                return

    def _sleep(self) -> None:
        now = time.monotonic()
        left = self._calls.due(now, SLICE)
        if left <= 0:
            self._expire(now)
        elif self._shared or self._blocked or left < SLICE:
            self._asleep = True
            if self._blocked or not self._calls.anything_to_send(now):
                self._channel.await_event(self._waker.descriptor, left, room=self._blocked)
            self._asleep = False
            self._waker.heed()
        else:
            # Nobody else is there: a receive that blocks costs less than to poll, and then to receive.
            first = self._channel.receive_eagerly(left)
            if first is not None:
                self._take(first)

    def _wake(self) -> None:
        if self._asleep:
            self._waker.wake()

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve_futures, name=f"client at {self._channel}", daemon=True)
            self._thread.start()

    def _serve_futures(self) -> None:
        """Leads while there are calls that nobody waits for, and nobody else does."""
        while True:
            if self._calls.unattended and self._leading.acquire(blocking=False):
                try:
                    self._lead(None)
                except Exception as error:  # noqa: BLE001 - whatever it was, nobody is to wait for ever
                    self._end_all(None if self._channel.closing else error)
                finally:
                    self._leading.release()
                    with self._changed:
                        self._changed.notify_all()
            with self._changed:
                if self._channel.closing:
                    return
                if self._calls.unattended:
                    if self._leading.locked():
                        self._changed.wait(SLICE)
                elif not self._changed.wait_for(lambda: self._calls.unattended or self._channel.closing, _REST):
                    self._thread = None
                    return

    def _give_up(self, call: Call) -> bool:
        if not self._abandon(call):
            return False
        with self._changed:
            self._changed.notify_all()
            if self._thread is None and not self._channel.closing:
                self._start_thread()
        self._wake()
        return True

    def _close_blocking(self) -> None:
        channel = self._channel
        if channel.is_forked or channel.closing:
            return
        channel.closing = True
        self._end_all()
        with self._changed:
            self._changed.notify_all()
        if not hasattr(self, "_waker"):
            channel.close()
        else:
            self._wake()
            with self._leading:
                channel.close()
        self._stop_exchange(0)
