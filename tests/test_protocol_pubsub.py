"""The parts of publish and subscribe that know no socket, under any order of events."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import nptransport as npt
from nptransport.codec import packing
from nptransport.protocol import copies
from nptransport.protocol.ledger import Ledger
from nptransport.protocol.newest import Backlog, Newest
from nptransport.protocol.speakers import Speakers
from nptransport.protocol.tags import Hello, Kind, Mode, Position, Word, read_tag, tag

# Copies


@given(
    topic=st.text(max_size=20),
    metadata=st.binary(max_size=100) | st.integers(0x7FF0, 0x8010).map(bytes),
    buffers=st.lists(st.binary(max_size=20) | st.sampled_from([8192, 8193]).map(bytes), max_size=3),
    joined=st.booleans(),
)
def test_a_copy_comes_apart_as_it_was_put_together(topic, metadata, buffers, joined):
    frames = [b"\x81" + metadata, *buffers]
    first, *rest = copies.parts_of(frames, joined)
    name, *found = copies.read(b"tag" + topic.encode() + first, 3)
    assert (name.decode(), [*[part for part in found if part is not None], *rest]) == (topic, frames)
    assert len(rest) == len(buffers) - (
        joined and len(buffers) == 1 and len(buffers[0]) <= 8192 and len(metadata) < 0x7FFF
    )


@given(st.binary(max_size=40))
def test_any_bytes_are_a_copy_or_a_decode_error(first):
    with contextlib.suppress(npt.DecodeError):
        topic, metadata, buffer = copies.read(first, 2)
        assert len(topic) + len(metadata) + len(buffer or b"") in (len(first) - 3, len(first) - 5)


# Ledger


class Losses(RuleBasedStateMachine):
    """A stream whose messages come, are lost, or come again, and whose source says now and then where it stands."""

    def __init__(self):
        super().__init__()
        self.ledger = Ledger()
        self.sent = 0
        self.arrived = set()
        self.stream = None
        self.lost_before = 0

    def arrive(self, sequence):
        if self.stream is None:
            self.stream = self.ledger.open("s", "t", sequence)
        return self.stream.note(sequence)

    @rule()
    def send(self):
        assert self.arrive(self.sent)
        self.sent += 1

    @rule(count=st.integers(1, 5))
    def lose(self, count):
        self.sent += count

    @rule(back=st.integers(1, 10))
    def repeat(self, back):
        """What came before is told as such; and so is what was given up as lost: in order, or not at all."""
        if self.stream is not None and self.stream.following >= back:
            assert not self.stream.note(self.stream.following - back)

    @rule(behind=st.integers(0, 3))
    def say(self, behind):
        """The word may be older than what has come since."""
        following = max(self.sent - behind, 0)
        self.stream = self.ledger.open("s", "t", following)
        before = self.stream.following
        self.stream.stand(following)
        assert self.stream.following == max(before, following)

    @rule(fate=st.sampled_from(["received", "skipped", "stale", "missed"]))
    def settle(self, fate):
        if self.stream is not None and self.stream.waiting:
            self.stream.waiting -= 1
            setattr(self.stream, fate, getattr(self.stream, fate) + 1)

    @invariant()
    def it_adds_up(self):
        for (source, topic), stream in self.ledger.statistics().items():
            assert (source, topic) == ("s", "t")
            assert stream.received + stream.skipped + stream.stale + stream.missed == stream.sent
            assert stream.first + stream.sent + stream.waiting <= self.sent
            assert min(stream.received, stream.skipped, stream.stale, stream.missed, stream.waiting) >= 0


TestLosses = Losses.TestCase
TestLosses.settings = settings(max_examples=60, stateful_step_count=40)


def test_streams_that_are_forgotten_stay_in_the_totals():
    ledger = Ledger()
    for number in range(10_000):
        stream = ledger.open(f"source {number}", "t", 0)
        stream.note(3)
        stream.waiting -= 1
        stream.received += 1
    assert len(ledger.statistics()) < 10_000
    assert (ledger.total("received"), ledger.total("missed")) == (10_000, 30_000)


# Newest, Backlog


def anything(_):
    return True


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc"))))
def test_the_newest_of_each_topic_and_the_longest_wait_first(events):
    newest, expected = Newest(), {}  # None: take
    for index, topic in enumerate(events):
        if topic is None:
            first = next(iter(expected), None)
            assert newest.take(anything) == (expected.pop(first) if first is not None else None)
        else:
            assert newest.put(topic, index) == expected.get(topic)
            expected[topic] = index
    assert [newest.take(anything) for _ in expected] == list(expected.values())
    assert newest.take(anything) is None


def test_what_may_not_go_yet_is_passed_over():
    newest = Newest()
    for topic, message in (("a", 1), ("b", 2)):
        newest.put(topic, message)
    assert newest.take(lambda message: message == 2) == 2
    assert newest.take(lambda message: message == 2) is None
    assert newest.take(anything) == 1


def test_topics_that_are_others_each_time_fill_no_memory():
    newest = Newest()
    passed_over = [newest.put(f"topic {number}", number) for number in range(5000)]
    assert [number for number in passed_over if number is not None] == list(range(5000 - 1024))


def look_and_note(backlog, now, delays, offset=1000.0, source="s"):
    """Messages that took ``delays`` come in at ``now``, by a clock of the sender's that is off."""
    backlog.look(now)
    for delay in delays:
        backlog.note(source, delay + offset, now)


