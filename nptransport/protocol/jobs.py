"""A broker's books: whose task each is, which worker has it, and who is there. No socket, and no clock.

Tell it what was heard, and what time it is; :attr:`Jobs.out` is then what is to be sent. The promise it keeps: each
task of a client that is there ends in exactly one result or one error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from .failure import Failure
from .queues import TaskQueues
from .records import Client, Job, Key, Out, Worker
from .statistics import BrokerStatistics
from .words import MISSES, Word, Writer

__all__ = ["Jobs"]

_REMEMBERED = 4096
_DEATHS = 3  # workers that a task may take with it
_OVERDUE = 1.5  # intervals of silence after which a worker, which speaks twice in each, is given nothing more


class Jobs:
    """Tasks between clients and workers.

    Args:
        name: unique to the broker's life.
        interval: seconds between two words to each side.
        max_messages, max_bytes: tasks that may be here, their results not counted; more are refused for a while.
    """

    def __init__(self, name: str, interval: float, max_messages: int, max_bytes: int, now: float) -> None:
        self._name, self._interval = name, interval
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._started = self._now = now
        self.out: deque[Out] = deque()
        self.draining = False
        """Whether no more tasks are taken."""
        self._jobs: dict[Key, Job] = {}
        self._queues = TaskQueues()
        self._doomed: dict[Key, Job] = {}  # that wait for their verdict
        self._nbytes = 0
        self._workers: dict[bytes, Worker] = {}
        self._clients: dict[bytes, Client] = {}
        self._given_up: dict[bytes, None] = {}  # clients that were silent for too long, and may be there nevertheless
        self._known: dict[str, str] = {}  # every method that was ever offered here
        self._writer = Writer()
        self._beaten = 0.0
        self.results = self.errors = self.cancelled = self.abandoned = 0
        self.redelivered = self.late = self.held_off = self.repeated = self.lost_workers = self.begun = 0

    def __len__(self) -> int:
        return len(self._jobs)

    # Clients

    def client_says(self, peer: bytes, word: Word, frames: Sequence[Any], nbytes: int, now: float) -> None:
        self._now = now
        client = self._clients.get(peer)
        if word.kind == "alive":
            if client is None:
                self._given_up[peer] = None  # or it would not think that we owe it anything
                client = self._greet(peer, now)
            client.interval = word.fields[0]
        elif word.kind == "call":
            client = client or self._greet(peer, now)
            self._take(peer, client, word, frames, nbytes, now)
        elif word.kind == "cancel" and client is not None:
            job = client.jobs.get(word.number)
            if job is not None:
                self._withdraw(job)
                self.cancelled += 1
        if client is not None:
            client.heard = now
        self._deal()

    def _greet(self, peer: bytes, now: float) -> Client:
        client = self._clients[peer] = Client(self._interval, now)
        self._send(False, peer, self._writer.word("here", self._name, self._interval))
        if peer in self._given_up:
            del self._given_up[peer]
            self._send(False, peer, self._writer.word("who"))  # it is to send again what it waits for
        return client

    def _take(self, peer: bytes, client: Client, word: Word, frames: Sequence[Any], nbytes: int, now: float) -> None:
        if word.number in client.jobs:
            self.repeated += 1
            return
        full = len(self._jobs) >= self._max_messages or self._nbytes + nbytes > self._max_bytes
        if self.draining or (full and self._jobs):
            self.held_off += 1
            client.refused = True
            self._send(False, peer, self._writer.about(word.number, "busy"))
            return
        method, form, attempt = word.fields
        job = Job(peer, word.number, method, form, attempt, frames, nbytes)
        job.arrived = now
        self._jobs[peer, word.number] = client.jobs[word.number] = job
        self._nbytes += nbytes
        self.begun += 1
        self._queues.put(job)

    def client_gone(self, peer: bytes) -> None:
        """Nobody waits for its tasks any more."""
        client = self._clients.pop(peer, None)
        if client is not None:
            self.abandoned += len(client.jobs)
            for job in list(client.jobs.values()):
                self._withdraw(job)
            self._deal()

    def _withdraw(self, job: Job) -> None:
        """Nobody wants its result any more."""
        if job.worker is not None:
            self._send(True, job.worker, self._writer.about(job.number, "drop", job.client, job.attempt))
        self._forget(job)

    def _forget(self, job: Job) -> None:
        del self._jobs[job.client, job.number]
        client = self._clients.get(job.client)
        if client is not None:
            client.jobs.pop(job.number, None)
        self._nbytes -= job.nbytes
        if job.worker is None and self._doomed.pop((job.client, job.number), None) is None:
            self._queues.remove(job)
        if not self.draining and self._has_room():
            for peer, each in self._clients.items():
                if each.refused:
                    each.refused = False
                    self._send(False, peer, self._writer.word("room"))

    def _has_room(self) -> bool:
        return len(self._jobs) <= self._max_messages * 3 // 4 and self._nbytes <= self._max_bytes * 3 // 4

    def _fail(self, job: Job, failure: Failure) -> None:
        head = self._writer.about(job.number, "error")
        self._forget(job)
        self.errors += 1
        self.out.append(Out(False, job.client, head, (), failure))

    # Workers

    def worker_ready(self, peer: bytes, word: Word, methods: Mapping[str, str], now: float) -> None:
        """A worker says what it offers. What it had been given before is not its any more."""
        self._now = now
        self._lose(peer)
        self._acquit(peer)
        name, slots, interval = word.fields
        self._workers[peer] = Worker(name, slots, interval, methods, now)
        self._known.update(methods)
        self._send(True, peer, self._writer.word("here", self._name, self._interval))
        self._deal()

    def worker_says(self, peer: bytes, word: Word, frames: Sequence[Any], now: float) -> None:
        self._now = now
        worker = self._workers.get(peer)
        if worker is None:
            self.late += word.kind in ("done", "failed")
            if word.kind != "goodbye":
                self._send(True, peer, self._writer.word("who"))
            return
        worker.heard = now
        if word.kind in ("done", "failed", "returned"):
            self._end(peer, worker, word, frames)
        elif word.kind == "leaving":
            worker.leaving = True
        elif word.kind == "goodbye":
            self._lose(peer)
        self._deal()

    def _end(self, peer: bytes, worker: Worker, word: Word, frames: Sequence[Any]) -> None:
        client, attempt = word.fields
        key = client, word.number
        if worker.running.get(key) == attempt:
            del worker.running[key]
        job = self._jobs.get(key)
        if job is None or job.worker != peer or job.attempt != attempt:
            self.late += word.kind != "returned"
            return
        if word.kind == "returned":
            self._queues.put(job, first=True)
            return
        done = word.kind == "done"
        self._send(False, client, self._writer.about(word.number, "result" if done else "error"), frames)
        self.results += done
        self.errors += not done
        worker.done += done
        worker.failed += not done
        self._forget(job)

    def worker_gone(self, *peers: bytes) -> None:
        """Their connections have ended. None is given what another had: that would count as its death, too."""
        for peer in peers:
            self.lost_workers += peer in self._workers
            self._lose(peer, gone=True)
        self._deal()

    def worker_unreachable(self, peer: bytes, task: Key | None) -> None:
        """As :meth:`worker_gone`, found out since something could not be sent: ``task``, of which it did not die."""
        worker = self._workers.get(peer)
        job = self._jobs.get(task) if task is not None else None
        if worker is not None and job is not None and job.worker == peer:
            del worker.running[job.client, job.number]
            self._queues.put(job, first=True)
        self.worker_gone(peer)

    def _lose(self, peer: bytes, *, gone: bool = False, silent: bool = False) -> None:
        worker = self._workers.pop(peer, None)
        if worker is None:
            return
        for key, attempt in reversed(worker.running.items()):  # those given first are to be first again
            job = self._jobs.get(key)
            if job is None or job.worker != peer or job.attempt != attempt:
                continue
            if gone:
                job.gone.add(peer)
            job.silent += silent
            if job.deaths >= _DEATHS:
                self._doom(job, worker.name)
            else:
                self.redelivered += 1
                self._queues.put(job, first=True)

    def _doom(self, job: Job, last: str) -> None:
        """It may have killed too many. But who has only lost a connection will be back soon."""
        job.worker, job.last = None, last
        job.verdict = self._now + MISSES * self._interval
        self._doomed[job.client, job.number] = job

    def _acquit(self, peer: bytes) -> None:
        """It lives: what it was working on when its connection ended did not kill it."""
        for job in self._jobs.values():
            job.gone.discard(peer)
        for key, job in list(self._doomed.items()):
            if job.deaths < _DEATHS:
                del self._doomed[key]
                self.redelivered += 1
                self._queues.put(job, first=True)

    # Who gets what

    def _deal(self) -> None:
        """Give workers what they have slots for, one each in turn; who has waited longest is first."""
        given = True
        while given and self._queues.by_method:
            given = False
            for peer, worker in list(self._workers.items()):
                if worker.leaving or len(worker.running) >= worker.slots or self._is_overdue(worker):
                    continue
                job = self._queues.take(worker.methods)
                if job is not None:
                    self._give(peer, worker, job)
                    given = True

    def _is_overdue(self, worker: Worker) -> bool:
        """Whether it may be behind a network that has ended for many: each task would be lost with it once more."""
        return self._now - worker.heard > _OVERDUE * worker.interval

    def _give(self, peer: bytes, worker: Worker, job: Job) -> None:
        job.worker = peer
        job.attempt += 1
        worker.running[job.client, job.number] = job.attempt
        self._workers[peer] = self._workers.pop(peer)  # last in turn
        head = self._writer.about(job.number, "task", job.client, job.attempt, job.method, job.form)
        self.out.append(Out(True, peer, head, job.frames, task=(job.client, job.number)))

    # Time

    def tick(self, now: float) -> None:
        """Look who is silent, and speak to who is there."""
        self._now = now
        for peer in [peer for peer, each in self._workers.items() if now - each.heard > MISSES * each.interval]:
            self.lost_workers += 1
            self._lose(peer, silent=True)
        for job in [job for job in self._doomed.values() if now >= job.verdict]:
            text = f"{_DEATHS} workers died while they worked on it, the last of them {job.last}"
            self._fail(job, Failure("WorkersLost", text))
        self._deal()
        for peer, client in list(self._clients.items()):
            if now - client.heard > MISSES * client.interval:
                self.client_gone(peer)
                self._given_up[peer] = None
                if len(self._given_up) > _REMEMBERED:
                    del self._given_up[next(iter(self._given_up))]
        if self._workers and now - self._started > MISSES * self._interval:
            self._refuse_unknown(now)
        if now - self._beaten >= self._interval:
            self._beaten = now
            here = self._writer.word("here", self._name, self._interval)
            for peer in self._workers:
                self._send(True, peer, here)
            for peer, client in self._clients.items():
                if client.jobs:
                    self._send(False, peer, here)

    def _refuse_unknown(self, now: float) -> None:
        """Tasks of methods that nobody has ever offered; who does may only just be starting."""
        for job in self._queues.unknown(self._known):
            if now - job.arrived > MISSES * self._interval:
                text = f"no worker has offered {job.method}; those here offer:"
                self._fail(job, Failure("UnknownMethod", text, methods=dict(self._known)))

    def rest(self, now: float) -> None:
        """This process stood still; nobody else is to be blamed for the silence."""
        for worker in self._workers.values():
            worker.heard = now
        for client in self._clients.values():
            client.heard = now

    # What is told

    def _send(self, to_worker: bool, peer: bytes, head: bytes, frames: Sequence[Any] = ()) -> None:
        self.out.append(Out(to_worker, peer, head, frames))

    @property
    def methods(self) -> dict[str, str]:
        """What those who are here offer."""
        return {name: text for worker in self._workers.values() for name, text in worker.methods.items()}

    def statistics(self, malformed: int, undelivered: int) -> BrokerStatistics:
        waiting = len(self._queues) + len(self._doomed)
        return BrokerStatistics(
            tasks=self.begun,
            results=self.results,
            errors=self.errors,
            waiting=waiting,
            running=len(self._jobs) - waiting,
            nbytes=self._nbytes,
            redelivered=self.redelivered,
            late=self.late,
            cancelled=self.cancelled,
            abandoned=self.abandoned,
            held_off=self.held_off,
            repeated=self.repeated,
            undelivered=undelivered,
            malformed=malformed,
            lost_workers=self.lost_workers,
            workers={peer.hex()[2:14]: worker.state() for peer, worker in self._workers.items()},
            clients=len(self._clients),
        )
