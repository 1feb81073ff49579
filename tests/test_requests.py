"""Server and client on both faces: results, errors, many at once, time, and what is given up."""

from __future__ import annotations

import sys
import threading
import time
from itertools import islice

import numpy as np
import pytest
from calling import calling_fixture, gate_fixture, remote_error, serve_fixture  # noqa: F401
from children import PATIENCE, wait_until
from faces import address_fixture, face_fixture, new_address_fixture  # noqa: F401
from same import difference

import nptransport as npt


def scale(image, factor=2, *, offset=0):
    return image * factor + offset


def echo(*args, **kwargs):
    return [list(args), kwargs]


def fail(text):
    raise ValueError(text)


@pytest.fixture(name="pair")
def pair_fixture(serve, calling, address):
    server = serve({"scale": scale, "echo": echo, "fail": fail}, bind=address)
    return calling(connect=server.address), server


def test_arrays_out_and_back(pair):
    client, _ = pair
    image = np.arange(12.0).reshape(3, 4)
    assert (client.call("scale", image) == image * 2).all()
    assert (client.call("scale", image, 3, offset=1) == image * 3 + 1).all()
    assert (client.call("scale", image=image, factor=3) == image * 3).all()
    large = np.arange(1_000_000.0)
    assert (client.call("scale", large) == large * 2).all()
    assert client.call("echo") == [[], {}]


def test_nests_go_both_ways_and_arrive_as_sent(pair):
    client, _ = pair
    nest = {"left": [np.arange(3), (np.float32(1), b"x", None)], "": {"a": np.zeros((2, 0), "<M8[s]")}, "t": (1, 2.5)}
    assert difference([[nest, [nest]], {"key": nest}], client.call("echo", nest, [nest], key=nest)) is None
    assert difference([[nest], {}], client.call("echo", nest)) is None
    assert client.call("echo", [1, 2])[0] == [[1, 2]]  # one argument that is a list is one argument


def test_what_a_handler_raises_arrives_and_the_server_goes_on(pair):
    client, server = pair
    error = remote_error(client, "fail", "no light")
    assert (error.type, error.text, error.method) == ("ValueError", "no light", "fail")
    assert "raise ValueError(text)" in error.traceback
    assert "fail(): ValueError: no light" in str(error)
    assert client.call("echo", 1) == [[1], {}]
    assert (server.statistics().results, server.statistics().errors) == (1, 1)


class Odd(Exception):
    def __str__(self):
        raise RuntimeError


def test_errors_that_are_hard_to_tell(serve, calling, new_address):
    def long():
        raise ValueError("x" * 10_000_000)

    def surrogate():
        raise ValueError("\ud800")

    def odd():
        raise Odd

    server = serve({each.__name__: each for each in (long, surrogate, odd)}, bind=new_address())
    client = calling(connect=server.address)
    assert remote_error(client, "long").text.startswith("xxx")
    assert remote_error(client, "surrogate").text == "?"
    assert remote_error(client, "odd").type == "Odd"


def test_a_handler_that_asks_for_the_end_does_not_get_it(serve, calling, new_address):
    server = serve({"leave": lambda: sys.exit("enough"), "one": lambda: 1}, bind=new_address())
    client = calling(connect=server.address)
    error = remote_error(client, "leave")
    assert (error.type, error.text) == ("SystemExit", "enough")
    assert client.call("one") == 1


def test_an_unknown_method_is_told_what_there_is(pair):
    client, _ = pair
    error = remote_error(client, "resize", 1)
    assert error.type == "UnknownMethod"
    assert error.methods == {"scale": "scale(image, factor=2, *, offset=0)", "echo": "echo(*args, **kwargs)",
                             "fail": "fail(text)"}  # fmt: skip
    assert "scale(image, factor=2, *, offset=0)" in str(error)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"colour": 2}), ((1,), {"image": 2})], ids=str
)
def test_wrong_arguments_are_told_the_signature(pair, args, kwargs):
    client, _ = pair
    error = remote_error(client, "scale", *args, **kwargs)
    assert error.type == "WrongArguments"
    assert "scale(image, factor=2, *, offset=0)" in error.text
    assert set(error.methods) == {"scale", "echo", "fail"}
    assert error.traceback == ""


def test_a_type_error_inside_a_handler_is_the_handlers_own(serve, calling, new_address):
    server = serve({"add": lambda x: x + "text"}, bind=new_address())
    error = remote_error(calling(connect=server.address), "add", 1)
    assert error.type == "TypeError"
    assert "unsupported operand" in error.text


