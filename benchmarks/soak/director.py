"""Plays one episode: starts the processes of each lane, does to them what the seed says, and ends them gently.

Everything that it does is written down, too: the judge sees nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cable import Cable
from holding import held

import nptransport as npt

from .history import DIRECTOR, PROGRESS, History, Tail
from .network import free_port, throw_junk
from .scenario import Lane, draw_lanes

__all__ = ["Episode"]

ROOT = Path(__file__).parents[2]
UP = 60.0  # seconds for a process to start, on a machine with much else to do
BOUND = 20.0  # seconds without progress, while nothing is done to a lane, that are a stall
ENOUGH = 5  # things that a receiver has to get before the next fault
END = 60.0  # seconds for a process to end
SAMPLE = 1.0


class Episode:
    """One episode, recorded in ``folder``."""

    def __init__(self, folder: Path, seed: int, number: int, seconds: float) -> None:
        self.folder, self._seed, self._number, self._seconds = folder, seed, number, seconds
        self.history = History(folder, DIRECTOR)
        self.history.note("bounds", stall=BOUND)
        self.faults = 0
        self._lanes = [Playing(self, lane, seed) for lane in draw_lanes(seed, number)]

    def play(self) -> None:
        over = threading.Event()
        threads = [threading.Thread(target=lane.play, args=(over,)) for lane in self._lanes]
        watch = threading.Thread(target=self._watch, args=(over,))
        for thread in (*threads, watch):
            thread.start()
        try:
            over.wait(self._seconds)
        finally:
            over.set()
            for thread in (*threads, watch):
                thread.join()
            self.history.note("over", sockets=sorted(path.name for path in self.folder.glob("npt-*.side")))
            self.history.close()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(SAMPLE):
            for lane in self._lanes:
                lane.sample()


class Playing:
    """One lane of it."""

    def __init__(self, episode: Episode, lane: Lane, seed: int) -> None:
        self._episode, self._lane, self._seed = episode, lane, seed
        self._folder, self._history = episode.folder, episode.history
        self._draw = random.Random(f"faults {seed} {lane.name}")
        self._lives = dict.fromkeys(lane.slots, 0)
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._tails: dict[str, Tail] = {}
        self._keys = ""
        if lane.secured:
            self._keys = str(self._folder / f"{lane.name}-keys")
            os.mkdir(self._keys)
            for name in ("server", "client"):
                npt.Curve.generate(f"{self._keys}/{name}")
        facts = {"pattern": lane.pattern, "transport": lane.transport, "secured": lane.secured}
        faces = {slot: spec.face for slot, spec in lane.slots.items()}
        self._history.note("lane", lane=lane.name, faces=faces, receivers=lane.receivers, **facts)
        names = ("frontend", "backend") if lane.pattern == "broker" else ("only",)
        self._places = {name: self._place(name) for name in names}
        self._cables = (
            {name: Cable(address, fuses=self._fuses()) for name, address in self._places.items()}
            if lane.transport == "tcp"
            else {}
        )
        self._cutting = False

    def _place(self, name: str) -> str:
        if self._lane.transport == "tcp":
            return f"tcp://127.0.0.1:{free_port()}"
        return f"{self._lane.transport}://{self._folder}/{self._lane.name}-{name}"

    def _fuses(self) -> Iterator[int | None]:
        """Bytes after which a connection that comes now is cut; None for never."""
        while True:
            yield (
                self._draw.choice((self._draw.randrange(1, 600), self._draw.randrange(600, 300_000)))
                if (self._cutting)
                else None
            )

    # Processes

    def _binds(self, role: str) -> bool:
        sends = role in ("producer", "publisher")
        return role in ("server", "broker") or (
            self._lane.pattern in ("push", "publish") and sends == self._lane.sender_binds
        )

    def _start(self, slot: str) -> None:
        lane, spec = self._lane, self._lane.slots[slot]
        binds = self._binds(spec.role)
        ends = {name: cable.address for name, cable in self._cables.items()} if not binds else {}
        places = {**self._places, **ends}
        addresses = {"bind" if binds else "connect": places.get("only")}
        if spec.role == "broker":
            addresses = places
        elif lane.pattern == "broker":
            addresses = {"connect": places["backend" if spec.role == "worker" else "frontend"]}
        name = f"{lane.name}.{slot}.{self._lives[slot]}"
        self._lives[slot] += 1
        told = {
            "name": name,
            "role": spec.role,
            "face": spec.face,
            "options": spec.options,
            "addresses": addresses,
            "binds": binds,
            "keys": self._keys,
            "folder": str(self._folder),
            "seed": self._seed,
            "largest": lane.largest,
            "interval": lane.interval,
        }
        roots = os.pathsep.join((str(ROOT), str(ROOT / "benchmarks")))
        with open(self._folder / f"{name}.stderr", "w") as errors:
            self._processes[slot] = subprocess.Popen(
                [sys.executable, "-m", "soak.peers", json.dumps(told)],
                stdin=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": roots},
            )
        self._tails[slot] = Tail(self._folder / f"{name}.jsonl")

    def _await_opening(self, slots: list[str]) -> None:
        left, deadline = set(slots), time.monotonic() + UP
        while left and time.monotonic() < deadline:
            left -= {slot for slot in left if self._tails[slot].count("opened")}
            time.sleep(0.02)

    def _end(self, slot: str, word: str) -> None:
        """Tell it to end, and wait until it has."""
        process = self._processes.pop(slot)
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.write(word + "\n")
            process.stdin.close()
        how = word
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            how = "hung"
            process.send_signal(signal.SIGABRT)
            process.wait()
        self._note_end(slot, how, process.returncode)

    def _kill(self, slot: str) -> None:
        process = self._processes.pop(slot)
        if process.poll() is None:
            process.kill()
            process.wait()
        died = process.returncode != -signal.SIGKILL
        assert process.stdin is not None
        process.stdin.close()
        self._note_end(slot, "died" if died else "killed", process.returncode)

    def _note_end(self, slot: str, how: str, status: int) -> None:
        name = f"{self._lane.name}.{slot}.{self._lives[slot] - 1}"
        said = (self._folder / f"{name}.stderr").read_text(errors="replace")
        self._history.note("end", process=name, how=how, status=status, said=said[-2000:])

    def sample(self) -> None:
        for slot, process in list(self._processes.items()):
            with contextlib.suppress(OSError, IndexError, ValueError):  # it ends this moment
                name = f"{self._lane.name}.{slot}.{self._lives[slot] - 1}"
                self._history.note("sample", process=name, **held(process.pid))

    # The play

    def play(self, over: threading.Event) -> None:
        try:
            self._play(over)
        finally:
            for process in self._processes.values():  # none, unless something has gone wrong here
                process.kill()
                process.wait()

    def _play(self, over: threading.Event) -> None:
        for slot in self._lane.slots:
            self._start(slot)
        self._await_opening(list(self._lane.slots))
        self._history.note("up", lane=self._lane.name)
        self._await_progress()
        while not over.wait(self._draw.uniform(0.2, 1.5)):
            self._do_something()
            self._await_progress()
        self._history.note("quiesce", lane=self._lane.name)
        for slot in sorted(self._lane.slots, key=self._order):
            if slot in self._processes:
                self._end(slot, "drain")
        for cable in self._cables.values():
            cable.close()
        self._history.note("down", lane=self._lane.name)

    def _order(self, slot: str) -> int:
        """Who sends ends first, then who receives; those between them come last."""
        roles = ("producer", "publisher", "client", "consumer", "subscriber", "server", "worker", "broker")
        return roles.index(self._lane.slots[slot].role)

    def _await_progress(self) -> None:
        """Until every receiver has got on from here, or for longer than is allowed, which the judge will see."""
        wanted = dict.fromkeys(self._lane.receivers, ENOUGH)
        for slot in wanted:
            self._tails[slot].count(*PROGRESS)  # what it got while something was done to it
        deadline = time.monotonic() + BOUND + 2.0
        while any(count > 0 for count in wanted.values()) and time.monotonic() < deadline:
            for slot in wanted:
                wanted[slot] -= self._tails[slot].count(*PROGRESS)
            time.sleep(0.05)

    def _do_something(self) -> None:
        faults = [self._kill_one, self._kill_one, self._stop_one, self._restart_one, self._restart_all]
        if self._cables:
            faults += [self._cut, self._cut_at_bytes, self._delay, self._fall_silent, self._junk]
        fault = self._draw.choice(faults)
        begun = time.monotonic()
        facts = fault()
        self._episode.faults += 1
        kind = fault.__name__.strip("_")
        self._history.note("fault", lane=self._lane.name, kind=kind, begun=begun, ended=time.monotonic(), **facts)

    def _some_slot(self) -> str:
        return self._draw.choice(sorted(self._lane.slots))

    def _kill_one(self) -> dict[str, Any]:
        slot = self._some_slot()
        self._kill(slot)
        self._start(slot)
        self._await_opening([slot])
        return {"slot": slot}

    def _stop_one(self) -> dict[str, Any]:
        slot = self._some_slot()
        process = self._processes[slot]
        process.send_signal(signal.SIGSTOP)
        time.sleep(self._draw.choice((0.2, 1.0, 4.0)))
        process.send_signal(signal.SIGCONT)
        return {"slot": slot}

    def _restart_one(self) -> dict[str, Any]:
        slot = self._some_slot()
        self._end(slot, "close")
        self._start(slot)
        self._await_opening([slot])
        return {"slot": slot}

    def _restart_all(self) -> dict[str, Any]:
        """Everybody is killed, and comes again in any order."""
        slots = sorted(self._lane.slots)
        for slot in slots:
            self._kill(slot)
        self._draw.shuffle(slots)
        for slot in slots:
            self._start(slot)
        self._await_opening(slots)
        return {}

    def _some_place(self) -> str:
        return self._draw.choice(sorted(self._cables))

    def _cut(self) -> dict[str, Any]:
        place = self._some_place()
        return {"place": place, "connections": self._cables[place].cut_all()}

    def _cut_at_bytes(self) -> dict[str, Any]:
        """For some seconds each connection is cut after some bytes."""
        before = {place: cable.accepted for place, cable in self._cables.items()}
        self._cutting = True
        place = self._some_place()
        there = self._cables[place].cut_all()
        time.sleep(self._draw.uniform(0.5, 3.0))
        self._cutting = False
        for cable in self._cables.values():
            cable.cut_all()  # those that have a fuse yet
        connections = {name: cable.accepted - before[name] for name, cable in self._cables.items()}
        connections[place] += there
        return {"place": place, "connections": connections}

    def _delay(self) -> dict[str, Any]:
        place = self._some_place()
        self._cables[place].delay = self._draw.choice((0.01, 0.1, 0.5))
        time.sleep(self._draw.uniform(0.5, 3.0))
        self._cables[place].delay = 0.0
        return {"place": place}

    def _fall_silent(self) -> dict[str, Any]:
        place = self._some_place()
        self._cables[place].silence_all()
        time.sleep(self._draw.uniform(0.3, 4.0))
        self._cables[place].cut_all()  # in the end the system finds out
        return {"place": place}

    def _junk(self) -> dict[str, Any]:
        place = self._places[self._draw.choice(sorted(self._places))]
        return {"connections": throw_junk(place, self._draw)}
