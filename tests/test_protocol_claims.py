"""Who holds what in shared memory: whatever readers do and whenever they die, no slot is used twice or lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nptransport.protocol.claims import Claims


class Model(RuleBasedStateMachine):
    """One sender that deals messages out to readers, each of which takes what it is sent in order, holds it, lets go of
    it, and may die; what it was sent and has not claimed dies with it. Some cheat."""

    def __init__(self):
        super().__init__()
        self.claims = Claims()
        self.free = []  # slots that were given out as free
        self.slots = 0
        self.inside = {}  # slot: generation of what was last sent in it
        self.queues = {}  # reader: generations on their way to it
        self.held = {}  # reader: those it holds
        self.readers = 0
        self.joined = set()

    def take(self):
        while self.free:
            slot = self.free.pop()
            if self.claims.forget(self.inside[slot]):
                return slot
        self.slots += 1
        return self.slots

    @rule()
    def come(self):
        self.readers += 1
        self.queues[self.readers], self.held[self.readers] = [], set()

    @rule(data=st.data())
    def send(self, data):
        if not self.queues:
            return
        reader = data.draw(st.sampled_from(sorted(self.queues)))
        slot, generation = self.take(), self.claims.next()
        assert not any(self.inside.get(slot) in held for held in self.held.values()), "written over under a reader"
        self.inside[slot] = generation
        self.claims.sent(generation, slot)
        self.queues[reader].append(generation)
        self.collect()

    @rule(data=st.data())
    def receive(self, data):
        waiting = sorted(reader for reader, queue in self.queues.items() if queue)
        if not waiting:
            return
        reader = data.draw(st.sampled_from(waiting))
        if reader not in self.joined:
            self.joined.add(reader)
            self.claims.join(reader)
        generation = self.queues[reader].pop(0)
        self.claims.claim(reader, generation)
        if generation in self.inside.values():  # else it has come too late, and the reader sees that
            self.held[reader].add(generation)
        self.collect()

    @rule(data=st.data())
    def let_go(self, data):
        holders = sorted(reader for reader, held in self.held.items() if held)
        if not holders:
            return
        reader = data.draw(st.sampled_from(holders))
        generation = data.draw(st.sampled_from(sorted(self.held[reader])))
        self.held[reader].remove(generation)
        self.claims.release(reader, generation)
        self.collect()

    @rule(data=st.data(), generation=st.integers(1, 30))
    def cheat(self, data, generation):
        if self.joined:
            reader = data.draw(st.sampled_from(sorted(self.joined)))
            if generation not in self.held[reader]:
                self.claims.claim(reader, generation)
                self.claims.release(reader, generation)
                self.collect()

    @rule(data=st.data())
    def die(self, data):
        if not self.queues:
            return
        reader = data.draw(st.sampled_from(sorted(self.queues)))
        del self.queues[reader], self.held[reader]
        if reader in self.joined:
            self.joined.remove(reader)
            self.claims.gone(reader)
        self.collect()

    @rule()
    def settle(self):
        self.claims.settle(len(self.queues))
        self.collect()

    def collect(self):
        self.free += self.claims.take_freed()

    @invariant()
    def no_slot_is_free_twice(self):
        assert len(set(self.free)) == len(self.free)

    @invariant()
    def what_is_held_is_not_written_over(self):
        for held in self.held.values():
            assert held <= set(self.inside.values())


Model.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestModel = Model.TestCase


def test_what_the_dead_were_sent_is_lost_once_the_living_are_past_it():
    claims = Claims()
    for reader in "ab":
        claims.join(reader)
    for slot in range(1, 5):
        claims.sent(claims.next(), slot)
    claims.claim("a", 1)
    claims.gone("b")  # 2 and 4 were on their way to it, 3 to a
    claims.settle(1)
    assert claims.take_freed() == []
    assert claims.in_doubt() == 3
    claims.sent(claims.next(), 5)
    claims.claim("a", 3)
    claims.settle(1)
    assert claims.take_freed() == []  # 4 may be next
    claims.claim("a", 5)
    claims.settle(2)
    assert claims.take_freed() == []  # somebody is there of whom we know nothing
    claims.settle(1)
    assert claims.take_freed() == [2, 4]
    assert (claims.lost, len(claims.waiting)) == (2, 0)
    assert claims.holdings() == {"a": [1, 3, 5]}


def test_what_is_claimed_after_all_is_not_written_over():
    claims = Claims()
    claims.join("a")
    claims.join("cheat")
    claims.sent(claims.next(), "slot")
    claims.claim("cheat", 1)
    claims.release("cheat", 1)
    assert claims.take_freed() == ["slot"]
    claims.claim("a", 1)
    assert not claims.forget(1)
    claims.release("a", 1)
    assert claims.take_freed() == ["slot"]
    assert claims.forget(1)


def test_copies():
    claims = Claims()
    for reader in "abc":
        claims.join(reader)
    claims.sent(claims.next(), "slot", copies=2)
    claims.claim("a", 1)
    claims.release("a", 1)
    assert claims.take_freed() == []
    claims.claim("b", 1)
    claims.gone("a")
    assert claims.take_freed() == []
    claims.gone("b")
    assert claims.take_freed() == ["slot"]
    claims.sent(claims.next(), "other", copies=0)
    assert claims.take_freed() == ["other"]


def test_what_an_addressee_never_fetches_is_given_up():
    claims = Claims()
    claims.join("a", b"a")
    for slot in range(1, 4):
        claims.begin(claims.next(), slot, 1)
        claims.address(slot, b"a" if slot < 3 else b"b")
        claims.end(slot)
    claims.give_up_old()
    assert claims.take_freed() == []  # it has had no time yet
    claims.claim("a", 1)
    claims.begin(claims.next(), 4, 1)
    claims.address(4, b"b")
    claims.end(4)
    claims.give_up_old()
    assert claims.take_freed() == [2, 3]
    assert (claims.lost, claims.holdings()) == (2, {"a": [1], None: [4]})
    claims.claim("a", 2)  # too late: its slot may be another's by now
    assert not claims.forget(2)
    claims.release("a", 1)
    assert claims.take_freed() == [1]


def test_a_copy_that_could_not_be_sent_may_be_lost_already():
    claims = Claims()
    claims.join("a", b"a")
    claims.begin(claims.next(), "slot", 1)
    claims.address(1, b"a")
    claims.gone("a")
    assert not claims.take_back(1, b"a")
    claims.address(1, b"a")  # nobody is there any more
    assert (len(claims.waiting), claims.lost) == (0, 2)
    claims.address(1, b"b")
    assert claims.take_back(1, b"b")
    claims.end(1)
    assert claims.take_freed() == ["slot"]
