"""Who listens to a publisher, told by the subscriptions that come in; no socket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .outlets import Outlet, Route
from .tags import Kind, Mode, is_tagged, is_too_long, read_tag

__all__ = ["Audience", "Reaction"]

# Together all that a first part can be, but for tags: the lead bytes of UTF-8, and those of metadata without a topic.
# A plain subscriber to everything is given these, and not what is meant for one of ours alone.
_EVERYTHING = [bytes([lead]) for lead in [*range(0x80), *range(0x81, 0x90), *range(0xC2, 0xF5)]]


_LOSSES = ("dropped_for_messages", "dropped_for_bytes", "replaced")


class Reaction(NamedTuple):
    """What is to be done about a notice: (un)subscribe its sender to prefixes, greet an outlet that wants more."""

    subscribe: list[tuple[bool, bytes]]
    joined: Sequence[tuple[Outlet, bytes]] = ()
    superseded: int | None = None
    """Connection of a subscriber that has come again on another, and will not read from this one any more; or that
    cannot be served."""


class Audience:
    """All outlets, and how many plain and hidden subscribers there are beside them."""

    def __init__(self) -> None:
        self.outlets: dict[bytes, Outlet] = {}
        self.plain = Outlet(b"")
        self.version = 0
        """Raised with each change."""
        self._lost = dict.fromkeys(_LOSSES, 0)  # of those who have left
        self._asked: Counter[bytes] = Counter()  # prefixes without a tag, whoever it was
        self._asked_on: dict[bytes, list[int]] = {}  # the connections that each of them was asked for on, the last last
        self._copies: dict[bytes, Counter[bytes]] = {}  # those of ours, by number, some before they have said who it is
        self._announced: Counter[bytes] = Counter()  # the same, all together
        self._hidden: dict[bytes, Counter[bytes]] = {}
        # An XSUB may send messages upstream, and whatever is no ZeroMQ at all may look like one. For each that is read,
        # libzmq 4.3 in manual mode passes over the sender of one notice, and takes the next one's for that of this one.
        # So whoever sends such is cut off, and those whose notices wait behind it, which come again by themselves.
        self._astray = False

    def hear(self, notice: bytes, connection: int | None) -> Reaction:
        """Take in a notice of XPUB's: 01 or 00, and the prefix that is subscribed to or no more.

        Args:
            connection: a number of what it came from, which no other ever has, where that is known.
        """
        self.version += 1
        if notice[:1] not in (b"\x00", b"\x01"):
            self._astray = True
            return Reaction([], superseded=connection)
        reaction = self._hear(notice[:1] == b"\x01", notice[1:], connection)
        return Reaction([], superseded=connection) if self._astray else reaction

    def settle(self) -> None:
        """No more notices are waiting, and so ZeroMQ knows again whom the next one comes from."""
        self._astray = False

    def _hear(self, wanted: bool, prefix: bytes, connection: int | None) -> Reaction:
        if is_too_long(prefix):  # a proxy would have to ask for it, too
            return Reaction([])
        if not is_tagged(prefix):
            return self._hear_plain(wanted, prefix, connection)
        hello = read_tag(prefix)
        if hello is None:
            return Reaction([])  # of a later version
        if hello.kind is Kind.SELF:
            return self._hear_self(wanted, hello.number, hello.rest, prefix, connection)
        if hello.kind is Kind.COPY:
            return self._hear_copy(wanted, hello.number, hello.rest, prefix)
        self._count(self._hidden.setdefault(hello.number, Counter()), wanted, hello.rest)
        if not self._hidden[hello.number]:
            del self._hidden[hello.number]
        return Reaction([(wanted, prefix)])

    def _hear_plain(self, wanted: bool, prefix: bytes, connection: int | None) -> Reaction:
        if self._is_known(wanted, prefix, connection):
            return Reaction([])  # said twice, and will be withdrawn once
        self._count(self._asked, wanted, prefix)
        self._tell_plain(prefix)
        # One of ours asks for its copy, too, and that is what it gets. ZeroMQ repeats subscriptions in any order.
        ours = connection is not None and any(connection in outlet.connections for outlet in self.outlets.values())
        if wanted:
            return Reaction([] if ours else self._apply(True, prefix))
        # What stands for everything may be a prefix of its own, too, and has to stay then.
        keep = _EVERYTHING if self._asked[b""] else self._asked
        return Reaction([each for each in self._apply(False, prefix) if each[1] not in keep])

    def _is_known(self, wanted: bool, prefix: bytes, connection: int | None) -> bool:
        """Whether ``connection`` has asked for ``prefix`` before; notes that it has, or does no more."""
        known = self._asked_on.setdefault(prefix, [])
        if wanted:
            if connection in known:
                return True
            if connection is not None:
                known.append(connection)
        elif connection in known:
            known.remove(connection)
        else:  # one that has ended, which is not told; probably the one that was there first
            del known[:1]
        if not known:
            del self._asked_on[prefix]
        return False

    def _hear_self(self, wanted: bool, number: bytes, rest: bytes, prefix: bytes, connection: int | None) -> Reaction:
        if not rest or rest[0] not in set(Mode):
            return Reaction([])
        outlet, superseded = self.outlets.get(number), None
        if wanted and outlet is not None and connection is not None and connection in outlet.connections:
            return Reaction([])  # said twice, and will be withdrawn once
        joined: list[tuple[Outlet, bytes]] = []
        if wanted:
            if outlet is None:
                copies, expected = self._copies.setdefault(number, Counter()), int.from_bytes(rest[1:3], "big")
                outlet = self.outlets[number] = Outlet(number, Mode(rest[0]), copies, expected, prefix)
                joined = [(outlet, each) for each in copies]
            elif outlet.connections[-1] != connection:
                superseded = outlet.connections[-1]
            outlet.connections.append(connection)
        elif outlet is not None:
            del outlet.connections[0]
            if not outlet.connections:
                del self.outlets[number]
                for name in _LOSSES:
                    self._lost[name] += getattr(outlet, name)
                if not outlet.prefixes:
                    del self._copies[number]
        # Copies may have been asked for before, and what they are copies of since.
        plain = [each for copy in self._copies.get(number, ()) for each in self._apply(False, copy)] if wanted else []
        return Reaction([*plain, (wanted, prefix)], joined, superseded)

    def _hear_copy(self, wanted: bool, number: bytes, rest: bytes, prefix: bytes) -> Reaction:
        copies = self._copies.setdefault(number, Counter())
        if wanted or rest in copies:
            self._count(copies, wanted, rest)
            self._count(self._announced, wanted, rest)
        outlet = self.outlets.get(number)
        if not copies and outlet is None:
            del self._copies[number]
        self._tell_plain(rest)
        if not wanted:
            return Reaction([(False, prefix)])
        return Reaction([*self._apply(False, rest), (True, prefix)], [(outlet, rest)] if outlet is not None else [])

    def _tell_plain(self, prefix: bytes) -> None:
        """Find out how many plain subscribers want ``prefix``: those who asked for it and not for a copy."""
        count = self._asked[prefix] - self._announced[prefix]
        if count > 0:
            self.plain.prefixes[prefix] = count
        else:
            self.plain.prefixes.pop(prefix, None)

    @staticmethod
    def _apply(wanted: bool, prefix: bytes) -> list[tuple[bool, bytes]]:
        return [(wanted, each) for each in ([prefix] if prefix else _EVERYTHING)]

    @staticmethod
    def _count(counter: Counter[bytes], wanted: bool, key: bytes) -> None:
        counter[key] += 1 if wanted else -1
        if counter[key] <= 0:
            del counter[key]

    def prefixes(self) -> set[bytes]:
        """All that anybody here wants."""
        return set(self._asked) | {prefix for outlet in self.outlets.values() for prefix in outlet.prefixes}

    def hidden(self) -> set[tuple[bytes, bytes]]:
        """Number and prefix of each subscriber that is all there, here and behind proxies."""
        here = {
            (outlet.number, prefix)
            for outlet in self.outlets.values()
            if outlet.mode is not Mode.RELAY and len(outlet.prefixes) >= outlet.expected
            for prefix in outlet.prefixes
        }
        return here | {(number, prefix) for number, prefixes in self._hidden.items() for prefix in prefixes}

    def losses(self) -> dict[str, int]:
        """Messages that somebody who has ever been here did not get, by the name of the count in Outlet."""
        outlets = [*self.outlets.values(), self.plain]
        return {name: lost + sum(int(getattr(outlet, name)) for outlet in outlets) for name, lost in self._lost.items()}

    def matching(self, topic: bytes) -> list[Outlet]:
        """The outlets that want ``topic``."""
        return [outlet for outlet in self.outlets.values() if outlet.wants(topic)]

    def direct(self, route: Route) -> None:
        """Let ``route`` lead to those who are here now."""
        if route.version != self.version:
            route.version = self.version
            route.outlets = self.matching(route.name)
            route.heads = [outlet.copy_tag + route.name for outlet in route.outlets]
            route.plain = self.plain.wants(route.name)

    def count(self, topic: bytes | None) -> int:
        """Number of subscribers that want ``topic``, or anything at all: ours, and those behind proxies. Of plain ones,
        each matching subscription counts."""

        def matches(prefix: bytes) -> bool:
            return topic is None or topic.startswith(prefix)

        ours = {number for number, prefix in self.hidden() if matches(prefix)}
        plain = sum(count for prefix, count in self.plain.prefixes.items() if matches(prefix))
        # One of ours says first how many copies it will ask for; until it has, what it asks for looks plain.
        coming = sum(max(0, outlet.expected - len(outlet.prefixes)) for outlet in self.outlets.values())
        return len(ours) + max(0, plain - coming)
