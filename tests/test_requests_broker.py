"""Broker and workers on both faces, and what becomes of tasks when processes are killed, stopped and started anew."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
import time
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import zmq
from calling import Calling, calling_fixture, gate_fixture, remote_error, serve_fixture  # noqa: F401
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import AsyncFace, bound_address, face_fixture, make_address, sockets_of_zmq_fixture  # noqa: F401
from test_security import keys_fixture  # noqa: F401

import nptransport as npt
from nptransport.patterns import brokering, requesting
from nptransport.protocol.words import Form, Reader, Writer

INTERVAL = 0.1
QUICK = 0.5  # three of these are death, and more than a thread waits for its turn on a busy machine

# Says what it begins; "slow" goes on when it is told to.
WORKER = """
    worker = npt.Worker(connect=args[0], slots=int(args[1]), interval=float(args[4]), name=args[2])

    @worker.method
    def double(x):
        return 2 * x

    @worker.method
    def slow(x):
        call = npt.current_call()
        say(f"begun {call.id} {call.attempt}")
        time.sleep(float(args[3]))
        return [x, args[2]]

    import signal
    signal.signal(signal.SIGTERM, lambda *_: worker.close())
    say("up")
    worker.serve()
    say("ended")
"""

BROKER = """
    broker = npt.Broker(frontend=args[0], backend=args[1], interval=0.1)
    say(broker.frontend)
    say(broker.backend)
    broker.serve()
