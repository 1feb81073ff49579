"""The broker's books against random clients, workers, deaths and silences.

Whatever happens, each task ends in exactly one result or one error at its client, unless that has gone or given it up;
no worker is given more than it has slots for; and what is counted adds up.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nptransport.protocol.jobs import Jobs
from nptransport.protocol.words import Form, Reader, Word

CLIENTS = [b"c1", b"c2"]
WORKERS = [b"w1", b"w2", b"w3"]
METHODS = {"a": "a()", "b": "b()"}
INTERVAL = 1.0
read = Reader().read


class Books(RuleBasedStateMachine):
    """Plays the clients and the workers."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.jobs = Jobs("broker", INTERVAL, max_messages=8, max_bytes=100, now=self.now)
        self.numbers = dict.fromkeys(CLIENTS, 0)
        self.wanted = {}  # (client, number): the call, as long as no answer came
        self.refused = set()
        self.given_up = set()
        self.held = {worker: {} for worker in WORKERS}  # what each believes to have: (client, number): attempt
        self.slots = {}
        self.deaths = {}

    def hear(self):
        """What the broker says is heard by whom it is for."""
        while self.jobs.out:
            out = self.jobs.out.popleft()
            word = read(out.head)
            if out.to_worker:
                self.worker_hears(out.peer, word)
            else:
                self.client_hears(out.peer, word)

    def worker_hears(self, worker, word):
        if word.kind == "task":
            client, attempt, _, _ = word.fields
            self.held[worker][client, word.number] = attempt
            assert len(self.held[worker]) <= self.slots[worker], "more than it has slots for"
        elif word.kind == "who":
            self.slots.pop(worker, None)

    def client_hears(self, client, word):
        key = client, word.number
        if word.kind in ("result", "error"):
            assert key in self.wanted or key in self.given_up, "an answer twice, or to nobody"
            assert key not in self.refused
            self.wanted.pop(key, None)
        elif word.kind == "busy":
            self.refused.add(key)
        elif word.kind == "who":
            self.send_again(client)

    def send_again(self, client):
        self.refused -= {key for key in self.refused if key[0] == client}
        for (owner, number), (method, nbytes) in list(self.wanted.items()):
            if owner == client:
                self.say_call(client, number, method, nbytes)

    def say_call(self, client, number, method, nbytes):
        word = Word("call", (method, Form.ONE, 1), number)
        self.jobs.client_says(client, word, [b"frames"], nbytes, self.now)

    @rule(client=st.sampled_from(CLIENTS), method=st.sampled_from("ab"), nbytes=st.integers(1, 60))
    def call(self, client, method, nbytes):
        self.numbers[client] += 1
        self.wanted[client, self.numbers[client]] = method, nbytes
        self.say_call(client, self.numbers[client], method, nbytes)
        self.hear()

    @rule(client=st.sampled_from(CLIENTS))
    def sends_again_what_was_refused(self, client):
        for key in [key for key in self.refused if key[0] == client and key in self.wanted]:
            self.refused.discard(key)
            self.say_call(client, key[1], *self.wanted[key])
        self.hear()

    @rule(client=st.sampled_from(CLIENTS))
    def comes_again_on_another_connection(self, client):
        self.jobs.client_gone(client)
        self.send_again(client)
        self.hear()

    @rule(client=st.sampled_from(CLIENTS))
    def is_alive(self, client):
        self.jobs.client_says(client, Word("alive", (INTERVAL,), 0), [], 0, self.now)
        self.hear()

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def cancel(self, data):
        key = data.draw(st.sampled_from(sorted(self.wanted)))
        del self.wanted[key]
        self.given_up.add(key)
        self.refused.discard(key)
        self.jobs.client_says(key[0], Word("cancel", (), key[1]), [], 0, self.now)
        self.hear()

    @rule(worker=st.sampled_from(WORKERS), slots=st.integers(1, 3), methods=st.sampled_from(["a", "b", "ab"]))
    def ready(self, worker, slots, methods):
        self.held[worker].clear()
        self.slots[worker] = slots
        offered = {name: METHODS[name] for name in methods}
        self.jobs.worker_ready(worker, Word("ready", (worker.decode(), slots, INTERVAL), 0), offered, self.now)
        self.hear()

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data(), kind=st.sampled_from(["done", "failed", "returned"]))
    def answer(self, data, kind):
        worker = data.draw(st.sampled_from([each for each in WORKERS if self.held[each]]))
        client, number = key = data.draw(st.sampled_from(sorted(self.held[worker])))
        attempt = self.held[worker].pop(key)
        self.jobs.worker_says(worker, Word(kind, (client, attempt), number), [b"result"], self.now)
        self.hear()

    @rule(worker=st.sampled_from(WORKERS), how=st.sampled_from(["dies", "goodbye", "leaving", "beat"]), data=st.data())
    def leave(self, worker, how, data):
        if how == "dies":
            self.held[worker].clear()
            self.slots.pop(worker, None)
            if data.draw(st.booleans()):
                self.jobs.worker_gone(worker)
            else:
                self.jobs.worker_unreachable(worker, data.draw(st.sampled_from([None, *self.jobs._jobs])))
        else:
            self.jobs.worker_says(worker, Word(how, (), 0), [], self.now)
        self.hear()

    @rule(seconds=st.floats(0, 4))
    def time_passes(self, seconds):
        """Whoever is silent meanwhile is taken for dead; what it says later must do no harm."""
        self.now += seconds
        self.jobs.tick(self.now)
        self.hear()

    @invariant()
    def nothing_is_lost(self):
        known = set(self.jobs._jobs)
        missing = set(self.wanted) - known - self.refused
        # Only what belongs to a client that was silent for too long: it is told so when it speaks again.
        assert all(client not in self.jobs._clients for client, _ in missing)
        assert not known & self.refused

    @invariant()
    def the_books_add_up(self):
        jobs = self.jobs
        statistics = jobs.statistics(0, 0)
        assert statistics.waiting == sum(job.worker is None for job in jobs._jobs.values())
        assert statistics.nbytes == sum(job.nbytes for job in jobs._jobs.values())
        ended = statistics.results + statistics.errors + statistics.cancelled + statistics.abandoned
        assert statistics.tasks == ended + statistics.waiting + statistics.running
        assert all(0 <= worker.busy <= worker.slots for worker in statistics.workers.values())

    @invariant()
    def nobody_idles_beside_work(self):
        for worker in self.jobs._workers.values():
            overdue = self.now - worker.heard > 1.5 * INTERVAL
            if not worker.leaving and len(worker.running) < worker.slots and not overdue:
                assert not set(self.jobs._queues.by_method) & set(worker.methods)

    def teardown(self):
        """Good workers come, everybody speaks: then everything ends."""
        for worker in WORKERS:
            self.ready(worker, 3, "ab")
        for _ in range(len(self.wanted) + len(self.jobs) + 3):
            for client in CLIENTS:
                self.is_alive(client)
                self.sends_again_what_was_refused(client)
            for worker in WORKERS:
                for (client, number), attempt in list(self.held[worker].items()):
                    del self.held[worker][client, number]
                    self.jobs.worker_says(worker, Word("done", (client, attempt), number), [], self.now)
                    self.hear()
        assert not self.wanted
        assert len(self.jobs) == 0


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBooks = Books.TestCase