def test_a_result_that_cannot_travel_is_an_error_at_the_client(serve, calling, new_address):
    server = serve({"get": lambda: {"inner": [object()]}, "one": lambda: 1}, bind=new_address())
    client = calling(connect=server.address)
    error = remote_error(client, "get")
    assert error.type == "EncodeError"
    assert "payload['inner'][0]" in error.text
    assert client.call("one") == 1


def test_arguments_that_cannot_travel_go_nowhere(pair):
    client, _ = pair
    with pytest.raises(npt.EncodeError):
        client.call("echo", object())
    with pytest.raises(npt.EncodeError, match="method"):
        client.call("", 1)
    for args, kwargs, path in (
        (([1, object()],), {}, "args[0][1]"),
        ((1, {"a": object()}), {}, "args[1]['a']"),
        ((), {"mask": object()}, "kwargs['mask']"),
    ):
        with pytest.raises(npt.EncodeError) as caught:
            client.call("echo", *args, **kwargs)
        assert caught.value.path == path
    assert client.statistics().calls == 0


def test_what_is_too_large_for_the_server_is_refused_and_the_client_hears(serve, calling, new_address):
    server = serve({"echo": echo}, bind=new_address(), limits=npt.Limits(max_items=10))
    client = calling(connect=server.address)
    assert remote_error(client, "echo", list(range(100))).type == "DecodeError"
    assert client.call("echo", 1) == [[1], {}]


def test_a_handler_is_called_with_its_call(serve, calling, new_address):
    def who():
        call = npt.current_call()
        return [call.id, call.method, call.attempt]

    server = serve({"who": who}, bind=new_address())
    client = calling(connect=server.address)
    first, second = client.call("who"), client.call("who")
    assert first[1:] == second[1:] == ["who", 1]
    assert first[0] != second[0]
    with pytest.raises(npt.MisuseError, match="handler"):
        npt.current_call()


def test_methods_are_collected_elsewhere(serve, calling, new_address):
    methods = npt.Methods()

    @methods.method
    def double(x):
        return 2 * x

    @methods.method(name="half")
    def something(x):
        return x / 2

    server = serve({}, bind=new_address(), methods=methods)
    client = calling(connect=server.address)
    assert (client.call("double", 3), client.call("half", 3)) == (6, 1.5)
    assert double(2) == 4
    assert server.methods == {"double": "double(x)", "half": "half(x)"}
    server.method(name="third")(lambda x: x / 3)
    assert client.call("third", 3) == 1
    assert client.call("nptransport.methods") == server.methods
    for name, function, error in (("double", echo, ValueError), ("", echo, ValueError), ("x", 3, TypeError),
                                  ("nptransport.x", echo, ValueError)):  # fmt: skip
        with pytest.raises(error):
            methods.register(name, function)


# Many at once


def test_as_many_at_one_time_as_there_are_threads(serve, calling, new_address):
    meeting = threading.Barrier(4, timeout=PATIENCE)
    server = serve({"meet": lambda index: [meeting.wait(), index][1]}, bind=new_address(), threads=4)
    client = calling(connect=server.address)
    futures = [client.submit("meet", index) for index in range(12)]
    assert [client.result(future) for future in futures] == list(range(12))


def test_no_more_than_that(serve, calling, new_address):
    running, most, lock = [0], [0], threading.Lock()

    def work():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.005)
        with lock:
            running[0] -= 1

    server = serve({"work": work}, bind=new_address(), threads=3)
    client = calling(connect=server.address)
    for future in [client.submit("work") for _ in range(20)]:
        client.result(future)
    assert most[0] <= 3


def test_arguments_are_the_callers_again_at_once(serve, calling, new_address, gate):
    server = serve({"wait": lambda: gate.wait(PATIENCE), "first": lambda x: x[0]}, bind=new_address(), threads=1)
    client = calling(connect=server.address)
    waiting = client.submit("wait")
    small, large = np.zeros(3), np.zeros(300_000)
    futures = []
    for index in range(5):
        small[:] = large[:] = index
        futures += [client.submit("first", small), client.submit("first", large)]
    small[:] = large[:] = 99
    gate.set()
    client.result(waiting)
    assert [client.result(future) for future in futures] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_several_servers_are_called_in_turn(serve, calling, new_address):
    servers = [serve({"which": lambda index=index: index}, bind=new_address()) for index in range(2)]
    client = calling(connect=[server.address for server in servers])
    assert set(wait_until(lambda: (seen := {client.call("which") for _ in range(10)}) == {0, 1} and seen)) == {0, 1}