"""


@pytest.fixture(name="new_wire")
def new_wire_fixture(request):
    """A function that gives an address to bind. What differs between transports is tested with single servers."""
    return functools.partial(make_address, getattr(request, "param", "tcp"))


@pytest.fixture(name="broker")
def broker_fixture(face, new_wire):
    return face.broker(frontend=new_wire(), backend=new_wire())


@pytest.fixture(name="quick_broker")
def quick_broker_fixture(face, new_wire):
    return face.broker(frontend=new_wire(), backend=new_wire(), interval=0.1)


@pytest.fixture(name="start")
def start_fixture(spawn):
    """``start(backend)``: a worker in another process."""

    def start(backend, *, slots=1, name="w", seconds=3600.0):
        child = spawn(WORKER, backend, slots, name, seconds, QUICK)
        assert child.hear() == "up"
        return child

    return start


def is_there(broker, count=1):
    return len(broker.statistics().workers) == count


@pytest.mark.parametrize("new_wire", ["tcp", "shm"], indirect=True)
def test_several_workers_and_services(serve, calling, broker):
    for index in range(2):
        functions = {"double": lambda x: 2 * x, "which": lambda index=index: index}
        serve(functions, kind="Worker", connect=broker.backend, interval=INTERVAL)
    serve({"half": lambda x: x / 2}, kind="Worker", connect=broker.backend, interval=INTERVAL, slots=3)
    client = calling(connect=broker.frontend)
    wait_until(lambda: is_there(broker, 3))
    assert {client.call("which") for _ in range(4)} == {0, 1}
    assert client.call("half", 5) == 2.5
    arrays = (np.full(20_000, index) for index in range(40))
    assert [int(each[-1]) for each in client.map("double", arrays)] == list(range(0, 80, 2))
    assert sorted(client.map("double", range(40), ordered=False)) == list(range(0, 80, 2))
    statistics = broker.statistics()
    assert (statistics.tasks, statistics.results, statistics.running, statistics.errors) == (85, 85, 0, 0)
    assert sum(worker.done for worker in statistics.workers.values()) == 85
    told = client.call("nptransport.broker")
    assert {tuple(worker["methods"]) for worker in told["workers"].values()} == {("double", "which"), ("half",)}
    assert set(client.call("nptransport.methods")) == {"double", "which", "half"}


def test_errors_come_through(serve, calling, broker):
    def fail(x):
        raise KeyError(x)

    serve({"fail": fail, "bad": lambda: object()}, kind="Worker", connect=broker.backend, interval=INTERVAL)
    client = calling(connect=broker.frontend)
    error = remote_error(client, "fail", "name")
    assert (error.type, error.text) == ("KeyError", "'name'")
    assert "raise KeyError(x)" in error.traceback
    assert remote_error(client, "fail").type == "WrongArguments"
    assert remote_error(client, "bad").type == "EncodeError"
    error = remote_error(client, "nothing")
    assert error.type == "UnknownMethod"
    assert set(error.methods) == {"fail", "bad"}


def test_readiness_decides_and_not_turns(serve, calling, broker, gate):
    """A worker that is busy gets nothing, and the other everything."""
    begun = threading.Event()
    serve({"work": lambda _: [begun.set(), gate.wait(PATIENCE)][1]}, kind="Worker", connect=broker.backend)
    client = calling(connect=broker.frontend)
    stuck = client.submit("work", 0)
    wait_until(lambda: (client.let_run(0.01), begun.is_set())[1])
    serve({"work": lambda x: x}, kind="Worker", connect=broker.backend)
    assert list(client.map("work", range(20))) == list(range(20))
    gate.set()
    assert client.result(stuck) is True


def test_what_is_cancelled_is_dropped_from_the_queue(serve, calling, broker, gate):
    seen = []
    functions = {"work": lambda x: [seen.append(x), gate.wait(PATIENCE)]}
    serve(functions, kind="Worker", connect=broker.backend, interval=INTERVAL)
    client = calling(connect=broker.frontend)
    futures = [client.submit("work", index) for index in range(3)]
    wait_until(lambda: (client.let_run(0.01), broker.statistics().waiting == 2)[1])
    client.cancel(futures[1])
    wait_until(lambda: (client.let_run(0.01), broker.statistics().cancelled == 1)[1])
    gate.set()
    client.result(futures[2])
    assert seen == [0, 2]


def test_a_full_broker_has_its_clients_wait(face, serve, calling, new_wire):
    broker = face.broker(frontend=new_wire(), backend=new_wire(), max_messages=5)
    client = calling(connect=broker.frontend)
    futures = [client.submit("double", index) for index in range(50)]
    wait_until(lambda: (client.let_run(0.01), broker.statistics().held_off)[1])
    assert broker.statistics().waiting <= 5
    serve({"double": lambda x: 2 * x}, kind="Worker", connect=broker.backend, interval=INTERVAL)
    assert [client.result(future) for future in futures] == list(range(0, 100, 2))
    broker.close()


def test_a_broker_that_closes_lets_its_tasks_be_done(face, serve, calling, broker, gate):
    serve({"work": lambda: gate.wait(PATIENCE)}, kind="Worker", connect=broker.backend, interval=INTERVAL)
    client = calling(connect=broker.frontend)
    future = client.submit("work")
    wait_until(lambda: (client.let_run(0.01), broker.statistics().running == 1)[1])
    threading.Timer(0.1, gate.set).start()
    assert broker.close(linger=PATIENCE) == 0
    assert client.result(future) is True


def test_a_broker_whose_clients_have_left_waits_for_nobody(face, serve, calling, broker):
    serve({"double": lambda x: 2 * x}, kind="Worker", connect=broker.backend, interval=INTERVAL)
    client = calling(connect=broker.frontend)
    assert client.call("double", 1) == 2
    client.close()
    wait_until(lambda: broker.statistics().clients == 0)
    closing = threading.Thread(target=lambda: broker.close(linger=3600), daemon=True)
    closing.start()
    closing.join(PATIENCE)
    assert not closing.is_alive()


# Workers that are killed, stopped, and asked to end


def test_a_killed_workers_task_goes_to_another(face, calling, broker, start):
    client = calling(connect=broker.frontend)
    first = start(broker.backend, name="first")
    future = client.submit("slow", 1)
    begun = client.hear(first).split()
    second = start(broker.backend, name="second", seconds=0)
    wait_until(lambda: is_there(broker, 2))
    first.kill()
    assert client.result(future) == [1, "second"]
    again = second.hear().split()
    assert again == ["begun", begun[1], "2"]  # the same call, for the second time
    assert broker.statistics().redelivered == 1
    wait_until(lambda: is_there(broker, 1))


def test_a_stopped_workers_task_goes_to_another_and_its_late_answer_is_dropped(calling, broker, start):
    client = calling(connect=broker.frontend)
    first = start(broker.backend, name="first", seconds=2)
    future = client.submit("slow", 1)
    client.hear(first)
    first.stop()
    start(broker.backend, name="second", seconds=0)
    assert client.result(future) == [1, "second"]
    first.resume()
    wait_until(lambda: broker.statistics().late == 1)
    wait_until(lambda: is_there(broker, 2))  # it is told that it was given up, and offers itself again
    assert client.statistics().late == 0
    assert client.statistics().results == 1


def test_a_task_that_kills_three_workers_becomes_an_error(calling, quick_broker, spawn):
    broker = quick_broker
    script = """
    worker = npt.Worker(connect=args[0], interval=float(args[1]))
    worker.register("die", lambda: os._exit(1))
    worker.register("double", lambda x: 2 * x)
    worker.serve()
    """
    client = calling(connect=broker.frontend)
    for _ in range(4):
        spawn(script, broker.backend, QUICK)
    wait_until(lambda: is_there(broker, 4))
    error = remote_error(client, "die")
    assert error.type == "WorkersLost"
    assert "3 workers died" in error.text
    assert client.call("double", 4) == 8
    assert broker.statistics().lost_workers == 3


def test_a_worker_that_is_asked_to_end_finishes_its_task_first(calling, quick_broker, start):
    broker = quick_broker
    client = calling(connect=broker.frontend)
    worker = start(broker.backend, name="first", seconds=4 * QUICK)  # for longer than it waits for a silent broker
    future = client.submit("slow", 1)
    client.hear(worker)
    worker.process.send_signal(signal.SIGTERM)
    assert client.result(future) == [1, "first"]
    assert worker.hear() == "ended"
    assert worker.wait() == 0
    statistics = broker.statistics()
    assert (statistics.redelivered, statistics.lost_workers) == (0, 0)
    wait_until(lambda: is_there(broker, 0))


# Whoever had to wait for its own turn hears what has come meanwhile before it takes anybody for dead


@pytest.fixture(name="clock")
def clock_fixture(monkeypatch):
    """What time it is, in a list, for brokers and clients."""
    now = [time.monotonic()]
    for module in (brokering, requesting):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_broker_takes_nobody_for_dead_who_spoke_while_it_waited(clock, sockets_of_zmq, new_wire):
    with npt.Broker(frontend=new_wire(), backend=new_wire(), interval=0.1, linger=0) as broker:
        worker = sockets_of_zmq(zmq.DEALER, broker.backend)
        worker.send_multipart([Writer().word("ready", "w", 1, 0.1), *npt.encode({"double": "(x)"})])
        wait_until(lambda: is_there(broker))
        with broker._lock:  # its thread waits
            worker.send(Writer().word("beat"))
            wait_until(broker._workers.channel.readable)
            clock[0] += 0.4
        wait_until(lambda: broker._ticked == clock[0])
        assert is_there(broker)
        assert broker.statistics().lost_workers == 0


def test_what_a_worker_said_before_it_left_counts(sockets_of_zmq, new_wire, monkeypatch):
    """However its last words and its end fall between two looks of the broker's."""
    with npt.Broker(frontend=new_wire(), backend=new_wire(), linger=0) as broker:
        worker = sockets_of_zmq(zmq.DEALER, broker.backend)
        worker.send_multipart([Writer().word("ready", "w", 1, 5.0), *npt.encode({"double": "(x)"})])
        wait_until(lambda: is_there(broker))
        with npt.Client(connect=broker.frontend) as client:
            future = client.submit("double", 3)
            reader, word = Reader(), None
            while word is None or word.kind != "task":
                word = reader.read(worker.recv_multipart()[0])
            side, said = broker._workers, threading.Event()
            departed = side.departed

            def after_its_end():
                if not said.is_set():  # in the broker's thread, which has just heard all that there was
                    worker.linger = PATIENCE * 1000
                    worker.send_multipart([Writer().about(word.number, "done", *word.fields[:2]), *npt.encode(6)])
                    worker.close()
                    assert side.channel.connections._events.poll(PATIENCE * 1000)
                    said.set()
                return departed()

            monkeypatch.setattr(side, "departed", after_its_end)
            assert future.result(PATIENCE) == 6
        assert said.is_set()
        assert broker.statistics().redelivered == broker.statistics().late == 0