def drain(jobs):
    out = [(message, read(message.head)) for message in jobs.out]
    jobs.out.clear()
    return out


def test_a_task_that_three_workers_died_of_becomes_an_error():
    jobs = Jobs("broker", INTERVAL, 100, 1000, 0.0)
    jobs.client_says(b"c", Word("call", ("a", 1, 1), 1), [b"x"], 1, 0.0)
    for index in range(3):
        worker = b"w%d" % index
        jobs.worker_ready(worker, Word("ready", ("w", 1, 1.0), 0), {"a": "a()"}, 0.0)
        task = [word for message, word in drain(jobs) if word.kind == "task"]
        assert task[0].fields[1] == index + 1
        jobs.worker_gone(worker)
    assert not [word for _, word in drain(jobs) if word.kind == "error"]  # one of them may come back
    jobs.client_says(b"c", Word("alive", (1.0,), 0), [], 0, 3.0)
    jobs.tick(3.0)
    failure = [message.failure for message, word in drain(jobs) if word.kind == "error"]
    assert failure[0].type == "WorkersLost"
    assert "3 workers died" in failure[0].text
    assert len(jobs) == 0


def tasks(jobs):
    return [message.peer for message, word in drain(jobs) if word.kind == "task"]


def test_who_comes_back_had_only_lost_a_connection():
    jobs = Jobs("broker", INTERVAL, 100, 1000, 0.0)
    jobs.client_says(b"c", Word("call", ("a", 1, 1), 1), [b"x"], 1, 0.0)
    ready = Word("ready", ("w", 1, 1.0), 0)
    for again in range(4):
        for worker in (b"w1", b"w2", b"w3"):  # cut off one after the other, and no other is there
            jobs.worker_ready(worker, ready, {"a": "a()"}, again + 0.1)
            assert tasks(jobs) == [worker]
            jobs.worker_gone(worker)
    assert len(jobs) == 1
    jobs.worker_ready(b"w2", ready, {"a": "a()"}, 5.0)
    assert tasks(jobs) == [b"w2"]
    jobs.worker_says(b"w2", Word("done", (b"c", 13), 1), [], 5.0)
    assert (jobs.results, jobs.errors, jobs.redelivered, len(jobs)) == (1, 0, 12, 0)


