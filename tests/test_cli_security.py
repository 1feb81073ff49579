"""--security on the command line, and the keys for it."""

from __future__ import annotations

import os
import stat
import threading

import numpy as np
import pytest
from command_line import BOTH_SIDES, Running, events, receiver, run, run_here

import nptransport as npt


@pytest.fixture
def security(tmp_path):
    """``security(name)``: a file for --security; of the server, a friend, a stranger."""
    for name in ("server", "friend", "stranger"):
        assert run_here("keygen", tmp_path / name).returncode == 0
    (tmp_path / "server.security").write_text("[server]\nsecret = server.secret\nallowed = friend.public\n")
    for name in ("friend", "stranger"):
        (tmp_path / f"{name}.security").write_text(f"[client]\nsecret = {name}.secret\nserver = server.public\n")
    np.save(tmp_path / "data.npy", np.arange(10))
    return lambda name: tmp_path / f"{name}.security"


def test_keygen(tmp_path):
    done = run("keygen", tmp_path / "camera", "--json")
    (event,) = events(done.stdout)
    assert stat.S_IMODE(os.stat(event["secret"]).st_mode) == 0o600
    assert npt.Curve.client(server=event["public"], secret=event["secret"]).public == event["key"]
    secret = (tmp_path / "camera.secret").read_text().split()[-1]
    again = run_here("keygen", tmp_path / "camera")
    assert again.returncode == 2
    assert "there already" in again.stderr
    assert secret not in done.stdout + done.stderr + again.stdout + again.stderr


def test_send_and_recv(tmp_path, security):
    with receiver(tmp_path, "--security", security("server"), "--forever") as recv:
        for who, code in (("stranger", 1), ("friend", 0)):
            done = run_here("send", tmp_path / "data.npy", "--connect", recv.address, "--security", security(who))
            assert done.returncode == code, done.stderr
            assert ("it does not allow our key" in done.stderr) is (who == "stranger")
        done = run_here("send", tmp_path / "data.npy", "--connect", recv.address)
        assert done.returncode == 1
        assert "security" in done.stderr
        assert recv.names() == ["data.npy"]


def test_proxy_top_and_view(tmp_path, security):
    with Running(tmp_path, "proxy", *BOTH_SIDES, "--security", security("server")) as proxy:
        listening = proxy.event("listening")
        with npt.Publisher(connect=listening["frontend"], security=npt.Curve.load(security("friend"))) as publisher:
            top = ["top", listening["backend"], "--once", "--security", security("friend")]
            with Running(tmp_path / "top", *top) as watching:
                publisher.wait_for_subscribers(1, timeout=30)
                while watching.process.poll() is None:
                    publisher.send(np.zeros(3), topic="camera")
                assert watching.wait() == 0
            (reading,) = watching.events()
            assert reading["streams"][0]["topic"] == "camera"
            assert (reading["refused"], reading["refusals"]) == (0, {})
            for command in ("top", "view"):
                done = run_here(command, listening["backend"], "--security", security("stranger"))
                assert done.returncode == 1
                assert "refused" in done.stderr
        proxy.process.terminate()
        assert proxy.wait() == 0
    summary = proxy.event("summary")
    assert summary["refused"] >= 2
    assert "key not allowed" in summary["refusals"]


@pytest.mark.parametrize("command", ["send", "recv", "top", "view", "proxy"])
def test_files_that_cannot_be_used(tmp_path, security, command):
    os.chmod(tmp_path / "friend.secret", 0o644)
    rest = {
        "send": [tmp_path / "data.npy", "--connect", "tcp://127.0.0.1:9"],
        "recv": ["--bind", "tcp://127.0.0.1:*", "--out", tmp_path / "out"],
        "proxy": BOTH_SIDES,
    }.get(command, ["tcp://127.0.0.1:9"])
    for path, said in ((security("friend"), "chmod 600"), (tmp_path / "none", "No such file")):
        done = run_here(command, *rest, "--security", path)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_word_where_anybody_may_come(tmp_path, security):
    with receiver(tmp_path) as recv:
        assert "security" not in recv.stderr
    for more, said in (([], True), (["--security", security("server")], False)):
        done = run_here("recv", "--bind", "tcp://*:*", "--out", tmp_path / "out", "--timeout", "0.2", *more)
        assert ("--security" in done.stderr) is said
    assert done.returncode == 3


def test_a_broker_and_who_works_for_it(tmp_path, security):
    with Running(tmp_path, "broker", *BOTH_SIDES, "--security", security("server")) as broker:
        listening = broker.event("listening")
        friend = npt.Curve.load(security("friend"))
        with npt.Worker(connect=listening["backend"], security=friend, name="\x1b[31mred") as worker:
            worker.register("double", lambda x: 2 * x)
            threading.Thread(target=worker.serve).start()
            with npt.Client(connect=listening["frontend"], security=friend) as client:
                assert client.call("double", 4, timeout=30) == 8
            stranger = run_here("workers", listening["frontend"], "--security", security("stranger"))
            assert stranger.returncode == 1
            assert "does not allow our key" in stranger.stderr
            shown = run_here("workers", listening["frontend"], "--security", security("friend"))
            assert shown.returncode == 0, shown.stderr
            assert "refused: key not allowed" in shown.stdout
            assert "?[31mred" in shown.stdout
            assert "\x1b" not in shown.stdout
        broker.process.terminate()
        assert broker.wait() == 0
    summary = broker.event("summary")
    assert summary["refused"] >= 1
    assert "key not allowed" in summary["refusals"]
