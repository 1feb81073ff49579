"""The end of what broadcasts, waited for without holding up the event loop."""

from __future__ import annotations

from ..errors import AuthenticationError, ConnectionClosed, Timeout
from ..patterns.broadcasting import Broadcasting
from .channel import go_on

__all__ = ["close_soon"]


async def close_soon(endpoint: Broadcasting, linger: float | None) -> int:
    """As ``endpoint._close_blocking``."""
    if not endpoint._begin_to_close():
        return 0
    try:
        await go_on(endpoint._backend, endpoint._ending(), endpoint._linger if linger is None else linger)
        return 0
    except (Timeout, AuthenticationError, ConnectionClosed) as error:
        return endpoint._report(str(error))
    finally:
        endpoint._destroy()
