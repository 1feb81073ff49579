"""The decoder and the state machines under fire.

The invariant: *any frames give a value or a DecodeError, within Limits, in under 10 ms of processor time, and leave no
array that reaches outside its part.* A decoder that has seen other messages before says the same as a fresh one. A
state machine takes any frames that a peer can send, in any order, and its counts stay what they are called.

An input is a list of frames, bytes each. Targets check one; :func:`inputs` makes them, the same for a seed and a number
wherever and however often it runs. ``benchmarks/fuzz.py`` is the command.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fuzz_memory
import fuzz_requests
import msgpack
import numpy as np
from fuzz_invariant import LIMITS, Frames, Violation, judge, refused, timed
from hostile import HEAD, pack

import nptransport as npt
from nptransport.codec.decoder import Decoder
from nptransport.protocol import copies
from nptransport.protocol.audience import Audience
from nptransport.protocol.ledger import Ledger
from nptransport.protocol.outlets import Route
from nptransport.protocol.relay import Relay
from nptransport.protocol.speakers import Speakers
from nptransport.protocol.tags import Kind, Mode, Position, Word, is_tagged, read_tag, self_tag, tag

HERE = Path(__file__).parent
FOUND = HERE / "fuzz_found"
BATCH = 2000
"""Inputs that are made from one another; each batch begins anew from the corpus."""


# Targets: each takes frames and gives a word for what came of it


def decode(frames: Frames) -> str:
    return judge(timed(lambda: npt.decode(frames, limits=LIMITS)), frames)


def decode_odd_buffers(frames: Frames) -> str:
    """Parts that are not aligned, may be written to, or are not bytes."""
    odd: list[Any] = []
    for index, frame in enumerate(frames):
        ways = (
            lambda frame=frame: bytearray(frame),
            lambda frame=frame: memoryview(b"\0" + frame)[1:],
            lambda frame=frame: np.frombuffer(frame, "u1"),
            lambda frame=frame: memoryview(bytes(2 * len(frame)))[::2],
            lambda frame=frame: memoryview(frame),
        )
        odd.append(ways[(len(frame) + index) % len(ways)]())
    result = timed(lambda: npt.decode(odd, limits=LIMITS))
    return judge(result, [])


def loads(frames: Frames) -> str:
    blob = b"".join(frames)
    return judge(timed(lambda: npt.loads(blob, limits=LIMITS)), [blob])


class Stream:
    """A receiver that has decoded others before: what it remembers of them changes nothing."""

    def __init__(self) -> None:
        self._decoder = Decoder(LIMITS)

    def __call__(self, frames: Frames) -> str:
        fresh = timed(lambda: npt.decode(frames, limits=LIMITS))
        known = timed(lambda: self._decoder.decode(frames))
        word, again = judge(fresh, frames), judge(known, frames)
        if word != again:
            raise Violation(f"{again!r} from a decoder that has seen others, {word!r} from a fresh one")
        return word


def word(frames: Frames) -> str:
    """What a publisher may say, and the tag in front of it."""
    head, document = [*frames, b"", b""][:2]
    hello = read_tag(head)
    if hello is not None and (not is_tagged(head) or len(hello.number) != 8):
        raise Violation(f"{hello} is no tag")
    result = timed(lambda: Word.unpack(document))
    if isinstance(result, npt.DecodeError):
        return refused(result)
    if not 0 <= result.interval <= 3600 or Word.unpack(result.pack()) != result:
        raise Violation(f"{result} is no word")
    return f"word of {min(len(result.positions), 3)}"


def copy(frames: Frames) -> str:
    """A message as a subscriber gets it: opened, it is what one would be without that wrapping."""
    first, *rest = frames or [b""]
    result = timed(lambda: copies.read(first, 0))
    if isinstance(result, npt.DecodeError):
        return judge(result, [])
    topic, metadata, buffer = result
    begun = copies.begin(metadata) if buffer is None else None
    if not first.startswith(topic) or (begun is not None and topic + begun != first):
        raise Violation(f"{result} is not what {first!r} holds")
    parts = rest if buffer is None else [buffer, *rest]
    return judge(timed(lambda: npt.decode([metadata, *parts], limits=LIMITS)), [metadata, *parts])


def ledger(frames: Frames) -> str:
    """Accounts add up, whatever words and sequence numbers come."""
    book, notes = Ledger(), Relay()
    for frame in frames:
        try:
            positions = Word.unpack(frame).positions
        except npt.DecodeError:
            numbers = np.frombuffer(frame[: len(frame) // 8 * 8], "<u8").tolist()
            positions = [Position(f"s{each % 7}", f"t{each % 3}", each % 2**63, each % 2**62) for each in numbers]
            for position in positions:
                stream = book.open(position.source, position.topic, position.following)
                if stream.note(position.following):
                    stream.waiting -= 1
                    fate = ("received", "skipped", "stale", "missed")[position.following % 4]
                    setattr(stream, fate, getattr(stream, fate) + 1)
        for source, topic, following, began in positions:
            book.open(source, topic, min(began, following)).stand(following)
            notes.line(topic.encode(errors="replace")).note(source, following, began)
    for stream in book.statistics().values():
        total = stream.received + stream.skipped + stream.stale + stream.missed
        if total != stream.sent or min(stream.received, stream.missed, stream.sent) < 0:
            raise Violation(f"{stream} does not add up")
    return f"{min(len(book.statistics()), 20)} streams"


def audience(frames: Frames) -> str:
    """Notices in any order, from some connections: nobody is counted below nothing, and routes lead to those there."""
    crowd, route, speakers = Audience(), Route(b"a"), Speakers()
    for index, frame in enumerate(frames):
        connection = (None, 3, 4, 5)[len(frame) % 4]
        reaction = timed(lambda frame=frame, connection=connection: crowd.hear(frame, connection))
        for wanted, prefix in reaction.subscribe:
            if type(wanted) is not bool or type(prefix) is not bytes:
                raise Violation(f"{reaction} cannot be done")
        if index % 3 == 0:
            crowd.settle()
        if index % 4:
            continue
        crowd.direct(route)
        if len(route.heads) != len(route.outlets) or crowd.count(None) < 0 or crowd.count(b"a") < 0:
            raise Violation(f"{len(route.outlets)} outlets, {crowd.count(None)} subscribers")
        if connection is not None:
            speakers.heard(connection, frame[0] / 100 if frame else 0.0, float(index))
            speakers.lives(3, float(index))
        speakers.silent(float(index) + len(frame))
        crowd.losses()
    if any(not outlet.connections for outlet in crowd.outlets.values()):
        raise Violation("somebody is there on no connection")
    return f"{min(len(crowd.outlets), 5)} outlets, {min(len(crowd.plain.prefixes), 5)} plain"


TARGETS: dict[str, Callable[[], Callable[[Frames], str]]] = {
    "decode": lambda: decode,
    "odd buffers": lambda: decode_odd_buffers,
    "loads": lambda: loads,
    "stream": Stream,
    "word": lambda: word,
    "copy": lambda: copy,
    "ledger": lambda: ledger,
    "audience": lambda: audience,
    **fuzz_memory.TARGETS,
    **fuzz_requests.TARGETS,
}


SHARES = {"decode": 5, "odd buffers": 2, "loads": 5, "stream": 3, "word": 2, "request word": 2}
"""How many of 26 inputs a target gets, where that is not one: state machines take many frames, and as many times as
long."""
for _target in TARGETS:
    SHARES.setdefault(_target, 1)


# Where inputs come from


def corpus() -> dict[str, list[Frames]]:
    """For each target the inputs to begin with: the vectors, and what is said between endpoints."""
    vectors = [json.loads(path.read_text("utf-8")) for path in sorted((HERE / "vectors").glob("*.json"))]
    messages = [[bytes.fromhex(frame) for frame in each["frames"]] for each in vectors if "frames" in each]
    blobs = [[bytes.fromhex(each["blob"])] for each in vectors if "blob" in each]
    for array in (np.zeros((3, 2)), np.array(["a", "bc"]), np.zeros(2, [("a", "i2"), ("b", "f8", (2,))])):
        messages.append([bytes(frame) for frame in npt.encode({"a": [array, 1.5, None], "b": (array.T, b"x" * 40)})])
        blobs.append([npt.dumps([array, "text"])])
    number, other = b"12345678", b"\xff" * 8
    positions = [Position("s", "a", 5, 0), Position("s", "\N{SNAKE}", 2**63, 7)]
    words = [Word("s", 0.5, []).pack(), Word("s", 0, positions).pack(), Word("x" * 64, 3600, positions * 20).pack()]
    tags = [
        self_tag(number, Mode.QUEUE, 1),
        self_tag(other, Mode.LATEST, 2),
        self_tag(number, Mode.RELAY, 0),
        *(tag(kind, each, rest) for kind in Kind for each in (number, other) for rest in (b"", b"a")),
    ]
    notices = [bytes([on]) + each for each in [*tags, b"", b"a", b"ab"] for on in (1, 0)]
    streams = [np.arange(start, start + 8, dtype="<u8").tobytes() for start in (0, 3, 2**62)]
    wrapped = [
        copies.parts_of(each, joined) for each in messages if each and each[0] > b"\x7f" for joined in (True, False)
    ]
    return {
        "decode": messages + blobs,
        "odd buffers": messages + blobs,
        "loads": blobs + messages,
        "stream": messages + blobs,
        "word": [[each, document] for each in tags for document in words],
        "copy": [[topic + part[0], *part[1:]] for topic in (b"", b"camera/left") for part in wrapped],
        "ledger": [words, streams, [*words, *streams]],
        "audience": [notices[start::5] for start in range(5)] + [notices[::-3], notices[:8] * 2],
        **fuzz_memory.corpus(),
        **fuzz_requests.corpus(),
    }


_TOKENS = [
    *(bytes([first]) for first in (0, 1, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, *range(0xC0, 0x100))),
    *(pack(value) for value in (2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**64 - 1, -1, -(2**63), 1.5, float("nan"))),
    *(msgpack.packb(text) for text in ("|O", "|V0", "<U1", "|S0", "<M8[as]", "T", "bfloat16", "int4", "C", "F", "npt")),
    *(msgpack.packb(text) for text in ("parts", "tree", "envelope", "fields", "itemsize", "aligned", "string", "word")),
    *(b"\xdd" + length.to_bytes(4, "big") for length in (0, 1, 2**16, 2**31, 2**32 - 1)),
    *(b"\xdf" + length.to_bytes(4, "big") for length in (1, 2**31)),
    *(b"\xc6" + length.to_bytes(4, "big") for length in (0, 2**32 - 1)),
    *(msgpack.packb(msgpack.ExtType(code, data)) for code in (1, 2, 3, 127) for data in (b"t", bytes(4), bytes(12))),
    HEAD,
    b"\x82" + HEAD,
    b"\x91" * 30,
    b"\xd6\xff" + bytes(4),  # a time, as msgpack has it
    b"\x89NPT\r\n\x1a\n",
    "\N{SNAKE}".encode(),
    b"\xed\xa0\x80",
]


def _damage(frame: bytes, other: bytes, draw: random.Random) -> bytes:
    data = bytearray(frame)
    at = draw.randrange(len(data) + 1)
    way = draw.randrange(8)
    if way == 0 and data:
        data[at - 1] ^= 1 << draw.randrange(8)
    elif way == 1 and data:
        data[at - 1] = draw.randrange(256)
    elif way == 2:
        del data[at:]
    elif way == 3:
        del data[at : at + draw.randrange(1, 9)]
    elif way == 4:
        data[at:at] = draw.choice(_TOKENS)
    elif way == 5:
        token = draw.choice(_TOKENS)
        data[at : at + len(token)] = token
    elif way == 6:
        data[at:at] = data[at : at + draw.randrange(1, 33)]
    else:
        data[at:] = other[draw.randrange(len(other) + 1) :]
    return bytes(data[: 2**16])


def mutated(frames: Frames, other: Frames, draw: random.Random) -> Frames:
    """``frames`` with a few things changed; some of them may come from ``other``."""
    frames = list(frames)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
        at = draw.randrange(len(frames) + 1)
        way = draw.randrange(16)
        if way == 0:
            del frames[at : at + 1]
        elif way == 1:
            frames[at:at] = [draw.choice(other) if other else b""]
        elif way == 2 and frames:
            frames[at:at] = [draw.choice(frames)]
        elif way == 3:
            draw.shuffle(frames)
        elif frames:
            at = draw.choice((0, min(at, len(frames) - 1)))  # most of what there is to get wrong stands in front
            frames[at] = _damage(frames[at], draw.choice(other) if other else b"", draw)
    return frames[:64]


def inputs(target: str, seed: int, batch: int, count: int, report: Callable[[Frames, Exception], None]) -> None:
    """Check ``count`` inputs of a batch, made from the corpus and from those that led to something new."""
    draw = random.Random(f"{target} {seed} {batch}")
    check = TARGETS[target]()
    pool = list(_CORPUS[target])
    seen: set[str] = set()
    for _ in range(count):
        frames = mutated(draw.choice(pool), draw.choice(pool), draw)
        try:
            outcome = check(frames)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is none of what may come out
            report(frames, error)
            continue
        if outcome not in seen and len(seen) < 1000:
            seen.add(outcome)
            pool.append(frames)


_CORPUS = corpus()


def found() -> Iterator[tuple[str, str, Frames]]:
    """Name, target and frames of the inputs that have been violations once."""
    for path in sorted(FOUND.glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        yield path.stem, document["target"], [bytes.fromhex(frame) for frame in document["frames"]]
