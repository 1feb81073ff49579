"""When whoever waits for an answer looks for it before sleeping, and when not."""

from __future__ import annotations

import itertools

import pytest

from nptransport.transport.spinning import Spinner

SHORT, LONG = 1e-4, 1.0  # seconds slept
LOOKING, NO_TIME = 60.0, -1.0


class Looks:
    """Says that something is there at the n-th look, and counts them."""

    def __init__(self, there_at: float = float("inf")) -> None:
        self.there_at, self.count = there_at, 0

    def __call__(self) -> bool:
        self.count += 1
        return self.count >= self.there_at


@pytest.fixture(name="hopeful")
def hopeful_fixture(monkeypatch):
    monkeypatch.setattr(
        "nptransport.transport.spinning._MOMENT", LOOKING
    )  # a busy machine may take the real one between two looks
    spinner = Spinner()
    spinner.slept(SHORT)
    return spinner


def test_nobody_looks_before_a_sleep_was_short():
    spinner, looks = Spinner(), Looks()
    assert not spinner.look(looks, LOOKING)
    spinner.slept(LONG)
    assert not spinner.look(looks, LOOKING)
    assert looks.count == 0


def test_what_comes_at_once_is_looked_for_again_and_again(hopeful):
    for there_at in (1, 3, 2):
        looks = Looks(there_at)
        assert hopeful.look(looks, LOOKING)
        assert looks.count == there_at


def test_looking_ends_even_if_nothing_comes():
    spinner, looks = Spinner(), Looks()
    spinner.slept(SHORT)
    assert not spinner.look(looks, LOOKING)
    assert looks.count >= 1


def test_no_longer_than_the_caller_has_time(hopeful):
    looks = Looks()
    assert not hopeful.look(looks, NO_TIME)
    assert looks.count == 1


def sleeps_until_it_looks(spinner: Spinner) -> int:
    """Short ones, after a moment in vain; and then it looks in vain again."""
    for count in itertools.count(1):
        spinner.slept(SHORT)
        looks = Looks()
        spinner.look(looks, NO_TIME)
        if looks.count:
            return count
    raise AssertionError


def test_each_moment_in_vain_doubles_how_many_are_left_out(hopeful):
    hopeful.look(Looks(), NO_TIME)
    assert [sleeps_until_it_looks(hopeful) for _ in range(10)] == [2, 3, 5, 9, 17, 33, 65, 129, 257, 257]


def test_one_that_was_not_in_vain_makes_good_for_all(hopeful):
    for _ in range(5):
        hopeful.look(Looks(), NO_TIME)
        while not hopeful.look(Looks(there_at=1), LOOKING):
            hopeful.slept(SHORT)
    hopeful.look(Looks(), NO_TIME)
    assert sleeps_until_it_looks(hopeful) == 2
