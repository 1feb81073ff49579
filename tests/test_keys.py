"""Keys: what is one, the files that hold them, and constructions that would let in more than was meant."""

from __future__ import annotations

import os
import stat
import sys

import pytest
import zmq
from children import run_python

import nptransport as npt

PUBLIC, SECRET = [key.decode() for key in zmq.curve_keypair()]


@pytest.fixture
def key_files(tmp_path):
    return npt.Curve.generate(tmp_path / "camera")


def test_generated_keys(key_files, tmp_path):
    public, secret = key_files
    assert (public, secret) == (f"{tmp_path}/camera.public", f"{tmp_path}/camera.secret")
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600
    server = npt.Curve.server(secret=secret, allowed=[public])
    assert server.public in (tmp_path / "camera.public").read_text()
    assert server.is_server
    assert not npt.Curve.client(server=public, secret=secret).is_server


@pytest.mark.parametrize("ending", ["public", "secret"])
def test_nothing_is_overwritten(key_files, tmp_path, ending):
    (tmp_path / f"camera.{'secret' if ending == 'public' else 'public'}").unlink()
    before = (tmp_path / f"camera.{ending}").read_text()
    with pytest.raises(npt.AuthenticationError, match="there already"):
        npt.Curve.generate(tmp_path / "camera")
    assert (tmp_path / f"camera.{ending}").read_text() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(npt.AuthenticationError) as caught:
        npt.Curve.generate(tmp_path / "no" / "camera")
    assert caught.value.path == f"{tmp_path}/no/camera.secret"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a disk that can be full")
def test_a_disk_without_room_leaves_no_half_of_a_pair(tmp_path):
    program = f"""
import resource, signal
import nptransport as npt
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    npt.Curve.generate({str(tmp_path / "camera")!r})
except npt.AuthenticationError as error:
    print(error.path)
"""
    done = run_python("-c", program)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/camera.secret\n"), done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_secrets_that_others_can_read(key_files, mode):
    public, secret = key_files
    os.chmod(secret, mode)
    for make in (
        lambda: npt.Curve.server(secret=secret, allow_any=True),
        lambda: npt.Curve.client(server=public, secret=secret),
    ):
        with pytest.raises(npt.AuthenticationError, match="chmod 600") as caught:
            make()
        assert caught.value.path == secret


@pytest.mark.parametrize("given", [SECRET, SECRET.encode()], ids=["text", "bytes"])
def test_keys_as_text(given):
    assert npt.Curve.server(secret=given, allowed=[PUBLIC.encode(), PUBLIC]).public == PUBLIC
    assert npt.Curve.client(server=PUBLIC.encode(), secret=given).public == PUBLIC


NO_SERVERS = {
    "no list": {"secret": SECRET},
    "nothing": {"secret": SECRET, "allowed": None},
    "a list, and anybody": {"secret": SECRET, "allowed": [PUBLIC], "allow_any": True},
    "no secret": {"secret": "camera", "allow_any": True},
    "a secret that is cut off": {"secret": SECRET[:-1], "allow_any": True},
    "a secret that no 32 bytes give": {"secret": "#" * 40, "allow_any": True},
    "a secret of another type": {"secret": 7, "allow_any": True},
    "a key that is none": {"secret": SECRET, "allowed": ["camera"]},
    "a key that is cut off": {"secret": SECRET, "allowed": [PUBLIC, PUBLIC[:-1]]},
    "keys of another type": {"secret": SECRET, "allowed": [7]},
    "a file that is not there": {"secret": SECRET, "allowed": "clients.txt"},
}


@pytest.mark.parametrize("given", NO_SERVERS.values(), ids=NO_SERVERS)
def test_no_servers(given):
    with pytest.raises(npt.AuthenticationError):
        npt.Curve.server(**given)


def test_an_empty_list_is_one():
    """Nobody yet; who is to come can be added."""
    allowed = set()
    server = npt.Curve.server(secret=SECRET, allowed=allowed)
    assert not server.judge(PUBLIC)[0]
    allowed.add(PUBLIC)
    assert server.judge(PUBLIC)[0]


@pytest.mark.parametrize(
    "server", ["", "camera", PUBLIC[:-1], "#" * 40, 7, None], ids=["empty", "word", "short", "large", "int", "none"]
)
def test_no_clients(server):
    with pytest.raises(npt.AuthenticationError):
        npt.Curve.client(server=server, secret=SECRET)


def test_files_taken_for_each_other(key_files):
    public, secret = key_files
    for mode in (0o644, 0o600):  # whoever can read it
        os.chmod(public, mode)
        with pytest.raises(npt.AuthenticationError, match=r"is a public key; give the \.secret file"):
            npt.Curve.server(secret=public, allow_any=True)
    for make in (
        lambda: npt.Curve.client(server=secret),
        lambda: npt.Curve.server(secret=secret, allowed=[secret]),
    ):
        with pytest.raises(npt.AuthenticationError, match=r"give the \.public file"):
            make()


def test_lists_of_keys(tmp_path):
    keys = [zmq.curve_keypair()[0].decode() for _ in range(6)]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one.public").write_text(f"# a comment\n\n{keys[0]} the first\n")
    (tmp_path / "folder" / ".hidden").write_text("what an editor leaves behind")
    (tmp_path / "file").write_text(f"{keys[1]}\n  {keys[2]}\tthe third\r\n")
    server = npt.Curve.server(secret=SECRET, allowed=[tmp_path / "folder", str(tmp_path / "file"), keys[3]])
    assert [server.judge(key)[0] for key in keys] == [True, True, True, True, False, False]
    (tmp_path / "folder" / "two").write_text(keys[4])
    assert server.judge(keys[4]) == (True, [])
    (tmp_path / "file").write_text(f"{keys[1]}\nsome words\n")
    welcome, problems = server.judge(keys[2])
    assert not welcome
    assert problems == [f"{tmp_path}/file, line 2: no public key of 40 letters"]
    assert server.judge(keys[1])[0]


