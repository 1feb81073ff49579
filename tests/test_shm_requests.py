"""Calls over shm://: arguments and results in shared memory, held safely, and whoever dies takes nothing along."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import zmq
from calling import calling_fixture, gate_fixture, remote_error, serve_fixture  # noqa: F401
from children import PATIENCE, spawn_fixture, wait_until  # noqa: F401
from faces import as_zmq_knows_it, face_fixture, make_address, needs_shm, shm_address_fixture, socket_path_fixture  # noqa: F401
from same import difference
from segments import is_shared, memfds

import nptransport as npt
from nptransport.codec import descriptor
from nptransport.codec.descriptor import Descriptor, Piece
from nptransport.codec.metadata import with_entry
from nptransport.protocol.words import Writer
from nptransport.shm.borrowing import Borrower
from nptransport.shm.lending import Lender

pytestmark = needs_shm

SIZE = 100_000  # elements of 8 bytes, well above the crossover
INTERVAL = 0.1


@pytest.fixture(name="broker")
def broker_fixture(face):
    return face.broker(frontend=make_address("shm"), backend=make_address("shm"))


def on_loan(endpoint):
    """Bytes of shared memory that an endpoint of ours has lent and not got back."""
    endpoint._lender.look()
    return endpoint._lender.nbytes


def where(x):
    """The argument as it came, and which of its arrays lie in shared memory."""
    arrays = [x] if isinstance(x, np.ndarray) else [each for each in x.values() if isinstance(each, np.ndarray)]
    return [x, [is_shared(each) for each in arrays]]


# What travels


@pytest.mark.parametrize("kind", ["Server", "Worker"])
def test_both_ways_go_through_shared_memory(serve, calling, address, broker, kind):
    if kind == "Server":
        server = serve({"where": where}, bind=address)
    else:
        server = serve({"where": where}, kind="Worker", connect=broker.backend, interval=INTERVAL)
    client = calling(connect=address if kind == "Server" else broker.frontend)
    nest = {"large": np.arange(SIZE), "small": np.arange(3), "text": "t" * SIZE, "fortran": np.ones((300, 400)).T}
    for _ in range(3):
        got, seen = client.call("where", nest)
        assert difference(nest, got) is None
        assert seen == [True, False, True]
        assert [is_shared(got[name]) for name in ("large", "small", "fortran")] == [True, False, True]
    got, seen = client.call("where", np.arange(SIZE))
    assert (got == np.arange(SIZE)).all()
    assert (seen, is_shared(got)) == ([True], True)
    got, seen = client.call("where", np.arange(1000))  # below the crossover
    assert (seen, is_shared(got)) == ([False], False)
    assert (client.statistics().unshared, server.statistics().unshared) == (0, 0)
    wait_until(lambda: on_loan(client.client) == 0)  # answered, and the handler has let it go


def test_what_is_received_is_read_only_on_both_sides(serve, calling, address):
    def spoil(x):
        x[0] = 1

    server = serve({"spoil": spoil, "same": lambda x: x}, bind=address)
    client = calling(connect=server.address)
    assert "read-only" in remote_error(client, "spoil", np.zeros(SIZE)).text
    got = client.call("same", np.zeros(SIZE))
    with pytest.raises(ValueError, match="WRITEABLE"):
        got.flags.writeable = True
    with pytest.raises(TypeError, match="read-only"):
        memoryview(got).cast("B")[0] = 1


def test_arguments_are_the_callers_again_at_once(serve, calling, address, gate):
    server = serve({"first": lambda x: [gate.wait(PATIENCE), int(x[0])][1]}, bind=address)
    client = calling(connect=server.address)
    array, futures = np.zeros(SIZE), []
    for index in range(5):
        array[:] = index
        futures.append(client.submit("first", array))
    array[:] = 99
    gate.set()
    assert [client.result(future) for future in futures] == list(range(5))


def test_an_idle_server_holds_no_argument(face, serve, calling, address):
    for threads in (1, 3):
        server = serve({"first": lambda x: int(x[0])}, bind=f"{address}-{threads}", threads=threads)
        client = calling(connect=server.address)
        assert client.call("first", np.zeros(SIZE)) == 0
        wait_until(lambda client=client: on_loan(client.client) == 0)


# What is held


def test_results_are_never_written_over_and_outlive_the_server(serve, calling, address):
    before = memfds()
    server = serve({"full": lambda index: np.full(SIZE, index)}, bind=address)
    client = calling(connect=server.address)
    held = [client.call("full", index)[5:] for index in range(3)]
    for index in range(3, 30):
        assert (client.call("full", index) == index).all()
    server.close()
    client.close()
    for index, view in enumerate(held):
        assert (view == index).all()
    del view
    held.clear()
    gc.collect()
    wait_until(lambda: memfds() <= before)


def test_when_all_is_on_loan_what_comes_goes_in_the_message(serve, calling, address):
    server = serve({"full": lambda x: np.full(SIZE, x[0])}, bind=address, max_bytes=SIZE * 8 * 4)
    client = calling(connect=server.address, max_bytes=SIZE * 8 * 4)
    held = [client.call("full", np.full(SIZE, index)) for index in range(10)]
    assert [int(each[-1]) for each in held] == list(range(10))
    assert [is_shared(each) for each in held] == [True] * 4 + [False] * 6
    assert server.statistics().unshared == 6
    held.clear()
    wait_until(lambda: is_shared(client.call("full", np.zeros(SIZE))))
    assert client.statistics().unshared == 0
    results = client.map("full", (np.full(SIZE, index) for index in range(30)), max_bytes=10**9)
    assert [int(each[0]) for each in results] == list(range(30))


def test_a_worker_has_a_budget_of_shared_memory_too(serve, calling, broker):
    options = {"connect": broker.backend, "max_bytes": SIZE * 8 * 2}
    worker = serve({"full": lambda x: np.full(SIZE, x[0])}, kind="Worker", **options)
    client = calling(connect=broker.frontend)
    held = [client.call("full", np.full(SIZE, index)) for index in range(4)]
    assert [int(each[-1]) for each in held] == list(range(4))
    assert [is_shared(each) for each in held] == [True] * 2 + [False] * 2
    assert worker.statistics().unshared == 2


def test_an_answer_that_comes_too_late_gives_its_memory_back(serve, calling, address, gate):
    server = serve({"wait": lambda: [gate.wait(PATIENCE), np.zeros(SIZE)], "one": lambda: 1}, bind=address, threads=1)
    client = calling(connect=server.address)
    with pytest.raises(npt.Timeout):
        client.call("wait", timeout=0.05)
    gate.set()
    assert client.call("one") == 1
    wait_until(lambda: client.call("one") and on_loan(server.server) == 0)
    assert client.statistics().late == 1


def test_a_forked_child_gives_nothing_back(address):
    """What it has a copy of, and loses, is the parent's still."""
    folder = str(Path(address.removeprefix("shm://")).parent)
    lender, borrower = Lender("lender", folder, 10**7, None), Borrower("borrower", [folder])
    slot = lender.take(SIZE)
    slot.fill(b"x" * SIZE, 0)
    entry, lot = lender.begin(slot, [Piece(0, 0, SIZE)])
    child = os.fork()
    if not child:
        del lot
        os._exit(0)
    os.waitpid(child, 0)
    [(_, content)] = borrower.open(descriptor.split_entry(entry + b"x")[0], 1)
    assert content == b"x" * SIZE
    assert lot.nbytes == SIZE
    borrower.close()
    lender.close(0)


