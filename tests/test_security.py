"""CURVE on every pattern: who has no key that is allowed gets nothing in and nothing out, and nobody else notices."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest
import zmq
from cable import cable_fixture  # noqa: F401
from calling import calling_fixture, serve_fixture  # noqa: F401
from faces import PATIENCE, as_zmq_knows_it, face_fixture, indices, knows, new_wire_fixture, wait_until, wire_fixture  # noqa: F401
from test_junk_peers import STRANGERS, visit

import nptransport as npt
from nptransport.transport import connections as connections_module
from nptransport.transport.connections import Connections

GOOD = [bytes(frame) for frame in npt.encode(np.array(-1))]


class Keys:
    """Of one server, of a client that it allows, and of one that it does not."""

    def __init__(self):
        (self.server, self.server_secret), (self.friend, self.friend_secret), (self.other, self.other_secret) = (
            [key.decode() for key in zmq.curve_keypair()] for _ in range(3)
        )
        self.allowed = {self.friend}

    def serve(self):
        return npt.Curve.server(secret=self.server_secret, allowed=self.allowed)

    def come(self):
        return npt.Curve.client(server=self.server, secret=self.friend_secret)

    def come_as_another(self):
        return npt.Curve.client(server=self.server, secret=self.other_secret)


@pytest.fixture(name="keys")
def keys_fixture():
    return Keys()


# Who tries to get in, on a socket of pyzmq, and what that is called
INTRUDERS = {
    "no security": ("no key", lambda socket, keys: None),
    "a password": (
        "no key",
        lambda socket, keys: (socket.set(zmq.PLAIN_USERNAME, b"a"), socket.set(zmq.PLAIN_PASSWORD, b"b")),
    ),
    "a key that is not allowed": (
        "key not allowed",
        lambda socket, keys: _curve(socket, keys.server, keys.other, keys.other_secret),
    ),
    "another server's key": (
        "wrong server key",
        lambda socket, keys: _curve(socket, keys.other, keys.friend, keys.friend_secret),
    ),
    "a public key without its secret": (
        "wrong server key",
        lambda socket, keys: _curve(socket, keys.server, keys.friend, keys.other_secret),
    ),
}


def _curve(socket, server, public, secret):
    socket.set(zmq.CURVE_SERVERKEY, server.encode())
    socket.set(zmq.CURVE_PUBLICKEY, public.encode())
    socket.set(zmq.CURVE_SECRETKEY, secret.encode())


@pytest.fixture
def intrude(keys):
    """``intrude(kind, address, who)``: a socket of pyzmq that tries to come in."""
    with contextlib.ExitStack() as opened:
        context = opened.enter_context(zmq.Context())

        def connect(kind, address, who):
            socket = context.socket(kind)
            opened.callback(socket.close, 0)
            INTRUDERS[who][1](socket, keys)
            if kind == zmq.SUB:
                socket.subscribe(b"")
            socket.connect(as_zmq_knows_it(address))
            return socket

        yield connect


def is_refused(endpoint, who):
    return lambda: endpoint.statistics().refusals.get(INTRUDERS[who][0])


# Every pattern, every intruder


@pytest.mark.parametrize("who", INTRUDERS)
def test_nobody_gets_messages_into_a_consumer(face, wire, keys, intrude, who):
    consumer = face.consumer(bind=wire, security=keys.serve())
    friend = face.producer(connect=consumer.address, security=keys.come())
    friend.send(np.array(0))
    assert consumer.recv() == 0
    intruder = intrude(zmq.PUSH, consumer.address, who)
    intruder.send_multipart(GOOD)
    wait_until(is_refused(consumer, who))
    for index in range(1, 20):
        friend.send(np.array(index))
        assert consumer.recv() == index
    statistics = consumer.statistics()
    assert (statistics.messages, statistics.missed, statistics.disconnects, statistics.connections) == (20, 0, 0, 1)
    assert statistics.refused >= 1
    assert set(statistics.refusals) == {INTRUDERS[who][0]}


@pytest.mark.parametrize("who", INTRUDERS)
def test_nobody_gets_messages_out_of_a_producer(face, wire, keys, intrude, who):
    producer = face.producer(bind=wire, security=keys.serve())
    intruder = intrude(zmq.PULL, producer.address, who)
    wait_until(is_refused(producer, who))
    with pytest.raises(npt.Timeout):
        producer.send(np.array(-1), timeout=0.01)
    friend = face.consumer(connect=producer.address, security=keys.come())
    for index in range(20):
        producer.send(np.array(index))
        assert friend.recv() == index
    assert not intruder.poll(0)


@pytest.mark.parametrize("who", INTRUDERS)
def test_nobody_hears_a_publisher(face, wire, keys, intrude, who):
    publisher = face.publisher(bind=wire, security=keys.serve(), retain=1)
    friend = face.subscriber(connect=publisher.address, security=keys.come())
    wait_until(lambda: knows(publisher, ""))
    intruder = intrude(zmq.SUB, publisher.address, who)
    wait_until(is_refused(publisher, who))
    for index in range(20):
        publisher.send(np.array(index))
        assert friend.recv() == index
    assert knows(publisher, "")
    assert not intruder.poll(0)
    statistics = friend.statistics()
    assert (statistics.received, statistics.missed, statistics.disconnects) == (20, 0, 0)


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize("who", INTRUDERS)
def test_nobody_publishes_to_a_subscriber(face, wire, keys, intrude, who, latest):
    subscriber = face.subscriber(bind=wire, security=keys.serve(), latest=latest)
    friend = face.publisher(connect=subscriber.address, security=keys.come())

    def is_known():
        with contextlib.suppress(npt.Timeout):
            subscriber.recv(timeout=0)
        return knows(friend, "")

    wait_until(is_known)
    intruder = intrude(zmq.PUB, subscriber.address, who)
    wait_until(is_refused(subscriber, who))
    for index in range(20):
        intruder.send_multipart([b"", *GOOD])
        friend.send(np.array(index))
        assert subscriber.recv() == index
    assert (subscriber.statistics().received, subscriber.statistics().disconnects) == (20, 0)


@pytest.mark.parametrize("who", INTRUDERS)
def test_nobody_takes_part_in_a_proxy(face, new_wire, keys, intrude, who):
    proxy = face.proxy(frontend=new_wire(), backend=new_wire(), security=keys.serve())
    publisher = face.publisher(connect=proxy.frontend, security=keys.come())
    subscriber = face.subscriber(connect=proxy.backend, security=keys.come())
    publisher.wait_for_subscribers(1)
    speaker = intrude(zmq.PUB, proxy.frontend, who)
    hearer = intrude(zmq.SUB, proxy.backend, who)
    wait_until(lambda: proxy.statistics().refusals.get(INTRUDERS[who][0], 0) >= 2)
    for index in range(20):
        speaker.send_multipart([b"", *GOOD])
        publisher.send(np.array(index))
        assert subscriber.recv() == index
    assert not hearer.poll(0)
    assert (subscriber.statistics().received, proxy.statistics().messages) == (20, 20)


@pytest.mark.parametrize("who", INTRUDERS)
def test_nobody_calls_a_server_nor_comes_to_a_broker(face, new_wire, keys, intrude, serve, calling, who):
    """Neither as a client nor as a worker."""
    executed = []
    double = {"double": lambda x: executed.append(x) or 2 * x}
    server = serve(double, bind=new_wire(), security=keys.serve())
    broker = face.broker(frontend=new_wire(), backend=new_wire(), security=keys.serve())
    serve(double, kind="Worker", connect=broker.backend, security=keys.come())
    intruders = [intrude(zmq.DEALER, address, who) for address in (server.address, broker.frontend, broker.backend)]
    for socket in intruders:
        socket.send_multipart(GOOD)
    wait_until(is_refused(server, who))
    wait_until(lambda: broker.statistics().refusals.get(INTRUDERS[who][0], 0) >= 2)
    for address in (server.address, broker.frontend):
        assert calling(connect=address, security=keys.come()).call("double", 4) == 8
    assert executed == [4, 4]
    assert not any(socket.poll(0) for socket in intruders)
    assert (server.statistics().malformed, broker.statistics().malformed) == (0, 0)
    for endpoint in (server, broker):
        assert set(endpoint.statistics().refusals) == {INTRUDERS[who][0]}
    broker.close()


@pytest.mark.parametrize("words", STRANGERS.values(), ids=STRANGERS)
def test_strangers_get_nothing_from_a_producer(face, keys, words):
    """Not even those that libzmq would take for its first protocol, which knows no security."""
    producer = face.producer(bind="tcp://127.0.0.1:0", security=keys.serve())
    with visit(producer.address, words):
        with pytest.raises(npt.Timeout):
            producer.send(np.array(-1), timeout=0.05)
        friend = face.consumer(connect=producer.address, security=keys.come())
        for index in range(20):
            producer.send(np.array(index))
        assert indices(friend, 20) == list(range(20))
    assert producer.statistics().disconnects == 0


@pytest.mark.parametrize("secured", [True, False])
def test_what_travels_is_encrypted(face, keys, cable, secured):
    consumer = face.consumer(bind="tcp://127.0.0.1:0", security=keys.serve() if secured else None)
    line = cable(consumer.address, notes=True)
    producer = face.producer(connect=line.address, security=keys.come() if secured else None)
    producer.send({"name": "nobody else reads this", "array": np.frombuffer(b"nor this" * 10_000, np.uint8)})
    assert consumer.recv()["name"] == "nobody else reads this"
    assert (b"nobody else reads this" not in line.passed) is (b"nor this" not in line.passed) is secured


# What who is refused hears


def test_a_sender_that_is_refused(face, wire, keys):
    consumer = face.consumer(bind=wire, security=keys.serve())
    for security in (None, keys.come_as_another()):
        producer = face.producer(connect=consumer.address, security=security)
        sent = 0
        error = None
        while error is None:
            try:
                producer.send(np.array(-1))
                sent += 1
            except npt.AuthenticationError as refused:
                error = refused
        assert error.address == consumer.address
        assert error.reason in str(error)
        assert producer.close(linger=PATIENCE) == sent  # none of them is lost in silence
    with pytest.raises(npt.Timeout):
        consumer.recv(timeout=0)
    assert set(consumer.statistics().refusals) == {"no key", "key not allowed"}


@pytest.mark.parametrize("latest", [None, False, True])
def test_a_receiver_that_is_refused(face, wire, keys, latest):
    server = (face.producer if latest is None else face.publisher)(bind=wire, security=keys.serve())
    options = {} if latest is None else {"latest": latest}
    for security in (None, keys.come_as_another()):
        receiver = (face.consumer if latest is None else face.subscriber)(
            connect=server.address, security=security, **options
        )
        with pytest.raises(npt.AuthenticationError, match="refused"):
            receiver.recv(timeout=None)


def test_a_publisher_that_is_refused(face, wire, keys):
    subscriber = face.subscriber(bind=wire, security=keys.serve())
    publisher = face.publisher(connect=subscriber.address, security=keys.come_as_another())
    with pytest.raises(npt.AuthenticationError):
        publisher.wait_for_subscribers(timeout=None)
    publisher.send(np.array(-1))  # which never waits, and has nobody to go to
    assert publisher.close(linger=PATIENCE) == 0


def test_a_client_that_is_refused(face, wire, serve, calling, keys):
    """It hears of it, however it asks; once it is let in, the next call comes through."""
    server = serve({"double": lambda x: 2 * x}, bind=wire, security=keys.serve())
    with pytest.raises(npt.AuthenticationError):
        calling(connect=server.address).call("double", 1)
    client = calling(connect=server.address, security=keys.come_as_another())
    for ask in (
        lambda: client.call("double", 1),
        lambda: client.result(client.submit("double", 1)),
        lambda: list(client.map("double", [1])),
    ):
        with pytest.raises(npt.AuthenticationError, match="does not allow our key") as caught:
            ask()
        assert caught.value.address == server.address
    assert (client.statistics().outstanding, client.statistics().timeouts) == (0, 0)
    keys.allowed.add(keys.other)

    def comes_in():
        with contextlib.suppress(npt.AuthenticationError):
            return client.call("double", 4)

    assert wait_until(comes_in) == 8


@pytest.mark.parametrize("slots", [1, 2])
def test_a_worker_that_is_refused(face, new_wire, serve, calling, keys, slots):
    broker = face.broker(frontend=new_wire(), backend=new_wire(), security=keys.serve())
    options = {"kind": "Worker", "connect": broker.backend, "slots": slots}
    for security in (None, keys.come_as_another()):
        try:
            worker = serve({"double": lambda x: 2 * x}, security=security, **options)
            error = wait_until(lambda worker=worker: worker.error)
            worker.error = None
        except npt.AuthenticationError as refused:  # before it had begun
            error = refused
        assert isinstance(error, npt.AuthenticationError)
        assert error.address == broker.backend
    assert broker.statistics().lost_workers == 0
    broker.close()


def test_what_was_lent_to_a_connection_that_is_cut_comes_back(face, keys, cable):
    """Also amid a send that waits for it: libzmq gives it back in the thread of who uses the socket."""
    producer = face.producer(bind="tcp://127.0.0.1:0", max_bytes=4_000_000, security=keys.serve())
    line = cable(producer.address)
    consumer = face.consumer(connect=line.address, security=keys.come())
    producer.send(np.full(4, 100))
    assert consumer.recv(timeout=PATIENCE)[0] == 100
    line.fall_silent()

    sent = []

    def cut():
        wait_until(lambda: (sent.append(producer.statistics().messages), len(sent) > 20 and sent[-1] == sent[-20])[1])
        line.cut()  # amid a send that waits for memory

    cutting = threading.Thread(target=cut)
    cutting.start()
    for number in range(20):
        producer.send(np.full(1_000_000, number, np.uint8), timeout=PATIENCE)
    while consumer.recv(timeout=PATIENCE)[0] != 19:
        pass
    cutting.join()


def test_a_server_that_was_there_is_away_and_no_stranger(face, keys, cable, monkeypatch):
    """Behind what goes on accepting, it ends each connection in the handshake, as if our key were wrong."""
    producer = face.producer(bind="tcp://127.0.0.1:0", security=keys.serve())
    consumer = face.consumer(connect=cable(producer.address).address, security=keys.come())
    producer.send(np.array(1))
    assert consumer.recv() == 1
    ended = []
    note = Connections._note_refusal
    monkeypatch.setattr("nptransport.transport.connections._HINTS", 1)
    monkeypatch.setattr(Connections, "_note_refusal", lambda *args: (ended.append(args), note(*args)))
    producer.close(linger=0)

    def has_tried_in_vain():
        with contextlib.suppress(npt.Timeout):
            consumer.recv(timeout=0.02)
        return len(ended) >= 3

    wait_until(has_tried_in_vain)


def test_another_server_than_was_expected(face, wire, keys, monkeypatch):
    """It cannot say so; but one that ends each connection in the handshake is taken for what it is."""
    monkeypatch.setattr("nptransport.transport.connections._HINTS", 5)
    consumer = face.consumer(bind=wire, security=keys.serve())
    receiver = face.producer(
        connect=consumer.address, security=npt.Curve.client(server=keys.other, secret=keys.friend_secret)
    )
    with pytest.raises(npt.AuthenticationError, match="key"):
        receiver.flush(timeout=None)


def test_a_server_that_is_not_secured(face, wire, keys):
    consumer = face.consumer(bind=wire)
    producer = face.producer(connect=consumer.address, security=keys.come())
    with pytest.raises(npt.AuthenticationError, match="not secured"):
        producer.flush(timeout=None)
    assert set(consumer.statistics().refusals) == {"no handshake"}


def situation(consumer):
    try:
        consumer.recv(timeout=0.01)
    except npt.Timeout as error:
        return str(error)


def test_one_refusal_among_others(face, new_wire, keys, caplog):
    """Who has others to talk to goes on with them, and the log tells of the refusal."""
    friendly, strict = face.producer(bind=new_wire()), face.producer(bind=new_wire(), security=keys.serve())
    consumer = face.consumer(connect=[friendly.address, strict.address])
    wait_until(lambda: strict.statistics().refused)
    friendly.send(np.array(1))
    assert consumer.recv() == 1
    wait_until(lambda: f"refused by {strict.address}" in situation(consumer))
    friendly.send(np.array(2))
    assert consumer.recv() == 2

    def is_told():  # by whoever waits, and a message that is there already is not waited for
        with pytest.raises(npt.Timeout):
            consumer.recv(timeout=0.01)
        return f"{strict.address}: refused" in caplog.text

    wait_until(is_told)


# The list


def test_the_list_changes(face, wire, keys):
    """Who is added comes in by itself; who is removed does not come back."""
    consumer = face.consumer(bind=wire, security=keys.serve())
    producer = face.producer(connect=consumer.address, security=keys.come_as_another())
    with pytest.raises(npt.AuthenticationError):
        producer.flush(timeout=None)
    keys.allowed.add(keys.other)

    def comes_in():
        with contextlib.suppress(npt.AuthenticationError):
            producer.send(np.array(1))
            return consumer.statistics().connections

    wait_until(comes_in)
    assert consumer.recv() == 1
    keys.allowed.remove(keys.other)
    late = face.producer(connect=consumer.address, security=keys.come_as_another())
    with pytest.raises(npt.AuthenticationError):
        late.flush(timeout=None)


@pytest.mark.parametrize("shape", ["file", "folder"])
def test_the_list_is_read_again(face, wire, keys, tmp_path, shape, caplog):
    path = tmp_path / "clients"
    if shape == "folder":
        path.mkdir()
        path = path / "friend.public"
    path.write_text("# nobody yet\n")
    given = path if shape == "file" else path.parent
    consumer = face.consumer(bind=wire, security=npt.Curve.server(secret=keys.server_secret, allowed=given))

    def comes():
        producer = face.producer(connect=consumer.address, security=keys.come())
        try:
            producer.flush(timeout=None)
        except npt.AuthenticationError:
            return False
        finally:
            producer.close(linger=0)
        return True

    assert not comes()
    path.write_text(f"{keys.friend} the friend\n")
    assert comes()
    path.write_text(f"{keys.friend[:-1]}\n")  # damaged: nobody comes in by it, and the log says where it is
    assert not comes()
    assert f"{path}, line 1" in caplog.text
    path.unlink()
    assert not comes()


def test_allow_any(face, wire, keys):
    consumer = face.consumer(bind=wire, security=npt.Curve.server(secret=keys.server_secret, allow_any=True))
    producer = face.producer(connect=consumer.address, security=npt.Curve.client(server=keys.server))
    producer.send(np.arange(3))
    assert consumer.recv().tolist() == [0, 1, 2]


def test_each_endpoint_has_a_list_of_its_own(face, new_wire, keys):
    for_friend = face.consumer(bind=new_wire(), security=keys.serve())
    for_other = face.consumer(
        bind=new_wire(), security=npt.Curve.server(secret=keys.server_secret, allowed=[keys.other])
    )
    for consumer, security in ((for_friend, keys.come()), (for_other, keys.come_as_another())):
        producer = face.producer(connect=consumer.address, security=security)
        producer.send(np.array(1))
        assert consumer.recv() == 1
    with pytest.raises(npt.AuthenticationError):
        face.producer(connect=for_other.address, security=keys.come()).flush(timeout=None)


def test_the_side_that_connects_may_be_the_server(face, new_wire, keys):
    consumers = [face.consumer(bind=new_wire(), security=keys.come()) for _ in range(2)]
    stranger = face.consumer(bind=new_wire(), security=keys.come_as_another())
    addresses = [each.address for each in [*consumers, stranger]]
    producer = face.producer(connect=addresses, security=keys.serve())
    wait_until(lambda: producer.statistics().connections == 2 and producer.statistics().refused)
    assert producer.statistics().refusals.keys() == {"key not allowed"}
    for consumer in consumers:
        wait_until(lambda consumer=consumer: consumer.statistics().connections == 1)
    assert stranger.statistics().connections == 0


# What else can be in the way


def test_parts_as_large_as_the_limit_allows(face, wire, keys):
    """Encryption adds some bytes to each, which libzmq counts."""
    limits = npt.Limits(max_total_bytes=20_000)
    consumer = face.consumer(bind=wire, limits=limits, security=keys.serve())
    producer = face.producer(connect=consumer.address, limits=limits, security=keys.come())
    blob = bytes(20_000 - len(npt.encode(np.zeros(20_000, np.uint8))[0]) - 64)
    producer.send(np.frombuffer(blob, np.uint8))
    assert consumer.recv().nbytes == len(blob)


def test_an_authenticator_of_somebody_else(face, wire, keys):
    from zmq.auth.thread import ThreadAuthenticator

    with zmq.Context() as context:
        authenticator = ThreadAuthenticator(context)
        authenticator.start()
        try:
            with pytest.raises(npt.AuthenticationError, match="context of its own"):
                face.consumer(bind=wire, security=keys.serve(), context=context)
        finally:
            authenticator.stop()


def test_a_context_of_its_own_can_end(face, wire, keys):
    """Nothing of ours is left in it when the last endpoint has closed, and it can be used again."""
    with zmq.Context() as context:
        for _ in range(3):
            first, second = (
                face.consumer(bind=wire, security=keys.serve(), context=context),
                face.consumer(bind="tcp://127.0.0.1:0", security=keys.serve(), context=context),
            )
            first.close()
            producer = face.producer(connect=second.address, security=keys.come())
            producer.send(np.array(1))
            assert second.recv() == 1
            second.close()


def test_no_curve_in_libzmq(monkeypatch, keys):
    monkeypatch.setattr(zmq, "has", lambda capability: capability != "curve")
    with pytest.raises(npt.AuthenticationError, match="without CURVE") as caught:
        keys.come()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["tcp://*:0", "tcp://0.0.0.0:0", "tcp://[::]:0"])
def test_open_to_others_without_security(face, keys, caplog, monkeypatch, address):
    monkeypatch.setattr("nptransport.log._said", set())
    try:
        for _ in range(3):
            face.consumer(bind=address).close()
    except npt.AddressError:
        pytest.skip("no IPv6 here")
    lines = [record.getMessage() for record in caplog.records if "without security" in record.getMessage()]
    assert len(lines) == 1
    assert address in lines[0]
    assert "Curve.server" in lines[0]
    caplog.clear()
    face.consumer(bind=address, security=keys.serve()).close()
    face.consumer(bind="tcp://127.0.0.1:0").close()
    assert "without security" not in caplog.text


def test_thousands_of_refusals_do_not_fill_the_log(face, keys, intrude, caplog):
    consumer = face.consumer(bind="tcp://127.0.0.1:0", security=keys.serve())
    friend = face.producer(connect=consumer.address, security=keys.come())
    for start in range(0, 300, 50):
        crowd = [intrude(zmq.PUSH, consumer.address, "a key that is not allowed") for _ in range(50)]
        wait_until(lambda start=start: consumer.statistics().refused >= start + 50)
        for each in crowd:
            each.close(0)
        friend.send(np.array(start))
        assert consumer.recv() == start
    consumer.close()
    lines = [record.getMessage() for record in caplog.records if "is not allowed" in record.getMessage()]
    assert len(lines) < 40
    assert "not said" in lines[-1]


def test_somebody_comes_while_it_closes(keys, monkeypatch):
    """The doorkeeper's thread takes in who comes and goes, while another one parts from all."""
    consumer = npt.Consumer(bind="tcp://127.0.0.1:0", security=keys.serve())
    with npt.Producer(connect=consumer.address, security=keys.come()) as producer:
        producer.send(np.array(1))
        assert consumer.recv(timeout=PATIENCE) == 1
        wait_until(lambda: consumer.statistics().connections)
        live, shut, others = consumer._channel.connections._live, connections_module.shut, iter(range(10**6, 10**7))

        def meanwhile(descriptor, **directions):
            live[next(others)] = next(iter(live.values()))
            return shut(descriptor, **directions)

        with monkeypatch.context() as patched:
            patched.setattr(connections_module, "shut", meanwhile)
            assert consumer._channel.connections.end_ours() == 1
        live.pop(10**6)
        consumer.close()


def test_secrets_show_nowhere(face, wire, keys, caplog, tmp_path):
    secrets = [keys.server_secret, keys.friend_secret, keys.other_secret]
    curves = [keys.serve(), keys.come(), keys.come_as_another()]
    said = [repr(curves), str(curves), repr([vars(curve) for curve in curves])]
    consumer = face.consumer(bind=wire, security=curves[0])
    with pytest.raises(npt.AuthenticationError) as caught:
        face.producer(connect=consumer.address, security=curves[2]).flush(timeout=None)
    said += [str(caught.value), repr(vars(caught.value)), repr(consumer.statistics()), caplog.text]
    for wrong in (secrets[0] + "x", secrets[0][:-1], " " + secrets[0], secrets[0] + "\n"):
        for make in (
            lambda wrong=wrong: npt.Curve.server(secret=wrong, allow_any=True),
            lambda wrong=wrong: npt.Curve.client(server=keys.server, secret=wrong),
        ):
            with pytest.raises(npt.AuthenticationError) as caught:
                make()
            said += [str(caught.value), repr(vars(caught.value))]
    assert not [text for text in said if any(secret[:20] in text for secret in secrets)]
