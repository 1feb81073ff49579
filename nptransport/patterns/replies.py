"""The futures that a client hands out. A room of its own: concurrent.futures takes long to import."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any

from ..protocol.calls import Call

__all__ = ["Reply"]


class Reply(Future[Any]):
    """The future of one call; to cancel it gives the call up."""

    call: Call

    def __init__(self, give_up: Callable[[Call], bool]) -> None:
        """``give_up``: gives a call up; whether it was outstanding still, and is not going to be settled."""
        super().__init__()
        self._give_up = give_up

    def cancel(self) -> bool:
        """Give the call up: True unless it has been answered. Not begun yet, it never will be; one that is being
        worked on goes on, and its answer is dropped."""
        if not super().cancel():
            return False
        if self._give_up(self.call):
            self.set_running_or_notify_cancel()  # or concurrent.futures.wait() would not hear of it
        return True

    def settle(self, call: Call) -> None:
        """Its call has ended."""
        try:
            if call.error is not None:
                self.set_exception(call.error)
            else:
                self.set_result(call.result)
        except InvalidStateError:  # it was cancelled this moment
            self.set_running_or_notify_cancel()