def test_a_client_takes_no_broker_for_dead_that_spoke_while_it_waited(clock):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as peer, contextlib.closing(AsyncFace()) as face:
        peer.linger, peer.rcvtimeo = 0, PATIENCE * 1000
        peer.bind("tcp://127.0.0.1:*")
        client = Calling(face, connect=peer.last_endpoint.rstrip(b"\0").decode())
        future = client.submit("double", 3)
        identity, head, *_ = client.meanwhile(peer.recv_multipart)
        here = [identity, Writer().word("here", "b", 0.1)]
        peer.send_multipart(here)
        wait_until(lambda: (client.let_run(0.01), client.client._calls._interval)[1])
        peer.send_multipart(here)
        wait_until(client.client._channel.readable)  # while its loop stands still
        clock[0] += 0.4
        client.let_run(0.2)  # for longer than between two looks
        assert client.statistics().disconnects == 0
        number = int.from_bytes(head[-8:], "big")
        peer.send_multipart([identity, Writer().about(number, "result"), *npt.encode(6)])
        assert client.result(future) == 6
        client.close()


# Brokers and clients that die


def test_a_broker_is_killed_and_started_again(calling, spawn, start, new_wire):
    broker = spawn(BROKER, new_wire(), new_wire())
    addresses = broker.hear(), broker.hear()
    client = calling(connect=addresses[0])
    start(addresses[1], slots=2, seconds=0.02)
    futures = [client.submit("slow", index) for index in range(30)]
    assert client.result(futures[0])[0] == 0
    broker.kill()
    client.let_run(0.1)
    again = spawn(BROKER, *addresses)
    assert (again.hear(), again.hear()) == addresses
    assert [client.result(future)[0] for future in futures] == list(range(30))
    statistics = client.statistics()
    assert (statistics.results, statistics.errors, statistics.outstanding) == (30, 0, 0)
    assert statistics.resent > 0