# Death

WORKER = """
    from segments import is_shared
    worker = npt.Worker(connect=args[0], interval=0.1)

    @worker.method
    def work(x):
        say(f"begun {npt.current_call().attempt}")
        time.sleep(float(args[1]))
        return {"sum": int(x.sum()), "shared": is_shared(x), "twice": 2 * x}

    say("up")
    worker.serve()
"""


def test_a_killed_workers_task_goes_to_another_with_the_same_memory(calling, broker, spawn):
    before = memfds()
    client = calling(connect=broker.frontend)
    first = spawn(WORKER, broker.backend, 3600)
    assert first.hear() == "up"
    array = np.arange(SIZE)
    future = client.submit("work", array)
    assert client.hear(first) == "begun 1"
    second = spawn(WORKER, broker.backend, 0)
    assert second.hear() == "up"
    first.kill()
    result = client.result(future)
    assert second.hear() == "begun 2"
    assert (result["sum"], result["shared"]) == (array.sum(), True)
    assert is_shared(result["twice"])
    second.kill()
    gc.collect()
    assert (result["twice"] == 2 * array).all()  # held after the death of who made it
    del result, future
    wait_until(lambda: on_loan(client.client) == 0)
    wait_until(lambda: memfds() <= before + 1)  # that of the client itself, which goes with it


def test_nothing_is_left_of_who_was_killed(serve, spawn, socket_path):
    """Neither what a client had lent, nor what it held, nor what was on its way to it."""
    socket_path.mkdir()
    address = f"shm://{socket_path}/s"
    server = serve({"twice": lambda x: 2 * x}, bind=address, threads=1)
    before = memfds()
    child = spawn(
        """
        client = npt.Client(connect=args[0])
        held = [client.call("twice", np.zeros(100_000)) for _ in range(3)]
        futures = [client.submit("twice", np.zeros(100_000)) for _ in range(50)]
        say("sent")
        hear()
        """,
        server.address,
    )
    assert child.hear() == "sent"
    child.kill()
    lender = server.server._lender
    wait_until(lambda: memfds() <= before + len(lender._slots.segments))  # those, its own, it keeps for more
    wait_until(lambda: server.statistics().waiting == 0 and on_loan(server.server) == 0)
    npt.Client(connect=address).close()  # whoever comes next sweeps
    server.close()
    assert not list(socket_path.glob("npt-*.side"))


# Lies, and what has gone


