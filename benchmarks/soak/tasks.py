"""Rules for tasks: each ends exactly once at a client that lives, rightly."""

from __future__ import annotations

from collections import Counter

from .findings import Findings
from .health import was_away
from .history import Entry, Run

__all__ = ["judge_tasks"]

DEATHS = 3  # of workers, after which a task ends in an error


def judge_tasks(run: Run, lane: Entry, findings: Findings) -> None:
    name = lane["lane"]
    for client in run.of(name, "client"):
        begun = {entry["number"]: entry for entry in client.all("begun")}
        ends = Counter(entry["number"] for event in ("ended", "failed") for entry in client.all(event))
        closed = client.last("closed")
        for number, count in ends.items():
            if count > 1:
                findings.break_("twice", client.name, f"task {number} ended {count} times")
            if number not in begun:
                findings.break_("content", client.name, f"task {number} was never begun")
        if closed is not None and (lost := sorted(begun.keys() - ends.keys())):
            findings.break_("lost", client.name, f"{len(lost)} tasks without an end: {lost[:5]}")
        elif closed is None:
            findings.unknown["tasks of clients that were killed"] += len(begun.keys() - ends.keys())
        for entry in client.all("ended"):
            number = entry["number"]
            expected = begun.get(number, {}).get("expected")
            if entry["answers"] != number or entry["crc"] != expected:
                findings.break_("content", client.name, f"task {number} has a wrong result")
        for entry in client.all("failed"):
            _judge_failure(run, lane, client.name, begun.get(entry["number"], {}), entry, closed, findings)
        counts = client.last("counts")
        if counts is not None and counts["outstanding"]:
            findings.break_("accounts", client.name, f"{counts['outstanding']} outstanding at the end")
        findings.counts["tasks"] += len(begun)
        findings.counts[f"events of {name}"] += len(ends)
    _judge_executions(run, lane, findings)


def _judge_failure(
    run: Run, lane: Entry, where: str, begun: Entry, entry: Entry, closed: Entry | None, findings: Findings
) -> None:
    error = entry["error"]
    if error == "RuntimeError" and isinstance(begun.get("expected"), str):
        return
    if error == "ConnectionClosed" and closed is not None:
        findings.unknown["calls whose client was closed under them"] += 1
        return
    if error == "WorkersLost" and _deaths(run, lane["lane"], begun.get("at", 0.0), entry["at"]) >= DEATHS:
        findings.counts["workers lost"] += 1
        return
    if error == "AuthenticationError" and was_away(run, lane, begun.get("at", 0.0), entry["at"]):
        findings.counts["turned away"] += 1
        return
    rule = "stall" if error == "Timeout" else "failed"
    findings.break_(rule, where, f"task {entry['number']} ended by {error}: {entry['text']}")


def _deaths(run: Run, lane: str, since: float, until: float) -> int:
    """Of how many workers a broker may have heard, at the most, while one task was with it."""
    deaths = 0
    for fault in run.faults(lane, lambda f: f["ended"] >= since and f["begun"] <= until):
        kind, slot = fault["kind"], fault.get("slot", "")
        if kind == "restart_all" or (slot.startswith("broker") and kind != "stop_one"):
            deaths = 0  # a broker that comes anew knows of none
        elif kind in ("kill_one", "restart_one", "stop_one"):
            deaths += slot.startswith("worker")
        elif kind == "cut_at_bytes":  # each connection, as it comes
            deaths += fault["connections"].get("backend", 0)
        elif kind == "fall_silent" and fault["place"] == "backend":
            deaths += 2  # once those that were there, once those that have come meanwhile
        elif kind in ("cut", "delay") and fault["place"] == "backend":
            deaths += 1  # of all at once
    return deaths


def _judge_executions(run: Run, lane: Entry, findings: Findings) -> None:
    executed = Counter(
        (entry["client"], entry["number"])
        for worker in run.of(lane["lane"], "server", "worker")
        for entry in worker.all("executed")
    )
    for client in run.of(lane["lane"], "client"):
        for entry in client.all("ended"):
            if not executed[client.name, entry["number"]]:
                findings.break_("content", client.name, f"task {entry['number']} has a result that nobody has made")
    findings.counts["executed again"] += sum(count - 1 for count in executed.values())