def test_a_killed_clients_tasks_are_dropped(broker, spawn, start, calling):
    child = spawn(
        """
        client = npt.Client(connect=args[0])
        futures = [client.submit("slow", index) for index in range(20)]
        say("sent")
        hear()
        """,
        broker.frontend,
    )
    assert child.hear() == "sent"
    wait_until(lambda: broker.statistics().waiting == 20)
    child.kill()
    wait_until(lambda: broker.statistics().waiting == 0)
    assert broker.statistics().abandoned == 20
    start(broker.backend)
    assert calling(connect=broker.frontend).call("double", 2) == 4


def test_a_stopped_client_is_given_up_and_gets_its_results_when_it_goes_on(broker, spawn, start):
    child = spawn(
        """
        client = npt.Client(connect=args[0])
        futures = [client.submit("double", index) for index in range(20)]
        say("sent")
        for index, future in enumerate(futures):
            assert future.result(15) == 2 * index
        say("all", client.statistics().disconnects)
        """,
        broker.frontend,
    )
    assert child.hear() == "sent"
    wait_until(lambda: broker.statistics().waiting == 20)
    child.stop()
    wait_until(lambda: broker.statistics().abandoned == 20)
    child.resume()
    start(broker.backend)
    assert child.hear() == "all 0"  # it hears what came meanwhile before it takes the broker for dead


# A server without a broker


