"""Fuzzed: the words of clients, servers, brokers and workers, and the books that are kept of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from fuzz_invariant import Frames, Violation, refused, timed

import nptransport as npt
from nptransport.protocol.calls import Call, Calls
from nptransport.protocol.desk import Desk, Task
from nptransport.protocol.jobs import Jobs
from nptransport.protocol.parcels import Parcel
from nptransport.protocol.records import Out
from nptransport.protocol.words import Reader, Word, Writer

PEERS = (b"a", b"b", b"c")
NUMBERS = 6
MOST_FRAMES = 16
_reader = Reader()
_PLAIN = ("busy", "room", "who", "here")


class RequestWord:
    """A reader that has read other words before says the same as a fresh one; what it says can be written again."""

    def __init__(self) -> None:
        self._reader = Reader()

    def __call__(self, frames: Frames) -> str:
        head = frames[0] if frames else b""
        fresh, known = timed(lambda: Reader().read(head)), timed(lambda: self._reader.read(head))
        if isinstance(fresh, npt.DecodeError):
            if str(known) != str(fresh):
                raise Violation(f"{known} from a reader that has read others, {fresh} from a fresh one")
            return refused(fresh)
        if known != fresh:
            raise Violation(f"{known} from a reader that has read others, {fresh} from a fresh one")
        writer = Writer()
        for again in (writer.about(fresh.number, fresh.kind, *fresh.fields), writer.word(fresh.kind, *fresh.fields)):
            read = timed(lambda again=again: Reader().read(again))
            if read == fresh:
                return fresh.kind
        raise Violation(f"{fresh} cannot be written")


def _read(frame: bytes) -> Word | None:
    try:
        return _reader.read(frame)
    except npt.DecodeError:
        return None


def jobs(frames: Frames) -> str:
    """A broker's books: whatever is said by whom, each task ends once, and each count is what it is called."""
    book = Jobs("broker", 1.0, max_messages=4, max_bytes=1000, now=0.0)
    asked: Counter[tuple[bytes, int]] = Counter()
    answered: Counter[tuple[bytes, int]] = Counter()
    now = 0.0
    for index, frame in enumerate(frames[:MOST_FRAMES]):
        peer, worker = PEERS[len(frame) % 3], index % 2 == 1
        now += (0.1, 0.5, 4.0)[index % 3]
        before = book.begun
        word = _read(frame)
        if word is None:
            (book.worker_gone if worker else book.client_gone)(peer)
        elif word.kind in ("call", "cancel", "alive"):
            book.client_says(peer, word, [frame], len(frame), now)
            if book.begun > before:
                asked[peer, word.number] += 1
        elif word.kind == "ready":
            book.worker_ready(peer, word, {"m": "m(x)", "": ""}, now)
        elif word.kind in ("beat", "done", "failed", "returned", "leaving", "goodbye"):
            book.worker_says(peer, word, [frame], now)
        if index % 4 == 3:
            book.tick(now)
        while book.out:
            _send(book.out.popleft(), answered)
    told = book.statistics(0, 0)
    ended = told.results + told.errors + told.cancelled + told.abandoned
    if told.tasks != ended + told.waiting + told.running or min(told.waiting, told.running, told.nbytes) < 0:
        raise Violation(f"{told} does not add up")
    if any(state.busy > state.slots for state in told.workers.values()):
        raise Violation(f"{told}: more than a worker has slots for")
    if any(answered[key] > count for key, count in asked.items()) or answered.keys() - asked.keys():
        raise Violation(f"{answered} for {asked}")
    for each in PEERS:
        book.client_gone(each)
    if len(book) or book.statistics(0, 0).nbytes:
        raise Violation(f"{len(book)} tasks of nobody")
    return f"{book.results} {book.errors} {min(book.redelivered, 3)} {min(book.late, 3)}"


def _send(out: Out, answered: Counter[tuple[bytes, int]]) -> None:
    """What a broker says is a word."""
    word = _reader.read(out.head)
    if not out.to_worker and word.kind in ("result", "error"):
        answered[out.peer, word.number] += 1


