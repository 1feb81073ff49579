"""What only one of the faces has: threads that share a client, forks, tasks that are cancelled; and a short chaos."""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import as_completed, wait

import numpy as np
import pytest
from children import BENCHMARKS, PATIENCE, run_python, spawn_fixture, wait_until  # noqa: F401

import nptransport as npt
import nptransport.asyncio


@pytest.fixture(name="server")
def server_fixture():
    server = npt.Server(bind="tcp://127.0.0.1:*", threads=4)
    server.register("double", lambda x: 2 * x)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    server.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_threads_share_a_client(server):
    wrong = []

    def work(client, seed):
        for index in range(100):
            value = seed * 1000 + index
            large = np.full(20_000, value) if index % 10 == 0 else np.full(2, value)
            got = (
                client.call("double", large, timeout=PATIENCE) if index % 3 else client.submit("double", large).result()
            )
            if got.shape != large.shape or got[-1] != 2 * value:
                wrong.append(value)

    with npt.Client(connect=server.address) as client:
        threads = [threading.Thread(target=work, args=(client, seed)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(4 * PATIENCE)
        assert not wrong
        assert client.statistics().results == 600


def test_whoever_waits_for_futures_hears_of_those_cancelled(server):
    gate = threading.Event()
    server.register("wait", lambda: gate.wait(PATIENCE))
    with npt.Client(connect=server.address) as client:
        futures = [client.submit("wait") for _ in range(3)]
        assert futures[0].cancel()
        assert futures[0].cancel()
        gate.set()
        assert wait(futures, PATIENCE).not_done == set()
        assert set(as_completed(futures, PATIENCE)) == set(futures)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupted_server_ends(spawn, threads):
    child = spawn(
        """
        server = npt.Server(bind="tcp://127.0.0.1:*", threads=int(args[0]), linger=0.1)
        server.register("work", lambda: [say("begun"), time.sleep(3600)])
        say(server.address)
        try:
            server.serve()
        except KeyboardInterrupt:
            say("interrupted")
        """,
        threads,
    )
    with npt.Client(connect=child.hear()) as client:
        future = client.submit("work")
        assert child.hear() == "begun"
        child.process.send_signal(signal.SIGINT)
        assert child.hear() == "interrupted"
        if threads == 1:  # the handler was, and so the call has ended; else it waits for who comes next
            with pytest.raises(npt.RemoteError, match="KeyboardInterrupt"):
                future.result(PATIENCE)
    assert child.wait() == 0


def test_a_client_ends_while_a_thread_waits(server):
    gate = threading.Event()
    server.register("wait", lambda: gate.wait(PATIENCE))
    client = npt.Client(connect=server.address)
    errors = []

    def wait():
        try:
            client.call("wait")
        except npt.TransportError as error:
            errors.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: server.statistics().begun == 3)
    client.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert [type(error) for error in errors] == [npt.ConnectionClosed] * 3
    gate.set()


def test_a_forked_child_is_refused(spawn):
    child = spawn(
        """
        import warnings
        warnings.simplefilter("ignore")
        server = npt.Server(bind="tcp://127.0.0.1:*")
        client = npt.Client(connect=server.address)
        worker = npt.Worker(connect=server.address)
        if os.fork() == 0:
            for use in (lambda: client.call("x"), lambda: client.submit("x"), server.serve, worker.serve):
                try:
                    use()
                except npt.MisuseError as error:
                    say("refused")
            os._exit(0)
        os.wait()
        """
    )
    assert [child.hear() for _ in range(4)] == ["refused"] * 4


def test_only_one_thread_serves(server):
    with npt.Client(connect=server.address) as client:
        assert client.call("double", 1, timeout=PATIENCE) == 2
    with pytest.raises(npt.MisuseError):
        server.serve()


def test_coroutine_functions_belong_to_the_other_face():
    async def later(x):
        return x

    methods = npt.Methods()
    methods.register("later", later)
    with npt.Server(bind="inproc://coroutine") as server, pytest.raises(TypeError, match=r"nptransport\.asyncio"):
        server.register("later", later)
    with pytest.raises(TypeError, match=r"nptransport\.asyncio"):
        npt.Server(bind="inproc://coroutine2", methods=methods)


def test_a_cancelled_await_gives_the_call_up_and_the_loop_is_never_held_up():
    async def main():
        server = nptransport.asyncio.Server(bind="tcp://127.0.0.1:*", threads=4)
        begun, cancelled, gate = asyncio.Event(), asyncio.Event(), threading.Event()

        async def hang():
            begun.set()
            try:
                await asyncio.sleep(3600)
            finally:
                cancelled.set()

        server.register("hang", hang)
        server.register("block", lambda: gate.wait(PATIENCE))  # in a thread
        serving = asyncio.create_task(server.serve())
        async with nptransport.asyncio.Client(connect=server.address) as client:
            blocked = client.submit("block")
            call = asyncio.create_task(client.call("hang"))
            await asyncio.wait_for(begun.wait(), PATIENCE)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (client.statistics().cancelled, client.statistics().outstanding) == (1, 1)
            gate.set()
            assert await blocked is True
            with pytest.raises(npt.Timeout):
                await client.call("hang", timeout=0.05)
        await server.close(linger=0.1)
        await serving
        assert cancelled.is_set()

    asyncio.run(main())


def test_a_client_that_is_forgotten_leaves_nothing_behind(server):
    client = npt.Client(connect=server.address)
    assert client.submit("double", 2).result(PATIENCE) == 4
    wait_until(lambda: server.statistics().connections == 1)
    del client
    wait_until(lambda: server.statistics().connections == 0)


def test_a_short_chaos():
    options = ["--tasks", 120, "--kills", 4, "--broker-kills", 1, "--workers", 2, "--largest", 300_000, "--seed", 11]
    done = run_python(BENCHMARKS / "chaos.py", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "120 tasks: 120 results, 0 errors, 0 lost, 0 twice, 0 wrong" in done.stdout
    assert "4 workers and 1 brokers killed" in done.stdout