def run_smoothly(source="s", seconds=1.0):
    backlog = Backlog(0.0)
    for tick in range(round(seconds * 10) + 1):
        look_and_note(backlog, tick * 0.1, [0.001], source=source)
        assert not backlog.holds(source, tick * 0.1)
    return backlog


def test_what_queued_up_during_a_pause_is_passed_over():
    backlog = run_smoothly()
    assert not backlog.is_overdue(1.1)
    assert backlog.is_overdue(11.0)
    look_and_note(backlog, 11.0, [10.0, 5.0, 1.0])
    assert backlog.holds("s", 11.0)
    look_and_note(backlog, 11.05, [0.4])
    assert backlog.holds("s", 11.05)
    look_and_note(backlog, 11.06, [0.002])  # sent after the pause
    assert not backlog.holds("s", 11.06)


def test_a_source_that_has_caught_up_does_not_speak_for_another():
    backlog = run_smoothly()
    look_and_note(backlog, 1.0, [0.001], source="other")
    look_and_note(backlog, 3.0, [1.9])
    look_and_note(backlog, 3.01, [0.002], source="other")
    assert not backlog.holds("other", 3.02)
    assert backlog.holds("s", 3.02)


def test_if_nothing_newer_comes_the_backlog_ends():
    backlog = run_smoothly()
    look_and_note(backlog, 10.0, [5.0])
    for now in (10.2, 10.4):
        backlog.look(now)
        assert backlog.holds("s", now)  # where there is much else to do, newer ones take a while to come
    backlog.look(10.6)
    assert not backlog.holds("s", 10.6)


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.one_of(st.none(), st.floats(0, 5)))), st.floats(-1e6, 1e6))
def test_a_backlog_always_ends(events, offset):
    """Whatever comes, and however the clocks differ: with looks and two seconds, it is over."""
    backlog, now = Backlog(0.0), 0.0
    for pause, delay in events:
        now += pause
        look_and_note(backlog, now, [] if delay is None else [delay], offset)
    for _ in range(20):
        now += 0.15
        look_and_note(backlog, now, [1e6], offset)  # as from a clock that was set
    assert not backlog.holds("s", now)
    assert not backlog.is_overdue(now)


def test_a_clock_that_was_set_is_a_matter_of_a_minute():
    backlog = run_smoothly()
    for tick in range(11, 800):
        look_and_note(backlog, tick * 0.1, [60.0])
    look_and_note(backlog, 90.0, [70.0])
    look_and_note(backlog, 90.01, [60.001])
    assert not backlog.holds("s", 90.01)


def test_sources_that_are_others_each_time_fill_no_memory():
    backlog = Backlog(0.0)
    for number in range(5000):
        backlog.note(f"source {number}", 0.0, 0.0)
    assert len(backlog._fastest) <= 1024


# Speakers