def calls(frames: Frames) -> str:
    """A client's books: whatever comes, each call ends once, or is outstanding, and each count is what it is called."""
    book, ends = Calls(), Counter[int]()
    now = 0.0
    for number in range(NUMBERS):
        timeout = (None, 1.0, 60.0)[number % 3]
        parcel = Parcel([b"x"], [b"x"], 1)
        book.begin(Call("m", 1, parcel, timeout, now, lambda call: ends.update([call.number])))
    for index, frame in enumerate(frames[:MOST_FRAMES]):
        now += 0.3
        message = book.next_message(now)
        if message is not None:
            _reader.read(message[1][0])
            book.sent(message[0])
        word = _read(frame)
        if word is None:
            book.send_again(now)
        elif word.kind in ("result", "error"):
            call = book.answered(word, now)
            if call is not None:
                call.end()
        elif word.kind in _PLAIN:
            book.hear(word, now)
        for call in book.expired(now):
            call.end()
        if index % 3 == 0:
            book.beat(now)
        if index % 7 == 6:
            book.cancel(index % NUMBERS + 1)
        if book.due(now, 1.0) < 0 or book.nbytes != len(book.outstanding) or book.background != book.nbytes:
            raise Violation(f"{book.nbytes} bytes of {len(book.outstanding)} calls, {book.background} unattended")
        if sum(ends.values()) + book.cancelled + len(book.outstanding) != book.begun:
            raise Violation(f"{ends}, {book.cancelled} given up, {len(book.outstanding)} outstanding of {book.begun}")
    if any(count > 1 for count in ends.values()) or ends.keys() & book.outstanding.keys():
        raise Violation(f"{ends} ended, {list(book.outstanding)} outstanding")
    return f"{len(ends)} ended, {min(book.late, 3)} late, {min(book.resent, 3)} resent"


def desk(frames: Frames) -> str:
    """A server's desk: each call is begun once at a time, and the bytes are those of the calls that wait."""
    book, waiting = Desk(), dict[tuple[bytes, int], int]()
    begun: dict[tuple[bytes, int], Task] = {}
    for index, frame in enumerate(frames[:MOST_FRAMES]):
        word, peer = _read(frame), PEERS[len(frame) % 3]
        if word is not None and word.kind in ("call", "task"):
            client, attempt, method, form = (peer, 1, *word.fields[:2]) if word.kind == "call" else word.fields
            task = Task(peer, client, word.number, attempt, method, form, b"", len(frame))
            if book.add(task):
                if task.key in waiting or task.key in begun:
                    raise Violation(f"{task.key} is there twice")
                waiting[task.key] = len(frame)
        elif word is not None and word.kind in ("cancel", "drop"):
            key = word.fields[0] if word.fields else peer, word.number
            if (book.cancel(key) is not None) != (waiting.pop(key, None) is not None):
                raise Violation(f"{key} was not there, or is")
        elif index % 2 and (task := book.next()) is not None:
            del waiting[task.key]
            begun[task.key] = task
        elif begun:
            book.done(begun.pop(next(iter(begun))))
        if (book.waiting, book.begun, book.nbytes) != (len(waiting), len(begun), sum(waiting.values())):
            raise Violation(f"{book.waiting} wait, {book.begun} are begun, {book.nbytes} bytes")
    return f"{len(waiting)} {len(begun)} {min(book.repeated, 3)} {min(book.cancelled, 3)}"


TARGETS: dict[str, Callable[[], Callable[[Frames], str]]] = {
    "request word": RequestWord,
    "jobs": lambda: jobs,
    "calls": lambda: calls,
    "desk": lambda: desk,
}


def corpus() -> dict[str, list[Frames]]:
    """What well-behaved peers say."""
    writer = Writer()
    numbers = range(1, NUMBERS + 1)
    asked = [writer.about(number, "call", "m", 1, 1) for number in numbers] + [writer.about(1, "call", "n" * 80, 0, 7)]
    given = [
        writer.about(number, kind, peer, attempt)
        for kind in ("done", "failed", "returned", "drop")
        for peer, number, attempt in ((b"a", 1, 1), (b"b", 2, 1), (b"c", 3, 2))
    ]
    tasks = [writer.about(number, "task", b"a", 1, "m", 1) for number in numbers]
    ready = writer.word("ready", "worker", 2, 0.5)
    plain = [writer.word(kind) for kind in ("room", "who", "beat", "leaving", "goodbye")]
    plain += [writer.word("here", "broker", 0.5), writer.word("alive", 1.5), ready]
    answers = [writer.about(number, kind) for number in numbers for kind in ("result", "error", "busy")]
    cancels = [writer.about(number, "cancel") for number in (1, 2, 2**64 - 1)]
    served = [word for pair in zip(asked * 2, [ready, *given, b""], strict=False) for word in pair]
    return {
        "request word": [[word] for word in asked + given + tasks + plain + answers + cancels],
        "jobs": [served, [*served, *served], [ready, *asked, *given, *cancels], [*plain, *asked]],
        "calls": [answers, [plain[5], *answers[::2], *plain], [*plain, *answers[::-1]], answers * 2],
        "desk": [asked, [*tasks, *cancels, *tasks], [*asked, b"", b"", *cancels, b"", *asked, *given]],
    }