def test_who_binds_is_free(serve, calling, new_address):
    client = calling(bind=new_address())
    serve({"echo": echo}, connect=client.client.address)
    assert client.call("echo", 1) == [[1], {}]


# Rows of calls


def test_map_keeps_the_order(pair):
    client, _ = pair
    arrays = [np.full(10_000, index) for index in range(50)]
    assert [int(each[0]) for each in client.map("scale", arrays)] == [2 * index for index in range(50)]
    assert list(client.map("scale", [])) == []


def test_map_gives_what_comes_first(serve, calling, new_address, gate):
    server = serve({"slow": lambda x: x or [gate.wait(PATIENCE), 0][1]}, bind=new_address(), threads=2)
    client = calling(connect=server.address)
    results = client.map("slow", range(6), ordered=False)
    assert sorted(islice(results, 5)) == [1, 2, 3, 4, 5]
    gate.set()
    assert list(results) == [0]


@pytest.mark.parametrize("ordered", [True, False])
def test_map_takes_no_more_than_its_window(pair, ordered):
    client, _ = pair
    taken = [0]

    def images():
        for _ in range(100):
            taken[0] += 1
            yield np.zeros(12_500)  # 100 KB

    given = 0
    for _ in client.map("scale", images(), ordered=ordered, max_bytes=1_000_000):
        given += 1
        assert taken[0] - given <= 10
    assert given == taken[0] == 100


def test_map_of_things_larger_than_its_window(pair):
    client, _ = pair
    assert len(list(client.map("scale", (np.zeros(100_000) for _ in range(5)), max_bytes=1000))) == 5


def test_map_raises_what_was_raised_and_gives_the_rest_up(pair):
    client, _ = pair
    results = client.map("fail", ["first", "second", "third"])
    with pytest.raises(npt.RemoteError, match="first"):
        next(results)
    results.close()
    wait_until(lambda: client.statistics().outstanding == 0)


def test_map_gives_errors_in_their_places(pair):
    client, _ = pair
    results = list(client.map("scale", [1, None, 3], return_exceptions=True))
    assert (results[0], results[2]) == (2, 6)
    assert results[1].type == "TypeError"


def test_a_map_that_is_left_early_gives_up(serve, calling, new_address, gate):
    seen = []

    def work(x):
        seen.append(x)
        return x if x < 3 else [gate.wait(PATIENCE), x][1]

    server = serve({"work": work}, bind=new_address(), threads=2)
    client = calling(connect=server.address)
    results = client.map("work", range(50))
    assert list(islice(results, 3)) == [0, 1, 2]
    waiting = max(0, client.statistics().calls - 5)  # three are done, and two at the gate
    wait_until(lambda: (client.let_run(0.01), server.statistics().waiting == waiting)[1])
    results.close()
    wait_until(lambda: client.statistics().outstanding == 0)
    wait_until(lambda: (client.let_run(0.01), server.statistics().waiting == 0)[1])
    gate.set()
    assert set(seen) <= {0, 1, 2, 3, 4}


def test_map_shows_a_bar(pair, capfd):
    client, _ = pair
    assert len(list(client.map("scale", [1, 2, 3], progress=True))) == 3
    assert "3/3" in capfd.readouterr().err


# Time, and what is given up


def test_a_call_is_given_up_after_its_time(serve, calling, new_address, gate):
    server = serve({"wait": lambda: gate.wait(PATIENCE), "one": lambda: 1}, bind=new_address(), threads=1)
    client = calling(connect=server.address)
    assert client.call("one") == 1
    with pytest.raises(npt.Timeout, match=r"wait\(\) was not answered within 0.05 s") as caught:
        client.call("wait", timeout=0.05)
    assert caught.value.seconds == 0.05
    future = client.submit("one", timeout=0.05)
    with pytest.raises(npt.Timeout):
        client.result(future)
    gate.set()
    assert client.call("one") == 1
    statistics = client.statistics()
    assert (statistics.timeouts, statistics.outstanding) == (2, 0)
    assert 1 <= statistics.late <= 2  # the second may have been told of before it was begun


