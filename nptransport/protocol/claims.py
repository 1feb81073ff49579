"""Who holds which message in shared memory, from what readers say: no memory, no socket.

A message is *sent* in so many copies, *claimed* by each reader that has got one, *released* by it, and *free* once
every copy was claimed and every claim released. What a reader says counts for itself alone: it can hold a message for
longer, never free one that another holds.

A reader claims in the order in which messages were sent to it. So once every living reader has claimed something newer
than the death of another, what was sent before and nobody has claimed went to the dead, and is *lost*.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Claims", "Held"]

T = TypeVar("T")


class Held(Generic[T]):
    """One message, and who holds it."""

    __slots__ = ("generation", "holders", "listed", "thing", "unclaimed")

    def __init__(self, generation: int, thing: T, copies: int) -> None:
        self.generation, self.thing = generation, thing
        self.unclaimed = copies
        self.holders: set[Hashable] = set()
        self.listed = False
        """Whether it has been given out as free."""

    @property
    def is_free(self) -> bool:
        return not self.unclaimed and not self.holders


class _Reader:
    __slots__ = ("held", "leaving", "newest")

    def __init__(self) -> None:
        self.newest = 0
        self.held: set[int] = set()
        self.leaving = False


class Claims(Generic[T]):
    """The messages of one sender, by generation: 1, 2, 3 and so on, as they were sent."""

    def __init__(self) -> None:
        self._messages: dict[int, Held[T]] = {}
        self._readers: dict[Hashable, _Reader] = {}
        self._unclaimed: dict[int, Held[T]] = {}  # in order
        self._freed: list[T] = []
        self._marked = 0  # the newest message sent before the last death that is not settled
        self.newest = 0
        """Generation of the last message."""
        self.lost = 0
        """Copies that went to readers who died before they claimed them."""

    def next(self) -> int:
        """The generation of the message to be sent now."""
        self.newest += 1
        return self.newest

    def sent(self, generation: int, thing: T, copies: int = 1) -> None:
        """So many copies of a message that is in ``thing`` have been sent."""
        held = self._messages[generation] = Held(generation, thing, copies)
        if copies:
            self._unclaimed[generation] = held
        else:
            self._list(held)

    def withdraw(self, generation: int) -> None:
        """That message has not been sent after all."""
        self._unclaimed.pop(generation, None)
        self._messages.pop(generation, None)

    # What readers say

    def join(self, reader: Hashable) -> None:
        """A reader has come."""
        self._readers[reader] = _Reader()

    def claim(self, reader: Hashable, generation: int) -> None:
        """It has got a message, and goes on to read it."""
        state = self._readers[reader]
        state.newest = max(state.newest, min(generation, self.newest))
        held = self._messages.get(generation)
        if held is None:
            return
        state.held.add(generation)
        held.holders.add(reader)
        if held.unclaimed:
            held.unclaimed -= 1
            if not held.unclaimed:
                del self._unclaimed[generation]

    def release(self, reader: Hashable, generation: int) -> None:
        """It does not look at a message any more."""
        state = self._readers[reader]
        if generation in state.held:
            state.held.remove(generation)
            self._let_go(reader, generation)

    def leave(self, reader: Hashable) -> None:
        """It claims nothing more, and holds what it holds."""
        state = self._readers[reader]
        if not state.leaving:
            state.leaving = True
            self.suspect()

    def suspect(self) -> None:
        """Somebody has gone: what nobody has claimed may have been sent there."""
        if self._unclaimed:
            self._marked = self.newest

    def gone(self, reader: Hashable) -> None:
        """It is dead, and holds nothing any more."""
        self.leave(reader)
        for generation in self._readers.pop(reader).held:
            self._let_go(reader, generation)

    def _let_go(self, reader: Hashable, generation: int) -> None:
        held = self._messages.get(generation)
        if held is not None:
            held.holders.discard(reader)
            self._list(held)

    def _list(self, held: Held[T]) -> None:
        if held.is_free and not held.listed:
            held.listed = True
            self._freed.append(held.thing)

    # What comes of it

    def take_freed(self) -> list[T]:
        """What has become free since this was asked last."""
        freed, self._freed = self._freed, []
        return freed

    def forget(self, generation: int) -> bool:
        """A free message is to be written over. False if somebody has claimed it after all: then it is free no more."""
        held = self._messages.get(generation)
        if held is None:
            return True
        if held.holders:
            held.listed = False
            return False
        del self._messages[generation]
        return True

    def in_doubt(self) -> int:
        """Number of messages that may have gone to the dead, or wait for the living."""
        if not self._marked:
            return 0
        return sum(generation <= self._marked for generation in self._unclaimed)

    def settle(self, peers: int) -> None:
        """Free what is lost. ``peers``: readers known to be there, whether they have said something or not."""
        if not self._marked:
            return
        living = [reader for reader in self._readers.values() if not reader.leaving]
        if not living or len(living) < peers or min(reader.newest for reader in living) <= self._marked:
            return
        for generation in [each for each in self._unclaimed if each <= self._marked]:
            held = self._unclaimed.pop(generation)
            self.lost += held.unclaimed
            held.unclaimed = 0
            self._list(held)
        self._marked = 0

    def holdings(self) -> dict[Hashable, list[T]]:
        """What each reader holds; None: what nobody has claimed."""
        held: dict[Hashable, list[T]] = {
            reader: [self._messages[each].thing for each in sorted(state.held) if each in self._messages]
            for reader, state in self._readers.items()
            if state.held
        }
        if self._unclaimed:
            held[None] = [each.thing for each in self._unclaimed.values()]
        return held

    @property
    def unclaimed(self) -> int:
        """Messages of which not every copy has been claimed."""
        return len(self._unclaimed)