SERVER = """
    server = npt.Server(bind=args[0])

    @server.method
    def work(x):
        call = npt.current_call()
        if args[1] == "die" and x == 3:
            os._exit(1)
        return [x, call.id, call.attempt]

    say(server.address)
    server.serve()
"""


def test_a_server_that_dies_and_comes_back_is_asked_again(calling, spawn, new_wire):
    first = spawn(SERVER, new_wire(), "die")
    address = first.hear()
    client = calling(connect=address)
    futures = [client.submit("work", index) for index in range(6)]
    assert client.meanwhile(first.wait) == 1
    again = spawn(SERVER, address, "live")
    assert again.hear() == address
    results = [client.result(future) for future in futures]
    assert [result[0] for result in results] == list(range(6))
    assert len({result[1] for result in results}) == 6
    assert results[3][2] >= 2


def test_a_call_is_answered_by_a_server_that_comes_later(calling, spawn, new_wire):
    address = spawn(SERVER, new_wire(), "live")
    where = address.hear()
    address.kill()
    client = calling(connect=where)
    future = client.submit("work", 1)
    client.let_run(0.1)
    again = spawn(SERVER, where, "live")
    again.hear()
    assert client.result(future)[0] == 1


# Peers that send junk


def junk():
    head = bytes(npt.encode(np.arange(3))[0])
    call = b"\x96\x01\xa4call\xa6double\x01\x01\x05"
    return {
        "nothing": [b""],
        "no word": [b"x"],
        "a text": [b"GET / HTTP/1.1"],
        "metadata alone": [head],
        "another version": [b"\x96\x02" + call[2:]],
        "half a word": [call[:-1]],
        "more than a word": [call + b"\0"],
        "a number that is none": [call[:-1] + b"\xff"],
        "a word of somebody else": [b"\x92\x01\xa4room"],
        "an unknown word": [b"\x92\x01\xa4what"],
        "a nest": [b"\x91" * 2000],
        "lengths that lie": [b"\xdd\xff\xff\xff\xff"],
        "too long": [call + bytes(100_000)],
        "no payload": [call],
        "a payload that is none": [call, b"x", b"y"],
        "a payload without its array": [call, head],
        "thousands of parts": [call, *[b""] * 3000],
        "ready for too much": [b"\x95\x01\xa5ready\xa1w\xce\x7f\xff\xff\xff\x01", head],
        "ready without methods": [b"\x95\x01\xa5ready\xa1w\x01\x01", head, b"x" * 24],
        "done for nobody": [b"\x95\x01\xa4done\xc4\x01c\x01\x05", head, b"x" * 24],
    }


def test_junk_is_refused_and_the_good_goes_on(serve, calling, broker, sockets_of_zmq, new_wire):
    server = serve({"double": lambda x: 2 * x}, bind=new_wire())
    serve({"double": lambda x: 2 * x}, kind="Worker", connect=broker.backend, interval=INTERVAL)
    for address in (server.address, broker.frontend, broker.backend):
        socket = sockets_of_zmq(zmq.DEALER, address)
        for parts in junk().values():
            socket.send_multipart(parts)
    for address in (server.address, broker.frontend):
        assert calling(connect=address).call("double", np.arange(3)).tolist() == [0, 2, 4]
    assert server.statistics().malformed >= 10
    assert broker.statistics().malformed >= 20


ONE_ARRAY = {  # what differs from a call that was answered before, and what its error says
    "one part too many": (lambda parts: [*parts, b""], "expected 1 buffer parts, found 2"),
    "thousands of parts too many": (lambda parts: [*parts, *[b"x"] * 3000], "expected 1 buffer parts, found 2"),
    "no array": (lambda parts: parts[:2], "expected 24 bytes for int64 [3], found 0"),
    "an array too short": (lambda parts: [*parts[:2], parts[2][:-1]], "expected 24 bytes for int64 [3], found 23"),
    "an array too long": (lambda parts: [*parts[:2], parts[2] + b"x"], "expected 24 bytes for int64 [3], found 25"),
    "no metadata": (lambda parts: [parts[0], b"", parts[2]], "expected a map"),
    "metadata cut": (lambda parts: [parts[0], parts[1][:-1], parts[2]], "expected more bytes"),
}


