"""A server's desk: which calls wait for their turn, and which are being worked on."""

from __future__ import annotations

from typing import Any

__all__ = ["Desk", "Task"]

Key = tuple[bytes, int]


class Task:
    """A call at the server's side.

    Args:
        peer: where the answer goes: the routing identity, empty where there is one peer only.
        client: whose call it is.
        letter: its arguments, not opened yet: plan and parts; an error if they cannot be.
    """

    __slots__ = ("attempt", "client", "form", "key", "letter", "method", "nbytes", "number", "peer")

    def __init__(
        self, peer: bytes, client: bytes, number: int, attempt: int, method: str, form: int, letter: Any, nbytes: int
    ) -> None:
        self.peer, self.client, self.number, self.attempt = peer, client, number, attempt
        self.method, self.form, self.letter, self.nbytes = method, form, letter, nbytes
        self.key: Key = client, number


class Desk:
    """Calls in the order of their coming, each key once."""

    def __init__(self) -> None:
        self._waiting: dict[Key, Task] = {}
        self._begun: dict[Key, Task] = {}
        self.nbytes = 0
        """Bytes of the calls that wait."""
        self.repeated = 0
        """Calls that came again while they were waiting or being worked on."""
        self.cancelled = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def begun(self) -> int:
        return len(self._begun)

    def add(self, task: Task) -> bool:
        """Whether it is new. One that is there already is not worked on twice: its answer goes to who asked last."""
        key = task.key
        known = self._waiting.get(key) or self._begun.get(key)
        if known is not None:
            known.peer, known.attempt = task.peer, task.attempt
            self.repeated += 1
            return False
        self._waiting[key] = task
        self.nbytes += task.nbytes
        return True

    def next(self) -> Task | None:
        """The call that has waited longest, which is begun now."""
        if not self._waiting:
            return None
        key = next(iter(self._waiting))
        task = self._begun[key] = self._waiting.pop(key)
        self.nbytes -= task.nbytes
        return task

    def begin(self, task: Task) -> None:
        """A call that has just come is begun at once; for who begins one at a time."""
        self._begun[task.key] = task

    def done(self, task: Task) -> None:
        del self._begun[task.key]

    def cancel(self, key: Key) -> Task | None:
        """Drop a call that has not been begun; the task if there was one."""
        task = self._waiting.pop(key, None)
        if task is not None:
            self.nbytes -= task.nbytes
            self.cancelled += 1
        return task

    def clear(self) -> list[Task]:
        """Drop all that have not been begun."""
        dropped = list(self._waiting.values())
        self._waiting.clear()
        self.nbytes = 0
        return dropped
