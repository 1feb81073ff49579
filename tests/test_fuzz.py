"""A short run of the fuzzer that benchmarks/fuzz.py runs for long, and all that it has ever found."""

from __future__ import annotations

import fuzz_memory
import fuzz_requests
import fuzzing
import pytest

import nptransport as npt

BATCHES = dict.fromkeys((*fuzz_memory.TARGETS, *fuzz_requests.TARGETS), 1)
FOUND = {name: (target, frames) for name, target, frames in fuzzing.found()}


@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_a_few_thousand_inputs(target):
    """The invariant stands at the top of fuzzing.py."""
    violations = []
    for batch in range(BATCHES.get(target, 2)):
        fuzzing.inputs(target, 1, batch, fuzzing.BATCH, lambda frames, error: violations.append((error, frames)))
    assert not violations


@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_the_corpus_itself(target):
    check = fuzzing.TARGETS[target]()
    assert len({check(frames) for frames in fuzzing.corpus()[target]}) > 1


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once(name):
    target, frames = FOUND[name]
    fuzzing.TARGETS[target]()(frames)


def test_the_same_seed_gives_the_same_inputs(monkeypatch):
    runs = []
    for _ in range(2):
        seen = []
        monkeypatch.setitem(fuzzing.TARGETS, "word", lambda seen=seen: lambda frames: str(seen.append(frames)))
        fuzzing.inputs("word", 5, 3, 100, lambda frames, error: None)
        runs.append(seen)
    assert runs[0] == runs[1]
    assert len({tuple(frames) for frames in runs[0]}) > 50


class Breaks(Exception):
    """What no decoder may raise."""


def raises(frames):
    raise Breaks


def reaches_outside(frames):
    return fuzzing.judge(fuzzing.np.frombuffer(b"elsewhere", "u1"), [b"a part"])


def takes_long(frames):
    return fuzzing.timed(lambda: sum(range(2_000_000)))


@pytest.mark.parametrize("check", [raises, reaches_outside, takes_long])
def test_violations_are_noticed(monkeypatch, check):
    monkeypatch.setitem(fuzzing.TARGETS, "word", lambda: check)
    violations = []
    fuzzing.inputs("word", 1, 0, 2, lambda frames, error: violations.append(error))
    assert len(violations) == 2


def test_the_limits_are_tighter_than_usual():
    assert npt.Limits() != fuzzing.LIMITS