def test_who_does_not_speak_is_doubted_and_then_silent():
    speakers = Speakers()
    speakers.heard(5, 0.5, 10.0)
    assert speakers.silent(10.9) == []
    assert speakers.doubted == set()
    assert speakers.silent(11.1) == []
    assert speakers.doubted == {5}
    assert speakers.silent(11.5) == []
    assert speakers.silent(11.7) == [5]
    assert speakers.silent(99.0) == []  # told once
    assert speakers.doubted == set()


def test_a_message_of_who_is_doubted_is_as_good_as_a_word():
    speakers = Speakers()
    for connection in (5, 6):
        speakers.heard(connection, 0.5, 10.0)
    speakers.silent(11.1)
    speakers.lives(5, 11.2)
    speakers.lives(None, 11.2)
    speakers.lives(7, 11.2)
    assert speakers.doubted == {6}
    assert speakers.silent(11.7) == [6]
    speakers.silent(12.3)
    assert speakers.doubted == {5}


def test_who_has_said_goodbye_is_not_waited_for():
    speakers = Speakers()
    speakers.heard(5, 0.5, 10.0)
    speakers.silent(11.1)
    speakers.heard(5, 0.0, 11.2)
    speakers.lives(5, 11.3)
    assert speakers.silent(99.0) == []


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("heard"), st.integers(0, 2), st.sampled_from([0.0, 0.5, 3.0])),
            st.tuples(st.just("lives"), st.integers(0, 2), st.none()),
            st.tuples(st.just("silent"), st.none(), st.none()),
        )
    ),
    st.floats(0.01, 2.0),
)
def test_nobody_is_called_silent_who_was_heard_a_moment_ago(events, step):
    speakers, now, last = Speakers(), 0.0, {}
    for what, connection, interval in events:
        now += step
        if what == "heard":
            speakers.heard(connection, interval, now)
            last[connection] = now, interval
        elif what == "lives":
            doubted = connection in speakers.doubted
            speakers.lives(connection, now)
            if doubted:
                last[connection] = now, last[connection][1]
        else:
            for silent in speakers.silent(now):
                heard_at, promised = last.pop(silent)
                assert promised
                assert now - heard_at > 3 * promised - 1e-9
    assert speakers.doubted <= set(last)


# Words and tags

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(0, 2**64 - 1)
positions = st.builds(
    lambda one, two, *more: Position(*more, max(one, two), min(one, two)), numbers, numbers, names, texts
)


@given(names, st.floats(0, 3600), st.lists(positions, max_size=5))
def test_words_survive(speaker, interval, listed):
    word = Word(speaker, interval, listed)
    assert Word.unpack(word.pack()) == word


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
near_words = st.fixed_dictionaries(
    {"npt": st.just(1) | values, "word": st.tuples(names | values, st.floats() | values, st.lists(values) | values)}
)


@settings(max_examples=500)
@given(st.binary(max_size=60) | values.map(packing.pack) | near_words.map(packing.pack))
def test_any_bytes_are_a_word_or_a_decode_error(document):
    try:
        word = Word.unpack(document)
    except npt.DecodeError as error:
        assert error.expected and error.found  # noqa: PT017, PT018
        return
    assert type(word.speaker) is str
    assert 0 <= word.interval <= 3600
    for source, topic, following, first in word.positions:
        assert type(source) is str
        assert topic.encode().decode() == topic
        assert type(following) is type(first) is int
        assert 0 <= first <= following


@given(st.sampled_from(Kind), st.binary(min_size=8, max_size=8), st.binary(max_size=10))
def test_tags_survive(kind, number, rest):
    assert read_tag(tag(kind, number, rest)) == Hello(kind, number, rest)


@given(st.binary(max_size=12))
def test_any_topic_is_a_tag_or_none(topic):
    hello = read_tag(topic)
    assert hello is None or tag(*hello) == topic


def test_no_text_is_a_tag():
    assert all(not chr(code).encode().startswith(b"\xff") for code in (0, 0xFF, 0x7FF, 0xFFFF, 0x10FFFF))
    assert {int(mode) for mode in Mode} == {0x71, 0x6C, 0x72}
