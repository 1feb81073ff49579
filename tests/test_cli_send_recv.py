"""What ``nptransport send`` reads is what ``nptransport recv`` writes, for every kind of file."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import events, receiver, run, sender, wait_until
from same import difference

Array = np.ndarray[Any, Any]

random = np.random.default_rng(1)
ARRAYS: dict[str, Array] = {
    "frames": random.integers(0, 255, (7, 30, 40, 3), np.uint8),
    "fortran": np.asfortranarray(random.random((5, 6, 7))),
    "vector": np.arange(300.0),
    "big-endian": np.arange(20, dtype=">i4").reshape(4, 5),
    "complex": random.random((3, 4)) + 1j,
    "half": np.arange(6, dtype=np.float16),
    "bool": random.random(9) > 0.5,
    "times": np.array(["2020-01-01T00:00:00.000000001", "NaT"], "M8[ns]"),
    "spans": np.arange(5).astype("m8[25us]"),
    "texts": np.array(["a", "höß", ""]),
    "bytes": np.array([b"ab", b"c"]),
    "records": np.array(
        [(1, 2.5, b"x"), (3, 4.5, b"yz")], np.dtype([("a", "u1"), ("b", "f8"), ("c", "S2")], align=True)
    ),
    "nested": np.zeros(3, [("at", ">i2", (2, 3)), ("in", [("x", "f4"), ("y", "M8[s]")])]),
    "titles": np.zeros(2, [(("a title", "name"), "i4")]),
    "wide names": np.zeros(2, [("温度", "f4")]),
    "empty": np.zeros((0, 5), np.float32),
    "no columns": np.zeros((5, 0), np.int16),
    "scalar": np.array(3.25),
    "nans": np.array([np.nan, -0.0, np.inf]),
}


def save(folder: Path, name: str, array: Array) -> Path:
    path = folder / f"{name}.npy"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of field names beyond Latin-1
        np.save(path, array, allow_pickle=False)
    return path


@pytest.mark.parametrize("options", [[], ["--split"], ["--limit-bytes", "131072"]], ids=["whole", "split", "runs"])
def test_arrays_arrive_to_the_byte(tmp_path: Path, options: list[str]) -> None:
    paths = [save(tmp_path, name, array) for name, array in ARRAYS.items()]
    paths.append(save(tmp_path, "large", np.asfortranarray(random.random((50, 60, 30)))))
    with receiver(tmp_path, "--verify") as recv:
        sent = run("send", "--connect", recv.address, "--verify", "--json", *options, *paths)
        assert recv.wait() == 0, recv.stderr
        assert sent.returncode == 0, sent.stderr
        assert recv.files == {path.name: "verified" for path in paths}
        assert recv.names() == sorted(path.name for path in paths)
        for path in paths:
            assert (recv.folder / path.name).read_bytes() == path.read_bytes(), path.name
        frames = {event["file"]: event["frames"] for event in events(sent.stdout) if event["event"] == "file"}
    assert frames["frames.npy"] == (7 if options == ["--split"] else 1)
    assert frames["scalar.npy"] == 1
    assert frames["large.npy"] == {"": 1, "--split": 30, "--limit-bytes": 11}["".join(options[:1])]


@pytest.mark.parametrize("options", [[], ["--split"]], ids=["whole", "split"])
def test_groups_of_arrays_arrive_as_groups(tmp_path: Path, options: list[str]) -> None:
    plain, packed = tmp_path / "plain.npz", tmp_path / "packed.npz"
    members = {name: ARRAYS[name] for name in ("frames", "fortran", "scalar", "empty", "records")}
    np.savez(plain, **members)
    np.savez_compressed(packed, **{"left/mask": ARRAYS["bool"], "größe": ARRAYS["texts"]})
    with receiver(tmp_path) as recv:
        sent = run("send", "--connect", recv.address, "--verify", *options, plain, packed)
        assert recv.wait() == 0, recv.stderr
        assert recv.files == {"plain.npz": "verified", "packed.npz": "verified"}
    assert sent.returncode == 0, sent.stderr
    for path in (plain, packed):
        with zipfile.ZipFile(path) as there, zipfile.ZipFile(recv.folder / path.name) as here:
            assert here.namelist() == there.namelist()
            assert [here.read(name) for name in here.namelist()] == [there.read(name) for name in there.namelist()]
        with np.load(recv.folder / path.name, allow_pickle=False) as group:
            assert set(group.files) <= {*members, "left/mask", "größe"}


def test_pictures_and_video_arrive_as_they_are_decoded(tmp_path: Path) -> None:
    iio = pytest.importorskip("imageio.v3")
    pytest.importorskip("av")
    frames = [np.roll(random.integers(0, 255, (48, 64, 3), np.uint8), shift, axis=1) for shift in range(12)]
    iio.imwrite(tmp_path / "clip.mp4", np.stack(frames), plugin="pyav", codec="mpeg4", fps=10)
    iio.imwrite(tmp_path / "picture.png", frames[0])
    iio.imwrite(tmp_path / "deep.png", random.integers(0, 65535, (20, 30), np.uint16))
    iio.imwrite(tmp_path / "photo.jpg", frames[1])
    iio.imwrite(tmp_path / "moving.gif", np.stack(frames[:3]))
    paths = sorted(tmp_path.glob("*.*"))
    with receiver(tmp_path) as recv:
        sent = run("send", "--connect", recv.address, "--verify", "--json", *paths)
        assert recv.wait() == 0, recv.stderr
    assert sent.returncode == 0, sent.stderr
    assert recv.files == {f"{path.name}.npy": "verified" for path in paths}
    for path in paths:
        plugin = "pyav" if path.suffix == ".mp4" else "pillow"
        assert difference(iio.imread(path, plugin=plugin), np.load(recv.folder / f"{path.name}.npy")) is None
    assert np.load(recv.folder / "clip.mp4.npy").shape == (12, 48, 64, 3)
    assert np.load(recv.folder / "deep.png.npy").dtype == np.uint16


def test_black_and_white_pictures_arrive(tmp_path: Path) -> None:
    pytest.importorskip("av")
    image = pytest.importorskip("PIL.Image")
    pixels = random.integers(0, 2, (9, 11)).astype(bool)
    image.fromarray(pixels).save(tmp_path / "bits.png")
    with receiver(tmp_path) as recv:
        sent = run("send", "--connect", recv.address, "--verify", tmp_path / "bits.png")
        assert recv.wait() == 0, recv.stderr
    assert sent.returncode == 0, sent.stderr
    assert difference(pixels, np.load(recv.folder / "bits.png.npy")) is None


def test_elements_that_are_no_value_of_their_dtype_are_refused_where_the_file_is(tmp_path: Path) -> None:
    two = np.array([0, 1, 2], np.uint8).view(bool)
    paths = [
        save(tmp_path, "bool", two),
        save(tmp_path, "text", np.array([0x110000], np.uint32).view("U1")),
        save(tmp_path, "field", two.view([("a", bool)])),
        save(tmp_path, "good", ARRAYS["vector"]),
    ]
    with receiver(tmp_path) as recv:
        sent = run("send", "--connect", recv.address, "--json", *paths)
        assert recv.wait() == 1
    assert sent.returncode == 1
    reasons = {event["file"]: event.get("reason", "") for event in events(sent.stdout) if event["event"] == "file"}
    assert [name for name, reason in reasons.items() if "no value of dtype" in reason] == [p.name for p in paths[:3]]
    assert recv.names() == ["good.npy"]
    assert recv.events()[-1]["malformed"] == 0


def test_without_digests_files_are_written_but_not_called_verified(tmp_path: Path) -> None:
    path = save(tmp_path, "a", ARRAYS["vector"])
    with receiver(tmp_path) as recv:
        assert run("send", "--connect", recv.address, path).returncode == 0
        assert recv.wait() == 0
        assert recv.files == {"a.npy": "written"}


def test_a_receiver_that_verifies_takes_nothing_without_a_digest(tmp_path: Path) -> None:
    path = save(tmp_path, "a", ARRAYS["vector"])
    with receiver(tmp_path, "--verify") as recv:
        assert run("send", "--connect", recv.address, path).returncode == 0
        assert recv.wait() == 1
        assert recv.files == {"a.npy": "differs"}
        assert recv.names() == []


def test_a_file_that_exists_is_left_alone_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    path = save(tmp_path, "a", ARRAYS["vector"])
    other = save(tmp_path, "b", ARRAYS["half"])
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.npy").write_bytes(b"precious")
    with receiver(tmp_path, out=folder) as recv:
        run("send", "--connect", recv.address, path, other)
        assert recv.wait() == 1
        assert recv.files == {"a.npy": "failed", "b.npy": "written"}
        assert "overwrite" in recv.events()[1]["reason"]
    assert (folder / "a.npy").read_bytes() == b"precious"
    with receiver(tmp_path / "again", "--overwrite", out=folder) as recv:
        run("send", "--connect", recv.address, path)
        assert recv.wait() == 0
    assert (folder / "a.npy").read_bytes() == path.read_bytes()


def test_several_senders_at_a_time(tmp_path: Path) -> None:
    paths = [save(tmp_path, f"{number}", random.random((40, 50))) for number in range(3)]
    with receiver(tmp_path, "--count", "3") as recv:
        senders = []
        for number, path in enumerate(paths):
            senders.append(sender(tmp_path / f"{number}", "--connect", recv.address, "--split", "--verify", path))
        with senders[0] as first, senders[1] as second, senders[2] as third:
            assert [running.wait() for running in (first, second, third)] == [0, 0, 0]
        assert recv.wait() == 0, recv.stderr
        assert recv.files == {path.name: "verified" for path in paths}


def test_the_sender_may_bind_and_the_receiver_connect(tmp_path: Path) -> None:
    path = save(tmp_path, "a", ARRAYS["frames"])
    with sender(tmp_path, "--bind", "tcp://127.0.0.1:*", "--verify", path) as send:
        done = run("recv", "--connect", send.event("listening")["address"], "--out", tmp_path / "out", "--json")
        assert send.wait() == 0, send.stderr
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "a.npy").read_bytes() == path.read_bytes()


def test_forever_goes_on_behind_the_first_sender(tmp_path: Path) -> None:
    paths = [save(tmp_path, name, ARRAYS[name]) for name in ("vector", "half")]
    with receiver(tmp_path, "--forever") as recv:
        for path in paths:
            assert run("send", "--connect", recv.address, path).returncode == 0
        wait_until(lambda: recv.files == {path.name: "written" for path in paths})
        assert recv.process.poll() is None


def test_rate_holds_the_frames_back(tmp_path: Path) -> None:
    path = save(tmp_path, "a", ARRAYS["frames"])
    with receiver(tmp_path) as recv:
        sent = run("send", "--connect", recv.address, "--split", "--rate", "20", "--json", path)
        assert recv.wait() == 0
    assert events(sent.stdout)[-1]["seconds"] >= 6 / 20


def test_json_is_all_there_is_on_stdout(tmp_path: Path) -> None:
    path = save(tmp_path, "a", ARRAYS["frames"])
    with receiver(tmp_path) as recv:
        sent = run("send", "--connect", recv.address, "--verify", "--json", path)
        assert recv.wait() == 0
        listening, file, summary = recv.events()
    assert (listening["event"], file["event"], summary["event"]) == ("listening", "file", "summary")
    assert file["path"] == str(recv.folder / "a.npy")
    assert file["arrays"] == ["uint8 [7, 30, 40, 3]"]
    assert (file["bytes"], summary["bytes"]) == (ARRAYS["frames"].nbytes,) * 2
    expected = {"files": 1, "failed": 0, "exit": 0, "malformed": 0, "refused": 0}
    assert expected.items() <= summary.items()
    assert [event["event"] for event in events(sent.stdout)] == ["file", "summary"]


def test_without_json_there_is_a_line_for_each_file(tmp_path: Path) -> None:
    path = save(tmp_path, "[red]a", ARRAYS["frames"])
    with receiver(tmp_path) as recv:
        sent = run("send", "--connect", recv.address, path)
        assert recv.wait() == 0
    first, last = sent.stdout.splitlines()
    assert first.split() == ["sent", "[red]a.npy", "uint8", "[7,", "30,", "40,", "3],", "25.2", "kB"]
    assert last.startswith("1 file (1 sent), 1 frame, 25.2 kB in ")
