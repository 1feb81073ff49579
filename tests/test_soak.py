"""The judge of benchmarks/soak finds each kind of violation in a history, and none in one without."""

from __future__ import annotations

import copy
import json
import sys

import pytest
from children import BENCHMARKS

sys.path.append(str(BENCHMARKS))

from soak.__main__ import main
from soak.checker import judge, judge_folder
from soak.history import History, Process, Run, Tail
from soak.scenario import draw_lanes


def process(name, *entries):
    return Process(name, [{"at": float(at), "event": event, **facts} for at, event, facts in entries])


def got(at, number, sender="push.producer-1.0", topic=None, source="s"):
    facts = {"sender": sender, "number": number, "sequence": number, "source": source, "topic": topic, "crc": number}
    return at, "got", facts


def offered(at, number, topic=None):
    return at, "offered", {"number": number, "crc": number, "nbytes": 100, "topic": topic}


LEFT = {"descriptors": 0, "threads": 0, "segments": 0}
LEVEL = {"megabytes": 40, "descriptors": 9, "threads": 3}
OPENED = (0.5, "opened", {})
LAST = (31, "left", LEFT)


def director(lane, receivers, processes, transport="tcp"):
    ends = [(31, "end", {"process": name, "how": "drain", "status": 0, "said": ""}) for name in processes]
    return process(
        "director",
        (0, "bounds", {"stall": 20.0}),
        (
            0,
            "lane",
            {"lane": lane, "pattern": lane, "transport": transport, "secured": False, "receivers": receivers},
        ),
        (1, "up", {"lane": lane}),
        (25, "quiesce", {"lane": lane}),
        *ends,
    )


def run_of(lane, receivers, *processes, **options):
    names = {each.name: each for each in processes}
    return Run(names, director(lane, receivers, names, **options))


def push():
    """Ten messages, of which the consumer missed one and says so."""
    numbers = [number for number in range(10) if number != 4]
    return run_of(
        "push",
        ["consumer-0"],
        process(
            "push.producer-1.0",
            OPENED,
            *(offered(2 + number, number) for number in range(10)),
            (30, "closed", {"in_doubt": 0, "drained": True}),
            LAST,
        ),
        process(
            "push.consumer-0.0",
            OPENED,
            *(got(2 + number, number) for number in numbers),
            (30, "counts", {"missed": 1, "malformed": 0, "messages": 9, "drained": True}),
            (30, "closed", {}),
            LAST,
        ),
    )


def publish():
    sender = "publish.publisher-0.0"
    stream = {"source": "s", "topic": "a", "first": 0, "sent": 5, "received": 4, "skipped": 0, "stale": 0, "missed": 1}
    return run_of(
        "publish",
        ["subscriber-1"],
        process(
            sender,
            OPENED,
            *(offered(2 + number, number, "a") for number in range(5)),
            (29, "closed", {"in_doubt": 0, "drained": True, "totals": {"a": 5}}),
            LAST,
        ),
        process(
            "publish.subscriber-1.0",
            OPENED,
            *(got(8 + number, number, sender, "a") for number in (0, 1, 3, 4)),
            (30, "counts", {"streams": [stream], "malformed": 0, "drained": True}),
            (30, "closed", {}),
            LAST,
        ),
    )


def serve():
    client = "serve.client-1.0"
    return run_of(
        "serve",
        ["client-1"],
        process(
            "serve.server-0.0", OPENED, *((3, "executed", {"client": client, "number": n}) for n in range(3)), LAST
        ),
        process(
            client,
            OPENED,
            *((2, "begun", {"number": number, "expected": number}) for number in range(3)),
            *((10, "ended", {"number": number, "answers": number, "crc": number}) for number in range(3)),
            (30, "counts", {"outstanding": 0, "late": 0}),
            (30, "closed", {}),
            LAST,
        ),
    )


GOOD = {"push": push, "publish": publish, "serve": serve}


def rules(run):
    return {violation.split(":")[0] for violation in judge(run).violations}


@pytest.mark.parametrize("lane", GOOD)
def test_a_history_without_fault(lane):
    findings = judge(GOOD[lane]())
    assert not findings.violations
    assert not +findings.unknown