def test_calls_that_nearly_resemble_one_before(serve, calling, sockets_of_zmq, new_wire):
    server = serve({"double": lambda x: 2 * x}, bind=new_wire())
    socket = sockets_of_zmq(zmq.DEALER, server.address)
    good, numbers = [bytes(frame) for frame in npt.encode(np.arange(3))], iter(range(1, 1000))

    def ask(change=list):
        number = next(numbers)
        socket.send_multipart(change([Writer().about(number, "call", "double", Form.ONE, 1), *good]))
        head, *answer = socket.recv_multipart()
        assert Reader().read(head).number == number
        return npt.decode(answer)

    assert [ask().tolist() for _ in range(3)] == [[0, 2, 4]] * 3
    for case, (change, complaint) in ONE_ARRAY.items():
        error = ask(change)
        assert error["type"] == "DecodeError", case
        assert complaint in error["text"], case
        assert ask().tolist() == [0, 2, 4], case
    statistics, count = server.statistics(), len(ONE_ARRAY)
    assert (statistics.results, statistics.errors, statistics.begun) == (3 + count, count, 0)


def test_a_client_survives_junk(calling, sockets_of_zmq):
    peer = sockets_of_zmq(zmq.ROUTER, "tcp://127.0.0.1:*", bind=True)
    client = calling(connect=bound_address(peer))
    future = client.submit("double", 3)
    identity, head, *_ = client.meanwhile(peer.recv_multipart)
    number = int.from_bytes(head[-8:], "big")
    for parts in junk().values():
        peer.send_multipart([identity, *parts])
    result = [bytes(frame) for frame in npt.encode([6])]
    peer.send_multipart([identity, b"\x93\x01\xa6result\xcf" + number.to_bytes(8, "big"), *result])
    assert client.result(future) == [6]
    client.close()


def test_an_answer_that_is_malformed_is_an_error_of_its_call(calling, sockets_of_zmq):
    peer = sockets_of_zmq(zmq.ROUTER, "tcp://127.0.0.1:*", bind=True)
    client = calling(connect=bound_address(peer))
    for kind in (b"\xa6result", b"\xa5error"):
        future = client.submit("double", 3)
        identity, head, *_ = client.meanwhile(peer.recv_multipart)
        peer.send_multipart([identity, b"\x93\x01" + kind + b"\xcf" + head[-8:], b"junk"])
        with pytest.raises(npt.DecodeError):
            client.result(future)
    assert client.statistics().malformed == 2


def test_results_in_any_order_keep_a_window(serve, calling, broker):
    serve({"double": lambda x: 2 * x}, kind="Worker", connect=broker.backend, interval=INTERVAL)
    client = calling(connect=broker.frontend)
    endless = iter(int, 1)
    results = client.map("double", endless, max_calls=10, ordered=False)
    assert list(islice(results, 30)) == [0] * 30
    results.close()


def test_who_may_take_part(face, serve, calling, new_wire, keys):
    """Both sides of a broker, and a server: whose key is not allowed gets no answer, and no task."""
    broker = face.broker(frontend=new_wire(), backend=new_wire(), security=keys.serve())
    alone = serve({"double": lambda x: 2 * x}, bind=new_wire(), security=keys.serve())
    serve({"double": lambda x: 2 * x}, kind="Worker", connect=broker.backend, security=keys.come())
    for address in (broker.frontend, alone.address):
        assert calling(connect=address, security=keys.come()).call("double", np.arange(3)).tolist() == [0, 2, 4]
        for security in (None, keys.come_as_another()):
            with pytest.raises(npt.AuthenticationError):
                calling(connect=address, security=security).call("double", 1)
    assert (broker.statistics().tasks, alone.statistics().results) == (1, 1)
    broker.close()
