"""Rules for streams: right content, nothing twice, sent = received + reported missed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from .findings import Findings
from .history import Entry, Process, Run

__all__ = ["judge_publish", "judge_push"]

MARKS = 3 * 64  # messages that the high-water marks on a way allow, with ZeroMQ's batch between them
ON_THE_WAY = 2**23  # bytes that the system's buffers of a connection, and of the cable in it, may hold
OVERHEAD = 300  # bytes of a message beside its array
SLACK = 1.0  # seconds until an end hears of what was done to the other

Key = tuple[str, Any, int]  # sender, topic, number


def judge_push(run: Run, lane: Entry, findings: Findings) -> None:
    name = lane["lane"]
    producers, consumers = run.of(name, "producer"), run.of(name, "consumer")
    offers = _judge_content(run, lane, producers, consumers, findings)
    windows = {each.name: _windows(each) for each in consumers}
    for consumer in consumers:
        counts = consumer.last("counts")
        gaps = sum(high + 1 - low - seen for low, high, seen in windows[consumer.name].values())
        if counts is not None and counts["missed"] != gaps:
            findings.break_("accounts", consumer.name, f"{counts['missed']} reported missed, {gaps} are")
        findings.counts["missed"] += gaps
    for producer in producers:
        numbers = {number for sender, _, number in offers if sender == producer.name}
        for spans in windows.values():
            low, high, _ = spans.get(producer.name, (0, -1, 0))
            numbers -= set(range(low, high + 1))
        numbers -= {entry["number"] for entry in producer.all("refused")}
        if numbers:
            _excuse(run, lane, producer, numbers, offers, findings)


def _windows(consumer: Process) -> dict[str, tuple[int, int, int]]:
    """By producer: the first and the last number that came, and how many came."""
    numbers: dict[str, set[int]] = defaultdict(set)
    for entry in consumer.all("got"):
        numbers[entry["sender"]].add(entry["number"])
    return {sender: (min(each), max(each), len(each)) for sender, each in numbers.items()}


def _excuse(
    run: Run, lane: Entry, producer: Process, numbers: set[int], offers: dict[Key, Entry], findings: Findings
) -> None:
    """What neither came nor was reported by a consumer: only a death, a cut or a close that says so may do that, and
    each row of such messages needs one of its own, between its being sent and the next message that came."""
    closed = producer.last("closed")
    end = max(producer.entries[-1]["at"], run.killed(producer.name))
    came = {
        entry["number"]: entry["at"]
        for consumer in run.of(lane["lane"], "consumer")
        for entry in consumer.all("got")
        if entry["sender"] == producer.name
    }
    for row in _rows(numbers):
        sizes = [offers[producer.name, None, number]["nbytes"] + OVERHEAD for number in row]
        since = offers[producer.name, None, row[0]]["at"] - SLACK
        until = min((at for number, at in came.items() if number > row[-1]), default=end) + SLACK
        breaks = [
            fault
            for fault in run.faults(lane["lane"], lambda fault: fault["kind"] != "stop_one")
            if fault["ended"] >= since and fault["begun"] <= until
        ]
        last = not any(number > row[-1] for number in came)
        if not breaks and closed is not None and last and len(row) <= closed["in_doubt"]:
            findings.unknown["in doubt when the sender closed"] += len(row)
            continue
        if not breaks:
            doubt = f", {closed['in_doubt']} in doubt" if closed is not None and last else ""
            text = f"{len(row)} neither received nor reported, and nothing was done then{doubt}: {_some(row)}"
            findings.break_("lost", producer.name, text)
            continue
        # Each connection that ended, by a death at either end or amid it, had its own share on the way.
        connections = 1 + sum(_connections(fault) for fault in breaks)
        rest = sum(sorted(sizes)[: -MARKS * connections])
        if rest > ON_THE_WAY * connections:
            text = f"{len(row)} of {sum(sizes)} bytes lost with {connections} connections: {_some(row)}"
            findings.break_("bound", producer.name, text)
        why = "on the way when an end was killed" if closed is None else "lost with a connection"
        findings.unknown[why] += len(row)


def _rows(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers that follow one another, together."""
    rows: list[list[int]] = []
    for number in sorted(numbers):
        if rows and rows[-1][-1] == number - 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    return rows


def _connections(fault: Entry) -> int:
    """How many connections a fault has ended, or, of strangers, has made."""
    counted = fault.get("connections", 1)
    return sum(counted.values()) if isinstance(counted, dict) else max(1, counted)


