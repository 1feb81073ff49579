"""Between namespaces: of networks, one link of which is cut for a while and restored, and of processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess

import pytest
from children import spawn_fixture, wait_until  # noqa: F401 - a fixture

import nptransport as npt

NAMES = ["broker", "client", "first", "second"]
INTERVAL = 0.4  # seconds: a worker is taken for dead after three

BROKER = """
    with npt.Broker(frontend="tcp://10.77.0.1:5555", backend="tcp://10.77.0.1:5556", interval=float(args[0])) as broker:
        say("up")
        hear()
"""
WORKER = """
    def negate(x):
        time.sleep(0.005)
        return -x

    worker = npt.Worker(connect="tcp://10.77.0.1:5556", name=args[0], interval=float(args[1]))
    worker.register("negate", negate)
    worker.serve()
"""
CLIENT = """
    import dataclasses, itertools, json, warnings

    enough = threading.Event()

    def work():
        numbers = itertools.takewhile(lambda _: not enough.is_set(), itertools.count())
        arrays = (np.full(2000, number) for number in numbers)
        for result in client.map("negate", arrays, ordered=False, max_calls=20, timeout=60):
            assert (result == result[0]).all()
            results.append(-int(result[0]))

    results = []
    with npt.Client(connect="tcp://10.77.0.1:5555") as client:
        working = threading.Thread(target=work)
        working.start()
        while (asked := hear().strip()) == "state":
            say(json.dumps(client.call("nptransport.broker", timeout=30)))
        enough.set()
        working.join()
        state = client.call("nptransport.broker", timeout=30)
        say(json.dumps([results, state, dataclasses.asdict(client.statistics())]))
"""


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)


class Hub:
    """Network namespaces at one bridge, which has a namespace of its own: this machine's network is left alone."""

    def __init__(self):
        self._prefix = f"npt{os.getpid()}"
        self._made = []

    def lay(self, names):
        """Make them; CalledProcessError where that is not permitted."""
        self._namespace("hub")
        self._inside("hub", "link", "add", "bridge", "type", "bridge")
        self._inside("hub", "link", "set", "bridge", "up")
        for number, name in enumerate(names, 1):
            self._namespace(name)
            self._inside("hub", "link", "add", name, "type", "veth", "peer", "eth0", "netns", f"{self._prefix}-{name}")
            self._inside("hub", "link", "set", name, "master", "bridge", "up")
            self._inside(name, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
            self._inside(name, "link", "set", "eth0", "up")

    def _namespace(self, name):
        ip("netns", "add", f"{self._prefix}-{name}")
        self._made.append(name)

    def _inside(self, name, *arguments):
        ip("-netns", f"{self._prefix}-{name}", *arguments)

    def within(self, name):
        """The command that runs another one there."""
        return ["ip", "netns", "exec", f"{self._prefix}-{name}"]

    def cut(self, name):
        self._inside("hub", "link", "set", name, "down")

    def restore(self, name):
        self._inside("hub", "link", "set", name, "up")

    def close(self):
        for name in self._made:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", f"{self._prefix}-{name}")


@pytest.fixture(name="hub")
def hub_fixture():
    if shutil.which("ip") is None:
        pytest.skip("there is no ip: install iproute2")
    hub = Hub()
    try:
        try:
            hub.lay(NAMES)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        yield hub
    finally:
        hub.close()


def test_a_link_is_cut_and_restored(hub, spawn):
    broker = spawn(BROKER, INTERVAL, within=hub.within("broker"))
    assert broker.hear() == "up"
    for name in ("first", "second"):
        spawn(WORKER, name, INTERVAL, within=hub.within(name))
    client = spawn(CLIENT, within=hub.within("client"))

    def state():
        client.say("state")
        return json.loads(client.hear())

    def workers():
        return {worker["name"]: worker["done"] for worker in state()["workers"].values()}

    wait_until(lambda: len(workers()) == 2 and min(workers().values()) >= 10)
    hub.cut("first")
    wait_until(lambda: list(workers()) == ["second"])
    before = workers()["second"]
    wait_until(lambda: workers()["second"] >= before + 100)  # the work goes on, though the link stays cut
    hub.restore("first")
    wait_until(lambda: workers().get("first", 0) >= 10)  # it is back, and works
    client.say("enough")
    results, broker_says, client_says = json.loads(client.hear())

    count = len(results)
    assert sorted(results) == list(range(count))  # one result each
    assert (broker_says["tasks"], broker_says["results"], broker_says["errors"]) == (count, count, 0)
    assert broker_says["lost_workers"] >= 1
    assert broker_says["redelivered"] >= 1  # what it had
    left = {name: broker_says[name] for name in ("waiting", "running", "cancelled", "abandoned", "nbytes")}
    assert not any(left.values()), left
    assert client_says["calls"] == client_says["results"]
    assert client_says["errors"] == client_says["timeouts"] == client_says["outstanding"] == 0


SENDER = """
    frame = np.ones(1_000_000, np.uint8)
    with npt.Producer(connect=args[0], max_bytes=frame.nbytes) as producer:
        producer.send(frame, timeout=30)
        hear()
        try:
            for _ in range(2):  # a second one always finds room
                producer.send(frame, timeout=0.1)
        except npt.Timeout as error:
            say(os.getpid(), error)
"""


def test_memory_is_shared_with_another_namespace_of_processes(tmp_path, spawn):
    apart = ["unshare", "--pid", "--fork"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces of processes are not permitted here")
    address = f"shm://{tmp_path}/camera"
    with npt.Consumer(bind=address) as consumer:
        sender = spawn(SENDER, address, within=apart)
        frame = consumer.recv(timeout=30)
        assert (frame == 1).all()
        sender.say("and now another")
        said = sender.hear()
        assert said.startswith("1 ")  # the first process there is, which does not see this one
        assert "held by a process of another container" in said
        del frame
        assert sender.wait() == 0