def test_nobody_there(calling, new_address):
    client = calling(connect=new_address().replace(":0", ":9"))
    with pytest.raises(npt.Timeout, match="was not answered"):
        client.call("echo", timeout=0.05)


def test_what_is_cancelled_before_it_begins_never_does(serve, calling, new_address, gate):
    begun = []

    def work(index):
        begun.append(index)
        return gate.wait(PATIENCE)

    server = serve({"work": work}, bind=new_address(), threads=2)
    client = calling(connect=server.address)
    futures = [client.submit("work", index) for index in range(4)]
    wait_until(lambda: (client.let_run(0.01), server.statistics().waiting == 2)[1])
    client.cancel(futures[2])
    assert futures[2].cancelled()
    wait_until(lambda: (client.let_run(0.01), server.statistics().cancelled == 1)[1])
    gate.set()
    for index in (0, 1, 3):
        assert client.result(futures[index])
    assert sorted(begun) == [0, 1, 3]
    assert client.statistics().cancelled == 1


def test_what_is_cancelled_while_it_is_worked_on_is_dropped_when_it_comes(serve, calling, new_address, gate):
    begun = threading.Event()
    server = serve({"work": lambda: [begun.set(), gate.wait(PATIENCE)], "one": lambda: 1}, bind=new_address())
    client = calling(connect=server.address)
    future = client.submit("work")
    wait_until(lambda: (client.let_run(0.01), begun.is_set())[1])
    client.cancel(future)
    gate.set()
    assert client.call("one") == 1
    wait_until(lambda: (client.call("one"), client.statistics().late == 1)[1])


def test_what_is_outstanding_ends_with_the_client(serve, calling, new_address, gate):
    server = serve({"wait": lambda: gate.wait(PATIENCE)}, bind=new_address(), threads=1)
    client = calling(connect=server.address)
    futures = [client.submit("wait") for _ in range(3)]
    client.close()
    for future in futures:
        with pytest.raises(npt.ConnectionClosed):
            client.result(future)
    with pytest.raises(npt.ConnectionClosed):
        client.call("wait")
    client.close()


# The end of a server


def test_closing_lets_what_is_worked_on_arrive(serve, calling, new_address, gate):
    begun = threading.Event()
    server = serve({"work": lambda: [begun.set(), gate.wait(PATIENCE), np.zeros(100_000)]}, bind=new_address())
    client = calling(connect=server.address)
    future = client.submit("work")
    wait_until(lambda: (client.let_run(0.01), begun.is_set())[1])
    closing = threading.Thread(target=server.close, kwargs={"linger": PATIENCE})
    closing.start()
    gate.set()
    assert client.result(future)[2].shape == (100_000,)
    closing.join()
    assert server.server.closed


def test_serving_ends_after_a_time_and_goes_on(face, new_address):
    server = face.package.Server(bind=new_address())
    for _ in range(2):
        with pytest.raises(npt.Timeout):
            face.run(server.serve(timeout=0.02))
    face.run(server.close())
    with pytest.raises(npt.ConnectionClosed):
        face.run(server.serve(timeout=0.02))


def test_serving_does_not_wait_for_ever_for_handlers(face, calling, new_address, gate):
    begun = threading.Event()
    server = face.package.Server(bind=new_address(), threads=2, linger=0.05)
    server.register("work", lambda: [begun.set(), gate.wait(PATIENCE)][1])
    client = calling(connect=server.address)
    future = client.submit("work")
    while not begun.is_set():
        with pytest.raises(npt.Timeout):
            face.run(server.serve(timeout=0.01))
    assert server.statistics().begun == (1 if face.name == "sync" else 0)
    gate.set()
    with pytest.raises(npt.Timeout):  # it may be served again
        face.run(server.serve(timeout=0.1))
    if face.name == "sync":
        assert client.result(future) is True
    else:
        with pytest.raises(npt.RemoteError, match="ended before the handler did"):
            client.result(future)
    face.run(server.close())


@pytest.mark.parametrize("threads", [1, 3])
def test_a_handler_may_end_its_server(serve, calling, new_address, face, threads):
    served = []

    async def end_soon():
        await served[0].close()

    end = end_soon if face.name == "asyncio" else lambda: served[0].close()
    server = serve({"end": end}, bind=new_address(), threads=threads)
    served.append(server.server)
    client = calling(connect=server.address)
    assert client.call("end") is None
    wait_until(lambda: not server.thread.is_alive())