def test_workers_whose_network_ends_together_do_not_take_a_task_along():
    jobs = Jobs("broker", INTERVAL, 100, 1000, 0.0)
    workers = [b"w%d" % index for index in range(4)]
    for index, worker in enumerate(workers):
        jobs.worker_ready(worker, Word("ready", ("w", 1, 1.0), 0), {"a": "a()"}, index * 0.1)
    jobs.client_says(b"c", Word("call", ("a", 1, 1), 1), [b"x"], 1, 0.5)
    assert tasks(jobs) == [b"w0"]
    jobs.worker_unreachable(b"w0", None)  # a word to it could not be sent: it had the task
    for worker in workers[1:]:
        assert tasks(jobs) == [worker]
        jobs.worker_unreachable(worker, (b"c", 1))  # the task itself could not: it never had it
    assert len(jobs) == 1
    jobs.tick(3.4)
    jobs.client_says(b"c", Word("alive", (1.0,), 0), [], 0, 3.5)
    for index, worker in enumerate(workers):
        jobs.worker_ready(worker, Word("ready", ("w", 1, 1.0), 0), {"a": "a()"}, 3.5 + index * 0.1)
    assert tasks(jobs) == [b"w0"]
    for step in range(10):  # silent from now on, each of them found out at another time
        jobs.tick(6.4 + step * 0.1)
        jobs.client_says(b"c", Word("alive", (1.0,), 0), [], 0, 6.4 + step * 0.1)
    assert tasks(jobs) == []
    assert (len(jobs), jobs.lost_workers, jobs.errors) == (1, 8, 0)


def test_tasks_of_what_nobody_ever_offered_are_refused_after_a_while():
    jobs = Jobs("broker", INTERVAL, 100, 1000, 0.0)
    jobs.client_says(b"c", Word("call", ("nothing", 1, 1), 1), [b"x"], 1, 0.0)
    jobs.tick(2.9)
    jobs.client_says(b"c", Word("alive", (1.0,), 0), [], 0, 3.0)
    jobs.tick(3.5)  # no worker at all: that may change
    assert len(jobs) == 1
    jobs.worker_ready(b"w", Word("ready", ("w", 1, 1.0), 0), {"a": "a(x)"}, 3.5)
    jobs.tick(3.6)
    failure = next(message.failure for message, word in drain(jobs) if word.kind == "error")
    assert (failure.type, failure.methods) == ("UnknownMethod", {"a": "a(x)"})