def without(run, name, event, /, **facts):
    """Take entries out of a history."""
    each = run.processes.get(name, run.director)
    each.entries = [e for e in each.entries if e["event"] != event or any(e[k] != v for k, v in facts.items())]


def change(run, name, event, /, **facts):
    run.processes.get(name, run.director).last(event).update(facts)


def add(run, name, at, event, /, **facts):
    run.processes.get(name, run.director).entries.append({"at": at, "event": event, **facts})


P, C, S, K, W = (
    "push.producer-1.0", "push.consumer-0.0", "publish.subscriber-1.0", "serve.client-1.0", "serve.server-0.0",
)  # fmt: skip


def edit_stream(run, **facts):
    run.processes[S].last("counts")["streams"][0].update(facts)


def again(run, name, event):
    run.processes[name].entries.append(copy.copy(run.processes[name].last(event)))


BROKEN = {
    "content: another checksum": ("push", lambda run: change(run, C, "got", crc=77)),
    "content: never sent": ("push", lambda run: without(run, P, "offered", number=3)),
    "content: another sequence": ("push", lambda run: change(run, C, "got", sequence=77)),
    "content: changed while it was held": ("push", lambda run: add(run, C, 20, "changed", number=3)),
    "content: malformed, and no shared memory": ("push", lambda run: add(run, C, 20, "malformed", text="?")),
    "twice: a message": ("push", lambda run: again(run, C, "got")),
    "order: of a stream": ("push", lambda run: run.processes[C].entries.insert(5, run.processes[C].entries.pop(3))),
    "accounts: missed and not said": ("push", lambda run: change(run, C, "counts", missed=0)),
    "accounts: said, and not missed": ("push", lambda run: change(run, C, "counts", missed=2)),
    "lost: the tail": ("push", lambda run: without(run, C, "got", number=9)),
    "doubt: though nothing was done": ("push", lambda run: change(run, P, "closed", in_doubt=2)),
    "accounts: a sum": ("publish", lambda run: edit_stream(run, missed=0)),
    "accounts: received": ("publish", lambda run: edit_stream(run, received=3, skipped=1)),
    "accounts: short of what came": ("publish", lambda run: edit_stream(run, sent=4, missed=0)),
    "accounts: more than there is": ("publish", lambda run: edit_stream(run, sent=6, missed=2)),
    "accounts: nothing of a stream": ("publish", lambda run: run.processes[S].last("counts")["streams"].clear()),
    "twice: a task": ("serve", lambda run: again(run, K, "ended")),
    "lost: a task": ("serve", lambda run: without(run, K, "ended", number=1)),
    "content: a wrong result": ("serve", lambda run: change(run, K, "ended", crc=77)),
    "content: the result of another": ("serve", lambda run: change(run, K, "ended", answers=0)),
    "content: nobody has made it": ("serve", lambda run: without(run, W, "executed", number=1)),
    "content: never begun": ("serve", lambda run: without(run, K, "begun", number=1)),
    "failed: a task": ("serve", lambda run: change(run, K, "ended", event="failed", error="MemoryError", text="")),
    "failed: by deaths that were none": (
        "serve", lambda run: change(run, K, "ended", event="failed", error="WorkersLost", text=""),
    ),
    "stall: no answer in time": (
        "serve", lambda run: change(run, K, "ended", event="failed", error="Timeout", text=""),
    ),
    "accounts: outstanding": ("serve", lambda run: change(run, K, "counts", outstanding=1)),
    "stall: nothing comes": ("push", lambda run: change(run, "", "quiesce", at=40.0)),
    "idle: nothing at all": ("publish", lambda run: without(run, S, "got")),
    "hung: at its end": ("push", lambda run: change(run, "", "end", how="hung")),
    "died: of itself": ("push", lambda run: change(run, "", "end", status=1)),
    "spoke: of an error": ("push", lambda run: change(run, "", "end", said="Traceback (most ...")),
    "left: a process": ("push", lambda run: without(run, "", "end", process=P)),
    "left: without a word": ("push", lambda run: without(run, P, "left")),
    "left: descriptors": ("push", lambda run: change(run, P, "left", descriptors=1)),
    "left: segments": ("push", lambda run: change(run, P, "left", segments=1)),
    "left: threads": ("push", lambda run: change(run, P, "left", threads=1)),
    "left: a socket file": ("push", lambda run: add(run, "", 32, "over", sockets=["npt-00.side"])),
    "ended: without ever beginning": ("push", lambda run: without(run, P, "opened")),
    "ended: amid the play": ("push", lambda run: without(run, "", "quiesce")),
    "growth: of memory": (
        "push",
        lambda run: [add(run, "", at, "sample", process=P, **{**LEVEL, "megabytes": 3 * at}) for at in range(60)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_violations(what):
    lane, spoil = BROKEN[what]
    run = GOOD[lane]()
    spoil(run)
    assert what.split(":")[0] in rules(run)


@pytest.mark.parametrize(
    ("at", "secured", "expected"), [(12, False, set()), (20, False, {"content"}), (12, True, {"content"})]
)
def test_what_strangers_say_is_malformed_and_no_violation(at, secured, expected):
    run = push()
    change(run, "", "lane", secured=secured)
    add(run, "", 13, "fault", lane="push", kind="junk", connections=9, begun=11.5, ended=12.5)
    add(run, C, at, "malformed", text="?")
    assert rules(run) == expected
    assert judge(run).counts["strangers' bytes refused"] == (not expected)


def test_a_bound_on_what_a_dead_sender_may_take_along():
    """Some messages on the way to the death of a sender are no violation; ever so many are. It may die long after it
    wrote its last line: amid a send that waits."""
    for count, begun, expected in ((50, 26, set()), (50, 30, set()), (9000, 26, {"bound"})):
        run = push()
        producer = run.processes[P]
        without(run, P, "closed")
        without(run, P, "left")
        producer.entries += [
            {**offered(25, 10 + n)[2], "event": "offered", "at": 25.0, "nbytes": 4000} for n in range(count)
        ]
        add(run, "", 31, "fault", lane="push", kind="kill_one", begun=begun, ended=31)
        next(e for e in run.director.all("end") if e["process"] == P)["how"] = "killed"
        assert rules(run) == expected
        assert judge(run).unknown["on the way when an end was killed"] == count


def test_what_was_done_to_a_lane_does_not_count_as_a_stall():
    run = push()
    change(run, "", "quiesce", at=40.0)
    add(run, "", 30, "fault", lane="push", kind="stop_one", begun=20.0, ended=32.0)
    assert rules(run) == set()


def test_what_was_done_elsewhere_in_its_life_excuses_no_loss():
    """A row of messages that came to nobody needs a cause of its own, at its own time."""
    for at, expected in ((14.0, set()), (23.5, {"lost"})):
        run = push()
        change(run, C, "counts", missed=0)
        without(run, C, "got", number=8)
        without(run, C, "got", number=9)  # 4 is missed no more: what the first one got ends before it
        for number in (0, 1, 2, 3):
            without(run, C, "got", number=number)
        first = process("push.consumer-0.1", *(got(2 + number, number) for number in range(4)))
        run.processes[first.name] = first
        add(run, "", at, "end", process=first.name, how="killed", status=-9, said="")
        add(run, "", at, "fault", lane="push", kind="kill_one", slot="consumer-0", begun=at, ended=at + 0.1)
        for number in (4, 8, 9):
            next(e for e in run.processes[P].entries if e.get("number") == number)["at"] = 13.5
        for entry in run.processes[C].entries:
            entry["at"] += 20 * (entry["event"] == "got")
        change(run, "", "quiesce", at=35.0)
        change(run, P, "closed", at=22.0)
        change(run, P, "left", at=22.1)
        assert rules(run) == expected


def test_a_publisher_that_ends_before_its_subscribers_have_come_back():
    """Nobody can tell them of what a cut took; of what was sent once they were there again, somebody has to."""
    for at, expected in ((6.5, set()), (1.5, {"lost"})):
        run = publish()
        without(run, S, "got", number=4)
        edit_stream(run, sent=4, received=3)
        add(run, "", at, "fault", lane="publish", kind="cut", place="only", connections=1, begun=at, ended=at)
        assert rules(run) == expected


@pytest.mark.parametrize(
    ("secured", "at", "expected"), [(True, 15.0, set()), (True, 2.0, {"refused"}), (False, 15.0, {"refused"})]
)
def test_who_is_turned_away_while_the_server_is_not_there(secured, at, expected):
    run = push()
    run.director.last("lane")["secured"] = secured
    add(run, C, 16.0, "turned away", text="refused")
    add(run, "", at, "fault", lane="push", kind="kill_one", slot="producer-1", begun=at, ended=at + 1)
    assert rules(run) == expected


WORKER, BROKER = {"slot": "worker-1"}, {"slot": "broker-0"}
DEATHS = {
    "three workers": ([("kill_one", WORKER)] * 3, True),
    "two workers": ([("kill_one", WORKER)] * 2, False),
    "three clients": ([("kill_one", {"slot": "client-1"})] * 3, False),
    "a broker, which knows of none any more": (
        [("kill_one", WORKER), ("kill_one", BROKER), *[("kill_one", WORKER)] * 2], False,
    ),
    "all at once": ([("kill_one", WORKER)] * 2 + [("restart_all", {}), ("kill_one", WORKER)], False),
    "a broker that stood still": ([("kill_one", WORKER)] * 2 + [("stop_one", BROKER)], False),
    "cuts on the workers' side": ([("cut", {"place": "backend", "connections": 3})] * 3, True),
    "cuts on the other side": ([("cut", {"place": "frontend", "connections": 3})] * 3, False),
    "three connections cut as they came": ([("cut_at_bytes", {"connections": {"backend": 3}})], True),
    "connections of clients": ([("cut_at_bytes", {"connections": {"frontend": 9, "backend": 2}})], False),
    "silence, and its end": ([("fall_silent", {"place": "backend"}), ("kill_one", WORKER)], True),
}  # fmt: skip


@pytest.mark.parametrize("what", DEATHS)
def test_workers_lost_takes_three_deaths(what):
    faults, excused = DEATHS[what]
    run = serve()
    change(run, K, "ended", event="failed", error="WorkersLost", text="")
    for at, (kind, facts) in enumerate(faults, 3):
        add(run, "", at, "fault", lane="serve", kind=kind, begun=at, ended=at + 0.5, **facts)
    assert rules(run) == (set() if excused else {"failed"})


def test_a_history_without_lanes():
    assert rules(Run({}, Process("director"))) == {"idle"}


def write(run, folder):
    for name, each in {**run.processes, "director": run.director}.items():
        history = History(folder, name)
        for entry in each.entries:
            history.note(entry["event"], **{key: value for key, value in entry.items() if key not in ("event", "at")})
        history.close()


def test_histories_are_read_as_they_were_written(tmp_path):
    tail = Tail(tmp_path / f"{P}.jsonl")
    assert tail.count("offered") == 0
    write(push(), tmp_path)
    assert tail.count("offered", "got") == 10
    assert tail.count("offered", "got") == 0
    with open(tmp_path / f"{P}.jsonl", "a") as file:
        file.write('{"event": "offe')  # killed amid it
    findings = judge_folder(tmp_path)
    assert findings.counts["sent"] == 10
    assert findings.counts["received"] == 9


@pytest.mark.parametrize("missed", [1, 0])
def test_the_command_judges_a_folder_and_says_so_by_its_status(tmp_path, monkeypatch, capsys, missed):
    run = push()
    change(run, C, "counts", missed=missed)
    for each in (run.director, *run.processes.values()):
        for entry in each.entries:
            entry.pop("at")  # as they are written now, all within a moment
    write(run, tmp_path)
    monkeypatch.setattr(sys, "argv", ["soak", "--check", str(tmp_path)])
    assert main() == 1 - missed
    assert f"{1 - missed} violations" in capsys.readouterr().out


def test_an_episode_is_drawn_from_its_seed():
    assert draw_lanes(1, 1) == draw_lanes(1, 1) != draw_lanes(2, 1)
    drawn = [lane for episode in range(20) for lane in draw_lanes(3, episode)]
    faces = {(lane.pattern, lane.transport, spec.face) for lane in drawn for spec in lane.slots.values()}
    wanted = {(p, t) for p in ("push", "publish") for t in ("tcp", "ipc", "shm")}
    wanted |= {(p, t) for p in ("serve", "broker") for t in ("tcp", "ipc")}
    assert faces >= {(*each, face) for each in wanted for face in ("sync", "asyncio")}
    assert json.dumps([lane.secured for lane in drawn]).count("true") > 5
