"""Who holds which message in shared memory, from what readers say: no memory, no socket.

A message is *sent* in so many copies, *claimed* by each reader that has got one, *released* by it, and *free* once
every copy was claimed and every claim released. What a reader says counts for itself alone: it can hold a message for
longer, never free one that another holds.

A reader claims in the order in which messages were sent to it. So once every living reader has claimed something newer
than the death of another, what was sent before and nobody has claimed went to the dead, and is *lost*. Where copies are
*addressed*, it is known whom each went to: what comes before the one that this reader claims, and all when it has gone,
is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

__all__ = ["Account", "Claims", "Held"]

T = TypeVar("T")


_REMEMBERED = 4096
_NOTHING_OWED: tuple[None, deque[int]] = (None, deque())
_OWN = "the sender"  # holds a message while it is being sent, and as long as it may be sent again


class Account(Protocol):
    """What an addressee has not let go of yet."""

    def fetched(self) -> None:
        """A message has been claimed."""

    def let_go(self, nbytes: int) -> None:
        """It is held no more, or was lost."""


class Held(Generic[T]):
    """One message, and who holds it."""

    __slots__ = ("addressed", "generation", "holders", "listed", "nbytes", "thing", "unclaimed")

    def __init__(self, generation: int, thing: T, copies: int) -> None:
        self.generation, self.thing = generation, thing
        self.unclaimed = copies
        self.addressed = False
        self.nbytes = 0
        self.holders: set[Hashable] = set()
        self.listed = False
        """Whether it has been given out as free."""


class _Reader:
    __slots__ = ("held", "leaving", "name", "newest")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.newest = 0
        self.held: dict[int, Account | None] = {}
        self.leaving = False


class Claims(Generic[T]):
    """The messages of one sender, by generation: 1, 2, 3 and so on, as they were sent."""

    def __init__(self) -> None:
        self._messages: dict[int, Held[T]] = {}
        self._readers: dict[Hashable, _Reader] = {}
        self._freed: list[T] = []
        self._owed: dict[bytes, tuple[Account | None, deque[int]]] = {}  # addressee: its copies, in order
        self._old: set[int] = set()  # unclaimed when looked at last
        self._departed: dict[bytes, None] = {}  # addressees that have come and gone
        self._marked = 0  # the newest message sent before the last death that is not settled
        self.waiting: dict[int, Held[T]] = {}
        """Messages of which not every copy has been claimed, in order."""
        self.newest = 0
        """Generation of the last message."""
        self.claimed = 0
        """Claims that readers have made."""
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
            self.waiting[generation] = held
        else:
            self._list(held)

    def reach(self, reader: Hashable, generation: int) -> None:
        """It has got that message, of which this knows nothing."""
        state = self._readers[reader]
        state.newest = max(state.newest, min(generation, self.newest))

    def withdraw(self, generation: int) -> None:
        """That message has not been sent after all."""
        self.waiting.pop(generation, None)
        self._messages.pop(generation, None)

    # Copies that are addressed

    def begin(self, generation: int, thing: T, nbytes: int) -> None:
        """A message is in ``thing``, from which copies will be sent."""
        held = self._messages[generation] = Held(generation, thing, 0)
        held.addressed, held.nbytes = True, nbytes
        held.holders.add(_OWN)

    def address(self, generation: int, to: bytes, account: Account | None = None) -> None:
        """A copy is sent to somebody, whose ``account`` hears of what becomes of it."""
        held = self._messages[generation]
        held.unclaimed += 1
        if to in self._departed:  # a connection of its that has not ended yet takes it nowhere
            self._lose(generation, account)
            return
        self.waiting[generation] = held
        owed = self._owed.get(to)
        if owed is None:
            owed = self._owed[to] = (account, deque())
        owed[1].append(generation)

    def take_back(self, generation: int, to: bytes) -> bool:
        """That copy, the last one to there, could not be sent. False if it is lost already with the addressee."""
        _, owed = self._owed.get(to, _NOTHING_OWED)
        if not owed or owed[-1] != generation:
            return False
        owed.pop()
        self._count_copy(self._messages[generation])
        return True

    def end(self, generation: int) -> None:
        """No more copies will be sent."""
        held = self._messages.get(generation)
        if held is not None:
            held.holders.discard(_OWN)
            self._list(held)

    def forget_addressee(self, to: bytes) -> None:
        """It has gone: what it has not claimed is lost."""
        account, owed = self._owed.pop(to, _NOTHING_OWED)
        for generation in owed:
            self._lose(generation, account)

    def _fetch(self, name: bytes, generation: int) -> Account | None:
        """Count a copy as claimed, and those before it as lost; whose it was."""
        account, owed = self._owed.get(name, _NOTHING_OWED)
        if generation not in owed:
            return None
        while (first := owed.popleft()) != generation:
            self._lose(first, account)
        self._count_copy(self._messages[generation])
        if account is not None:
            account.fetched()
        return account

    def give_up_old(self) -> None:
        """What was waiting for its addressee when this was called last, and does so still, is lost."""
        for name, (account, owed) in list(self._owed.items()):
            while owed and owed[0] in self._old:
                self._lose(owed.popleft(), account)
            if not owed:
                del self._owed[name]
        self._old = set(self.waiting)

    def _lose(self, generation: int, account: Account | None) -> None:
        self.lost += 1
        held = self._messages[generation]
        self._count_copy(held)
        if account is not None:
            account.fetched()
            account.let_go(held.nbytes)

    def _count_copy(self, held: Held[T]) -> None:
        held.unclaimed -= 1
        if not held.unclaimed:
            self.waiting.pop(held.generation, None)
            self._list(held)

    # What readers say

    def join(self, reader: Hashable, name: bytes = b"") -> None:
        """A reader has come; ``name``: as which addressee."""
        self._readers[reader] = _Reader(name)
        self._departed.pop(name, None)

    def claim(self, reader: Hashable, generation: int) -> None:
        """It has got a message, and goes on to read it."""
        self.claimed += 1
        state = self._readers[reader]
        held = self._messages.get(generation)
        if held is None:
            self.reach(reader, generation)
            return
        if generation > state.newest:
            state.newest = generation
        held.holders.add(reader)
        if held.addressed:
            account = self._fetch(state.name, generation)
            state.held[generation] = state.held.get(generation) or account
            return
        state.held[generation] = None
        if held.unclaimed:
            held.unclaimed -= 1
            if not held.unclaimed:
                del self.waiting[generation]

    def release(self, reader: Hashable, generation: int) -> None:
        """It does not look at a message any more."""
        holding = self._readers[reader].held
        if generation in holding:
            account = holding.pop(generation)
            held = self._messages.get(generation)
            if held is not None:
                if account is not None:
                    account.let_go(held.nbytes)
                held.holders.discard(reader)
                self._list(held)

    def present(self) -> list[Hashable]:
        """Who reads, and will go on to."""
        return [reader for reader, state in self._readers.items() if not state.leaving]

    def leave(self, reader: Hashable) -> None:
        """It claims nothing more, and holds what it holds."""
        state = self._readers[reader]
        if not state.leaving:
            state.leaving = True
            self.suspect()
            self.forget_addressee(state.name)
            if any(state.name):
                self._departed[state.name] = None
                if len(self._departed) > _REMEMBERED:
                    del self._departed[next(iter(self._departed))]

    def suspect(self) -> None:
        """Somebody has gone: what nobody has claimed may have been sent there."""
        if self.waiting and not self._owed:
            self._marked = self.newest

    def gone(self, reader: Hashable) -> None:
        """It is dead, and holds nothing any more."""
        self.leave(reader)
        for generation in list(self._readers[reader].held):
            self.release(reader, generation)
        del self._readers[reader]

    def _list(self, held: Held[T]) -> None:
        if not (held.unclaimed or held.holders or held.listed):
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

    def drop(self, generation: int) -> None:
        """A free message will never be written over: who claims it after all, holds what nobody else needs."""
        self._messages.pop(generation, None)

    def in_doubt(self) -> int:
        """Number of messages that may have gone to the dead, or wait for the living."""
        if not self._marked:
            return 0
        return sum(generation <= self._marked for generation in self.waiting)

    def settle(self, peers: int) -> None:
        """Free what is lost. ``peers``: readers known to be there, whether they have said something or not."""
        if not self._marked:
            return
        living = [reader for reader in self._readers.values() if not reader.leaving]
        if not living or len(living) < peers or min(reader.newest for reader in living) <= self._marked:
            return
        for generation in [each for each in self.waiting if each <= self._marked]:
            held = self.waiting.pop(generation)
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
        if self.waiting:
            held[None] = [each.thing for each in self.waiting.values()]
        return held