def lie(sender=bytes(8), generation=1, offset=0):
    """Metadata of an array that nobody has lent."""
    entry = descriptor.write_entry(Descriptor(sender, 0, 0, generation, [Piece(0, offset, SIZE * 8)]))
    return with_entry(npt.encode(np.arange(SIZE))[0], entry, bare=True)


def test_forged_arguments_are_refused_and_the_server_goes_on(serve, calling, address, gate):
    server = serve({"sum": lambda x: [gate.wait(PATIENCE), int(x.sum())][1]}, bind=address, threads=2)
    client = calling(connect=server.address)
    future = client.submit("sum", np.ones(SIZE))  # what there is to be forged
    lender = client.client._lender
    lies = [
        lie(),
        lie(lender.identity, generation=7),
        lie(lender.identity, offset=8),
        lie(lender.identity, offset=2**63),
    ]
    with zmq.Context() as context, context.socket(zmq.DEALER) as forger:
        forger.linger, forger.rcvtimeo = 0, PATIENCE * 1000
        forger.connect(as_zmq_knows_it(address))
        for number, metadata in enumerate([*lies, lies[0][:-1], b"\x83" + lies[1][1:]]):
            forger.send_multipart([Writer().about(number, "call", "sum", 1, 1), metadata])
            _, *frames = forger.recv_multipart()
            assert npt.decode(frames)["type"] == "DecodeError"
    gate.set()
    assert client.result(future) == SIZE
    assert client.call("sum", np.ones(SIZE)) == SIZE
    assert server.statistics().malformed == 6


@contextlib.contextmanager
def answering(address):
    """A ROUTER that answers by hand: ``answer(*frames)`` gives the next call's word and its form of payload."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as peer:
        peer.linger, peer.rcvtimeo = 0, PATIENCE * 1000
        peer.bind(as_zmq_knows_it(address))

        def answer(*frames):
            identity, head, *_ = peer.recv_multipart()
            peer.send_multipart([identity, Writer().about(int.from_bytes(head[-8:], "big"), "result"), *frames])
            return head

        yield answer


def test_a_forged_answer_is_an_error_of_its_call(calling, address):
    with answering(address) as answer, npt.Producer(bind=f"{address}-p") as producer:
        client = calling(connect=address)
        with npt.Consumer(connect=producer.address) as consumer:
            producer.send(np.arange(SIZE))
            held = consumer.recv(timeout=PATIENCE)
            ((sender, lender),) = consumer._borrower._lenders.items()
            future = client.submit("sum", 1)
            # There it is, and not like that. It is the first message, but stamped anew for each try to send it.
            client.meanwhile(lambda: answer(lie(sender, lender.claimed, offset=8)))
            with pytest.raises(npt.DecodeError, match="a part within"):
                client.result(future)
            assert held[-1] == SIZE - 1
        future = client.submit("sum", 1)
        lying = threading.Thread(target=lambda: [answer(lie()) for _ in range(4)])
        lying.start()
        with pytest.raises(npt.DecodeError, match="sender of the message"):  # it may have died: asked, and not for ever
            client.result(future)
        lying.join()
        assert client.statistics().malformed == 2


@pytest.mark.parametrize("way", ["call", "submit"])
def test_an_answer_that_died_with_its_sender_is_asked_for_again(calling, address, way):
    heads = []

    def serve_by_hand(answer):
        heads.append(answer(lie()))
        heads.append(answer(*npt.encode(np.arange(3))))

    with answering(address) as answer:
        client = calling(connect=address)
        serving = threading.Thread(target=serve_by_hand, args=[answer])
        serving.start()
        result = client.call("sum", 1) if way == "call" else client.result(client.submit("sum", 1))
        serving.join()
        assert result.tolist() == [0, 1, 2]
    assert heads[0][-8:] == heads[1][-8:]  # the same call
    assert client.statistics().resent == 1
    assert client.statistics().calls == client.statistics().results == 1


# Where it cannot be


def test_a_broker_has_shared_memory_on_both_sides_or_on_none(face, address, socket_path):
    elsewhere = socket_path.with_name("elsewhere")
    elsewhere.mkdir(exist_ok=True)
    for sides in (
        {"frontend": address, "backend": "tcp://127.0.0.1:*"},
        {"frontend": "tcp://127.0.0.1:*", "backend": address},
        {"frontend": [address, "tcp://127.0.0.1:*"], "backend": f"{address}-b"},
        {"frontend": address, "backend": f"shm://{elsewhere}/b"},
    ):
        with pytest.raises(npt.AddressError, match="one folder"):
            face.broker(**sides)
    face.broker(frontend=address, backend=f"{address}-b").close()  # nothing is left of those


def test_a_server_with_another_address_takes_and_does_not_lend(serve, calling, address):
    server = serve({"where": where}, bind=[address, "tcp://127.0.0.1:*"])
    for at, shared in zip(server.addresses, (True, False), strict=True):
        got, seen = calling(connect=at).call("where", np.arange(SIZE))
        assert (got == np.arange(SIZE)).all()
        assert (seen, is_shared(got)) == ([shared], False)