def test_a_change_within_one_tick_of_the_clock(tmp_path):
    """Same size, same time: what was read before is not trusted while it may change unseen."""
    first, second = (zmq.curve_keypair()[0].decode() for _ in range(2))
    path = tmp_path / "clients"
    path.write_text(first)
    server = npt.Curve.server(secret=SECRET, allowed=path)
    state = os.stat(path)
    path.write_text(second)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert [server.judge(key)[0] for key in (first, second)] == [False, True]


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"\0" * 100, b"x" * 2**20 + b"xx"], ids=["no text", "zeros", "enormous"]
)
def test_files_that_are_none(tmp_path, content):
    path = tmp_path / "clients"
    path.write_bytes(content)
    with pytest.raises(npt.AuthenticationError, match=str(path)):
        npt.Curve.server(secret=SECRET, allowed=path)


# Files for --security


def write(tmp_path, text):
    path = tmp_path / "security"
    path.write_text(text)
    return path


def test_security_files(key_files, tmp_path):
    server = npt.Curve.load(
        write(tmp_path, f"# ours\n[server]\nsecret = camera.secret\nallowed = camera.public\n  {PUBLIC}\n")
    )
    assert server.is_server
    assert [server.judge(key)[0] for key in (server.public, PUBLIC, SECRET)] == [True, True, False]
    client = npt.Curve.load(write(tmp_path, "[client]\nsecret = camera.secret\nserver = camera.public\n"))
    assert (client.is_server, client.public) == (False, server.public)
    assert npt.Curve.load(write(tmp_path, f"[client]\nserver = {PUBLIC}\n")).public
    anybody = npt.Curve.load(write(tmp_path, "[server]\nsecret = camera.secret\nallow_any = yes\n"))
    assert anybody.judge(PUBLIC) == (True, [])


NO_FILES = {
    "empty": "",
    "no section": "secret = camera.secret",
    "another section": "[peer]\nsecret = camera.secret",
    "both": "[server]\nsecret = camera.secret\nallow_any = yes\n[client]\nserver = camera.public",
    "nobody allowed": "[server]\nsecret = camera.secret",
    "an unknown line": "[server]\nsecret = camera.secret\nallowed = camera.public\nallow-any = yes",
    "no secret": "[server]\nallowed = camera.public",
    "no server": "[client]\nsecret = camera.secret",
    "a file that is not there": "[client]\nserver = viewer.public",
    "neither yes nor no": "[server]\nsecret = camera.secret\nallow_any = perhaps",
    "twice": "[client]\nserver = camera.public\nserver = camera.public",
    "a secret, and no line of ours": f"[server]\n{SECRET}\n",
    "no text": "[server]\n\udcff",
}


@pytest.mark.parametrize("text", NO_FILES.values(), ids=NO_FILES)
def test_no_security_files(key_files, tmp_path, text):
    path = tmp_path / "security"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(npt.AuthenticationError) as caught:
        npt.Curve.load(path)
    assert SECRET[:10] not in str(caught.value)
    assert "\n" not in str(caught.value)


MISTYPED = (f"{SECRET}x", SECRET[:-1], f'"{SECRET}"', f"secret-key {SECRET}", f"{SECRET} # of the camera")
PLACES = {
    "a secret": "[server]\nsecret = {}\nallow_any = yes",
    "a list": "[server]\nsecret = camera.secret\nallowed = {}",
    "a server": "[client]\nserver = {}",
    "a section": "[{}]",
    "a name": "[client]\n{} = camera.public",
}


@pytest.mark.parametrize("text", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("secret", MISTYPED, ids=["too long", "too short", "quoted", "a line", "with a comment"])
def test_no_error_quotes_what_may_be_a_secret(key_files, tmp_path, text, secret):
    with pytest.raises(npt.AuthenticationError) as caught:
        npt.Curve.load(write(tmp_path, text.format(secret)))
    told = str(caught.value) + repr(vars(caught.value))
    assert SECRET[:10].lower() not in told.lower()


@pytest.mark.parametrize("given", [f"{SECRET}x", SECRET[:-1]], ids=["longer", "shorter"])
def test_nor_where_a_public_key_is_wanted(given):
    for make in (
        lambda: npt.Curve.client(server=given),
        lambda: npt.Curve.server(secret=SECRET, allowed=[PUBLIC, given]),
    ):
        with pytest.raises(npt.AuthenticationError, match="letters") as caught:
            make()
        assert SECRET[:10] not in str(caught.value)


def test_a_secret_in_the_security_file_itself(tmp_path):
    path = write(tmp_path, f"[client]\nsecret = {SECRET}\nserver = {PUBLIC}\n")
    os.chmod(path, 0o600)
    assert npt.Curve.load(path).public == PUBLIC
    os.chmod(path, 0o640)
    with pytest.raises(npt.AuthenticationError, match="chmod 600") as caught:
        npt.Curve.load(path)
    assert caught.value.path == str(path)


def test_no_file_at_all(tmp_path):
    with pytest.raises(npt.AuthenticationError, match="No such file"):
        npt.Curve.load(tmp_path / "security")


@pytest.mark.parametrize("security", ["camera.secret", True, {"secret": SECRET}], ids=["text", "bool", "dict"])
def test_what_is_no_security(security):
    with pytest.raises(npt.AuthenticationError, match=r"Curve\.server"):
        npt.Consumer(bind="tcp://127.0.0.1:0", security=security)
