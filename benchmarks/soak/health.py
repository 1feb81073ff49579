"""Rules for processes: all get on while nothing is done to them, end when they are told, and leave nothing behind."""

from __future__ import annotations

from statistics import median

from .findings import Findings
from .history import PROGRESS, Entry, Process, Run

__all__ = ["judge_health", "was_away"]

AWAY = 10.0  # seconds for which a refusal may be told that is over
SAMPLES = 24  # a process with fewer is too young to be judged
SETTLED = 3.0  # seconds behind its beginning, in which it takes what it needs
GROWTH = {"megabytes": 48, "descriptors": 24, "threads": 8}
"""From the second third of a life to the last: more is no level any more."""


def judge_health(run: Run, lane: Entry, findings: Findings) -> None:
    findings.counts["lanes"] += 1
    for slot in lane["receivers"]:
        _judge_stalls(run, lane, slot, findings)
    ends = {entry["process"]: entry for entry in run.director.all("end")}
    for process in run.of(lane["lane"]):
        end = ends.get(process.name)
        if end is None:
            findings.break_("left", process.name, "has not ended")
        else:
            _judge_end(process, end, findings)
        _judge_growth(run, process, findings)
        for entry in process.all("turned away"):
            findings.counts["turned away"] += 1
            if not was_away(run, lane, entry["at"] - AWAY, entry["at"]):
                findings.break_("refused", process.name, f"by somebody who was there: {entry['text']}")
        if end is not None and end["how"] != "killed" and process.last("opened") is None:
            findings.break_("ended", process.name, "has never opened its endpoint")
    for name in ends.keys() - run.processes.keys():
        if name.split(".")[0] == lane["lane"] and ends[name]["how"] != "killed":
            findings.break_("ended", name, f"without a word: {ends[name]['said'][-300:]}")


def was_away(run: Run, lane: Entry, since: float, until: float) -> bool:
    """Whether something was done to the servers of a lane with security, behind cables that go on accepting: who then
    connects in vain for long enough takes it for a refusal."""
    faults = run.faults(lane["lane"], lambda fault: fault["kind"] != "delay")
    away = any(fault["ended"] >= since and fault["begun"] <= until for fault in faults)
    return away and lane["secured"] and lane["transport"] == "tcp"


def _judge_end(process: Process, end: Entry, findings: Findings) -> None:
    findings.counts["processes"] += 1
    findings.counts["killed"] += end["how"] == "killed"
    if end["how"] == "hung":
        findings.break_("hung", process.name, f"did not end when it was told to: {end['said'][-300:]}")
    elif end["how"] == "died" or (end["how"] != "killed" and end["status"]):
        findings.break_("died", process.name, f"status {end['status']}: {end['said'][-300:]}")
    elif "Traceback" in end["said"] or "Exception ignored" in end["said"]:
        findings.break_("spoke", process.name, end["said"][-300:])
    elif end["how"] != "killed":
        left = process.last("left")
        if left is None:
            findings.break_("left", process.name, "did not say what it leaves")
        for thing in ("descriptors", "threads", "segments"):
            if left is not None and left[thing] > 0:
                findings.break_("left", process.name, f"{left[thing]} {thing}")
    closed = process.last("closed")
    if closed is not None and closed.get("drained") and closed.get("in_doubt"):
        findings.break_("doubt", process.name, f"{closed['in_doubt']} in doubt, though nothing was done to them")


def _judge_stalls(run: Run, lane: Entry, slot: str, findings: Findings) -> None:
    """From one thing that a receiver got to the next, what was done to the lane not counted."""
    name = lane["lane"]
    bound = run.director.all("bounds")[0]["stall"]
    starts = [e["at"] for e in run.director.all("up") if e["lane"] == name]
    ends = [e["at"] for e in run.director.all("quiesce") if e["lane"] == name]
    if not starts or not ends:
        findings.break_("ended", name, "was not played to its end")
        return
    start, end = starts[0], ends[0]
    got = sorted(
        entry["at"]
        for process in run.of(name)
        if process.slot == f"{name}.{slot}"
        for entry in process.entries
        if entry["event"] in PROGRESS and start < entry["at"] < end
    )
    faults = sorted((fault["begun"], fault["ended"]) for fault in run.faults(name))
    for before, after in zip([start, *got], [*got, end], strict=True):
        if after - before <= bound:
            continue
        calm, at = 0.0, before  # the longest time within in which nothing was done
        for begun, ended in [*faults, (after, after)]:
            calm = max(calm, min(begun, after) - at)
            at = max(at, min(ended, after))
        if calm > bound:
            findings.break_("stall", f"{name}.{slot}", f"got nothing for {calm:.1f} s, {before:.1f} to {after:.1f}")


def _judge_growth(run: Run, process: Process, findings: Findings) -> None:
    opened = process.last("opened")
    since = opened["at"] + SETTLED if opened is not None else float("inf")
    samples = [e for e in run.director.all("sample") if e["process"] == process.name and e["at"] > since]
    if len(samples) < SAMPLES:
        return
    third = len(samples) // 3
    for thing, most in GROWTH.items():
        before, after = (
            median(entry[thing] for entry in part) for part in (samples[third : 2 * third], samples[-third:])
        )
        if after - before > most:
            findings.break_("growth", process.name, f"{thing} from {before:g} to {after:g}")
