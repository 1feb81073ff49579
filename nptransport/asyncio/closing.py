"""The end of what works in a thread of its own, waited for without holding up the event loop."""

from __future__ import annotations

import asyncio
import threading
import time

from ..errors import AuthenticationError, ConnectionClosed, Timeout
from ..patterns.broadcasting import Broadcasting
from ..transport.ending import read_linger
from ..transport.steps import LOOK
from .channel import go_on

__all__ = ["close_soon", "wait_until_ended"]


async def close_soon(endpoint: Broadcasting, linger: float | None) -> int:
    """As ``endpoint._close_blocking``."""
    linger = read_linger(linger, endpoint._linger)
    if not endpoint._begin_to_close():
        return 0
    try:
        await go_on(endpoint._backend, endpoint._ending(), linger)
        return 0
    except (Timeout, AuthenticationError, ConnectionClosed) as error:
        return endpoint._report(str(error))
    finally:
        endpoint._destroy()


async def wait_until_ended(ended: threading.Event, name: object, timeout: float | None) -> None:
    """Return once ``ended`` is set; Timeout after ``timeout`` seconds (None: no end)."""
    end = None if timeout is None else time.monotonic() + timeout
    while not ended.is_set():
        left = LOOK if end is None else min(LOOK, end - time.monotonic())
        if left <= 0:
            raise Timeout(f"{name}: still serving after {timeout:g} s", seconds=timeout)
        await asyncio.sleep(left)
