"""Who listens to a publisher, told by notices in any order: as libzmq repeats them when a subscriber comes again."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nptransport.protocol.audience import Audience
from nptransport.protocol.tags import Kind, Mode, tag

PREFIXES = [b"", b"a", b"ab", b"b", "\N{SNAKE}".encode()]
TOPICS = [b"", b"a", b"ab", b"abc", b"b", b"c", "\N{SNAKE}s".encode()]
FIRST_BYTES = {b"": b"\x82"}  # without a topic, a message begins with its metadata


class Peer:
    """A subscriber, and what libzmq sends to each of its connections."""

    def __init__(self, number, mode, prefixes):
        self.number = None if mode is None else bytes([number]) * 8
        self.prefixes = prefixes
        self.mode = mode

    def subscriptions(self):
        if self.mode is None:
            return list(self.prefixes)
        own = [tag(Kind.SELF, self.number, bytes([self.mode]))]
        return [*self.prefixes, *own, *(tag(Kind.COPY, self.number, prefix) for prefix in self.prefixes)]


class Socket:
    """An XPUB in manual mode: what each connection is subscribed to, and what it asked for."""

    def __init__(self):
        self.audience = Audience()
        self.applied = {}
        self.asked = {}
        self.met = {}
        self.left = set()

    def hear(self, notice, connection, sender):
        """``sender``: whom what is done about it is done to; None once that has gone."""
        reaction = self.audience.hear(notice, connection)
        for wanted, prefix in reaction.subscribe:
            if sender in self.applied:
                (self.applied[sender].add if wanted else self.applied[sender].discard)(prefix)
        return reaction

    def connect(self, connection, peer):
        self.applied[connection], self.asked[connection], self.met[connection] = set(), [], peer

    def unsubscribe(self, connection, data):
        """A plain subscriber wants something no more; it may still be sent, and is passed over there."""
        prefix = data.draw(st.sampled_from(self.asked[connection]))
        self.asked[connection].remove(prefix)
        self.left.add(connection)
        self.hear(b"\0" + prefix, connection, connection)

    def disconnect(self, connection):
        """libzmq gives notice for all that was asked for, from nobody."""
        del self.applied[connection]
        for prefix in self.asked.pop(connection):
            self.hear(b"\0" + prefix, None, None)
        return self.met.pop(connection)


peers = st.builds(
    Peer,
    st.integers(1, 255),
    st.sampled_from([None, None, Mode.QUEUE, Mode.LATEST]),
    st.sets(st.sampled_from(PREFIXES), min_size=1, max_size=3).map(sorted),
)


@settings(max_examples=300)
@given(st.data(), st.lists(peers, min_size=1, max_size=4, unique_by=lambda peer: peer.number or id(peer)))
def test_every_subscriber_gets_what_it_asks_for_and_nothing_else(data, everyone):
    """Invariant, with all notices in: each of ours has an outlet and its copies, each plain one what it asked for."""
    socket, connections = Socket(), iter(range(100))
    coming = {}  # connection: what it has yet to say

    def come(peer):
        connection = next(connections)
        socket.connect(connection, peer)
        coming[connection] = data.draw(st.permutations(peer.subscriptions()))

    for peer in everyone:
        come(peer)
    for step in data.draw(st.lists(st.integers(0, 9), max_size=40)):
        if step == 9 and socket.met:  # somebody is cut off, and comes again at once
            connection = data.draw(st.sampled_from(sorted(socket.met)))
            coming.pop(connection, None)
            come(socket.disconnect(connection))
        elif step == 8 and (plain := [each for each in socket.met if socket.asked[each] and not socket.met[each].mode]):
            socket.unsubscribe(data.draw(st.sampled_from(plain)), data)
        elif coming:
            speak(socket, coming, data.draw(st.sampled_from(sorted(coming))))
    while coming:
        speak(socket, coming, data.draw(st.sampled_from(sorted(coming))))
    check(socket)
    while socket.met:
        socket.disconnect(data.draw(st.sampled_from(sorted(socket.met))))
        check(socket)


def speak(socket, coming, connection):
    prefix = coming[connection].pop(0)
    if not coming[connection]:
        del coming[connection]
    socket.asked[connection].append(prefix)
    socket.hear(b"\1" + prefix, connection, connection)


def check(socket):
    audience = socket.audience
    ours = {peer.number: peer for peer in socket.met.values() if peer.number}
    plain = Counter(prefix for each, peer in socket.met.items() if not peer.number for prefix in socket.asked[each])
    assert set(audience.outlets) == set(ours)
    assert audience.plain.prefixes == plain
    for number, peer in ours.items():
        assert audience.outlets[number].mode is peer.mode
        assert audience.outlets[number].prefixes == Counter(peer.prefixes)
    for topic in TOPICS:
        wanting = {number for number, peer in ours.items() if any(map(topic.startswith, peer.prefixes))}
        assert {outlet.number for outlet in audience.matching(topic)} == wanting
        matches = sum(count for prefix, count in plain.items() if topic.startswith(prefix))
        assert audience.count(topic) == len(wanting) + matches
        assert audience.plain.wants(topic) == bool(matches)
        for connection, peer in socket.met.items():
            first = FIRST_BYTES.get(topic, topic)
            gets = any(map(first.startswith, socket.applied[connection]))
            wants = any(map(topic.startswith, peer.prefixes if peer.number else socket.asked[connection]))
            if connection not in socket.left:
                assert gets == (wants and not peer.number), "plain messages are for plain subscribers"
            assert gets or not wants or peer.number
            for number in ours:
                copy = tag(Kind.COPY, number) + topic
                gets = any(map(copy.startswith, socket.applied[connection]))
                assert gets == (wants and peer.number == number), "a copy is for whom it is made"
    for connection, peer in socket.met.items():
        for number, other in ours.items():
            word = tag(Kind.SELF, number, bytes([other.mode]))
            assert (word in socket.applied[connection]) == (peer.number == number)


@given(st.lists(st.tuples(st.binary(max_size=14), st.one_of(st.none(), st.integers(0, 3))), max_size=30))
def test_any_notices_at_all(notices):
    """Nothing is raised, and one of ours that comes then is counted."""
    audience = Audience()
    for notice, connection in notices:
        audience.hear(notice, connection)
        audience.count(b"topic")
        audience.matching(b"topic")
    before = audience.count(b"new/topic")
    number = b"\xaa" * 8
    audience.hear(b"\1" + tag(Kind.SELF, number, bytes([Mode.QUEUE])), 9)
    reaction = audience.hear(b"\1" + tag(Kind.COPY, number, b"new"), 9)
    assert reaction.joined is not None
    assert audience.count(b"new/topic") == before + 1


def hear_all(audience, subscriptions, connection, wanted=True):
    return [audience.hear(bytes([wanted]) + each, connection) for each in subscriptions]


def test_who_comes_again_before_it_has_gone_is_no_second_subscriber():
    """A connection that was cut without a word: the other is of no use any more, and is to be ended."""
    audience, peer = Audience(), Peer(1, Mode.QUEUE, [b"a"])
    assert all(reaction.superseded is None for reaction in hear_all(audience, peer.subscriptions(), 5))
    assert [reaction.superseded for reaction in hear_all(audience, peer.subscriptions(), 6)] == [None, 5, None]
    assert audience.count(b"a") == 1
    hear_all(audience, peer.subscriptions(), None, wanted=False)
    assert audience.count(b"a") == 1
    hear_all(audience, peer.subscriptions(), None, wanted=False)
    assert audience.count(b"a") == 0
    assert audience.outlets == {}


@pytest.mark.parametrize("end", [None, 5], ids=["left", "withdrawn"])
def test_who_asks_twice_for_the_same_counts_once(end):
    """ZeroMQ passes on each subscription, and withdraws them at once."""
    audience = Audience()
    hear_all(audience, [b"a", b"a", b"ab", b""], 5)
    assert audience.count(b"a") == 2
    hear_all(audience, [b"a"], 6)
    assert audience.count(b"a") == 3
    hear_all(audience, [b"a", b"ab", b""], end, wanted=False)
    assert audience.count(b"a") == 1
    hear_all(audience, [b"a"], 6, wanted=False)
    assert (audience.count(b"a"), audience.prefixes()) == (0, set())


def test_what_was_dropped_for_those_who_have_left_stays_counted():
    audience, peer = Audience(), Peer(1, Mode.QUEUE, [b"a"])
    hear_all(audience, peer.subscriptions(), 5)
    (outlet,) = audience.outlets.values()
    outlet.dropped_for_bytes, outlet.dropped_for_messages, outlet.replaced = 3, 4, 5
    hear_all(audience, peer.subscriptions(), None, wanted=False)
    assert audience.losses() == {"dropped_for_bytes": 3, "dropped_for_messages": 4, "replaced": 5}


def test_subscribers_behind_a_proxy_are_counted_once_each():
    audience = Audience()
    proxy = Peer(1, Mode.RELAY, [b"a"])
    behind = [tag(Kind.BEHIND, bytes([number]) * 8, prefix) for number in (2, 3) for prefix in (b"a", b"ab")]
    hear_all(audience, [*proxy.subscriptions(), *behind], 5)
    assert (audience.count(b"abc"), audience.count(b"b")) == (2, 0)
    hear_all(audience, behind[:2], 5, wanted=False)
    assert audience.count(b"abc") == 1
    hear_all(audience, [*proxy.subscriptions(), *behind[2:]], None, wanted=False)
    assert audience.count(b"abc") == 0


def test_messages_from_upstream_lead_nobody_astray():
    """libzmq takes the sender of a later notice for that of an earlier one then: those are cut off, and come again."""
    audience, peer, other = Audience(), Peer(1, Mode.QUEUE, [b"a"]), Peer(2, None, [b"", b"b"])
    first = audience.hear(b"a message", 4)
    assert (first.superseded, first.subscribe) == (4, [])
    for reaction in hear_all(audience, peer.subscriptions(), 5) + hear_all(audience, other.subscriptions(), 6):
        assert (reaction.subscribe, list(reaction.joined)) == ([], [])
        assert reaction.superseded in (5, 6)
    hear_all(audience, [*peer.subscriptions(), *other.subscriptions()], None, wanted=False)
    audience.settle()
    assert (audience.count(b"a"), audience.outlets) == (0, {})
    for reaction in hear_all(audience, [*peer.subscriptions(), *other.subscriptions()], 7):
        assert reaction.superseded is None
    assert audience.count(b"a") == 2


def test_what_is_too_long_is_not_heard():
    """A proxy would have to ask for it in turn, and libzmq ends the process of who asks for much more."""
    audience, peer = Audience(), Peer(1, Mode.QUEUE, [b"x" * 4096, b"y" * 4097])
    hear_all(audience, peer.subscriptions(), 5)
    assert audience.prefixes() == {b"x" * 4096}
    hear_all(audience, peer.subscriptions(), None, wanted=False)
    assert (audience.prefixes(), audience.outlets) == (set(), {})