def judge_publish(run: Run, lane: Entry, findings: Findings) -> None:
    name = lane["lane"]
    publishers, subscribers = run.of(name, "publisher"), run.of(name, "subscriber")
    _judge_content(run, lane, publishers, subscribers, findings)
    for subscriber in subscribers:
        counts = subscriber.last("counts")
        if counts is None:
            continue
        senders = {entry["source"]: entry["sender"] for entry in subscriber.all("got")}
        got = Counter((entry["source"], entry["topic"]) for entry in subscriber.all("got"))
        highest: dict[tuple[str, str], int] = {}
        for entry in subscriber.all("got"):
            highest[entry["source"], entry["topic"]] = entry["number"]  # they come in order, which is judged above
        for stream in counts["streams"]:
            where = f"{subscriber.name} of {senders.get(stream['source'], '?')} {stream['topic']}"
            key = stream["source"], stream["topic"]
            fates = stream["received"] + stream["skipped"] + stream["stale"] + stream["missed"]
            if fates != stream["sent"]:
                findings.break_("accounts", where, f"{stream['sent']} sent, {fates} accounted for")
            if stream["received"] != got.pop(key, 0):
                findings.break_("accounts", where, f"{stream['received']} said to be received, which is wrong")
            if key in highest and stream["first"] + stream["sent"] <= highest[key]:
                findings.break_(
                    "accounts", where, f"{stream['sent']} sent since {stream['first']}, {highest[key]} came"
                )
            findings.counts["missed"] += stream["missed"]
            findings.counts["skipped"] += stream["skipped"]
            sender = run.processes.get(senders.get(stream["source"], ""))
            if sender is not None:
                _judge_end(run, subscriber, stream, sender, where, findings)
        for (source, topic), count in got.items():
            findings.break_("accounts", subscriber.name, f"{count} of {source} {topic}, of which it reports nothing")


def _judge_end(
    run: Run, subscriber: Process, stream: Entry, publisher: Process, where: str, findings: Findings
) -> None:
    """How far a subscriber's account goes: to the end, if both were there then and had found each other again."""
    following = stream["first"] + stream["sent"]
    offered = sum(entry["topic"] == stream["topic"] for entry in publisher.all("offered"))
    if following > offered:
        findings.break_("accounts", where, f"{following} sent, {offered} are")
    closed, counts = publisher.last("closed"), subscriber.last("counts")
    assert counts is not None
    if following < offered:
        whole = closed is not None and closed["drained"] and counts["drained"]
        if whole and _has_come_back(run, subscriber, stream["source"], publisher):
            findings.break_("lost", where, f"{offered - following} at the end neither received nor reported")
        else:
            findings.unknown["sent after the last word to a subscriber"] += offered - following


def _has_come_back(run: Run, subscriber: Process, source: str, publisher: Process) -> bool:
    """Whether it got anything that was sent after the last fault that may have parted the two."""
    breaks = run.faults(subscriber.lane, lambda f: f["kind"] != "junk")
    since = max((fault["ended"] for fault in breaks), default=0.0)
    sent = {(entry["topic"], entry["number"]): entry["at"] for entry in publisher.all("offered")}
    return any(
        sent.get((entry["topic"], entry["number"]), 0.0) > since
        for entry in subscriber.all("got")
        if entry["source"] == source
    )


def _judge_content(
    run: Run, lane: Entry, senders: Iterable[Process], receivers: Iterable[Process], findings: Findings
) -> dict[Key, Entry]:
    """What came is what was sent, once, in order; what was sent."""
    name = lane["lane"]
    offers: dict[Key, Entry] = {
        (sender.name, entry.get("topic"), entry["number"]): entry
        for sender in senders
        for entry in sender.all("offered")
    }
    seen: Counter[Key] = Counter()
    mortal = bool(run.faults(name, lambda f: f["kind"] in ("kill_one", "restart_one", "restart_all")))
    for receiver in receivers:
        newest: dict[tuple[str, Any], int] = {}
        again: set[Key] = set()
        for entry in receiver.all("got"):
            stream = entry["sender"], entry["topic"]
            key = *stream, entry["number"]
            if key not in offers or offers[key]["crc"] != entry["crc"]:
                findings.break_("content", receiver.name, f"{key} is not what was sent")
            if entry["sequence"] != entry["number"]:
                findings.break_("content", receiver.name, f"{key} has the sequence {entry['sequence']}")
            if key in again or (lane["pattern"] == "push" and seen[key]):
                findings.break_("twice", receiver.name, f"{key}")
            elif entry["number"] < newest.get(stream, -1):
                findings.break_("order", receiver.name, f"{key} after {newest[stream]}")
            again.add(key)
            seen[key] += 1
            newest[stream] = max(newest.get(stream, -1), entry["number"])
        findings.counts["received"] += len(again)
        findings.counts[f"events of {name}"] += len(again)
        for entry in receiver.all("changed"):
            findings.break_("content", receiver.name, f"an array that was held has changed: {entry['number']}")
        for entry in receiver.all("malformed"):
            if lane["transport"] == "shm" and mortal:
                findings.unknown["in memory that went with its sender"] += 1
            elif _strangers_spoke(run, lane, entry["at"]):
                findings.counts["strangers' bytes refused"] += 1
            else:
                findings.break_("content", receiver.name, f"malformed: {entry['text']}")
    findings.counts["sent"] += len(offers)
    return offers


def _strangers_spoke(run: Run, lane: Entry, at: float) -> bool:
    """Whether strangers could just have sent what somebody took for a message: libzmq's first protocol, which it still
    speaks where there is no security, has hardly a handshake, and random bytes may pass for its frames."""
    junk = run.faults(lane["lane"], lambda fault: fault["kind"] == "junk")
    return not lane["secured"] and any(fault["begun"] <= at <= fault["ended"] + SLACK for fault in junk)


def _some(numbers: Iterable[int]) -> str:
    listed = sorted(numbers)
    return ", ".join(map(str, listed[:5])) + (" ..." if len(listed) > 5 else "")
