"""Words → files, for any number of senders at a time; knows no socket."""

from __future__ import annotations

import nptransport as npt

from ..plain import plain
from ..report import Outcome, Report
from .incoming import BadStream, Differs, Incoming
from .names import BadName
from .words import Array, Begin, Close, End, Failed, Finish, Frame, NotAWord, read_word

__all__ = ["Receiving"]

_SENDERS = 1000  # at a time: each holds a file open
_SHOWN = 3  # messages that are no words are described so many times, then only counted


class Receiving:
    """Everything that ``recv`` has been told so far.

    Args:
        folder: where files go. Nothing is ever written outside of it.
        verify: a file whose sender gave no digest is not wanted. One that has a digest is compared in any case.
    """

    def __init__(self, folder: str, report: Report, *, overwrite: bool, verify: bool) -> None:
        self._folder = folder
        self._report = report
        self._overwrite = overwrite
        self._verify = verify
        self._senders: dict[str, _Sender] = {}
        self.begun = 0
        """Senders that have said their first word."""
        self.stopped = 0
        """Senders that ended before they were through."""
        self.refused = 0
        """Messages that could be decoded but made no sense."""
        self.malformed = 0
        """Messages that could not even be decoded."""

    @property
    def active(self) -> int:
        """Senders that have begun and not said their last word."""
        return len(self._senders)

    @property
    def is_amid(self) -> bool:
        """Whether a file has begun that is not whole yet."""
        return any(sender.is_amid for sender in self._senders.values())

    def message(self, message: npt.Message) -> None:
        """Do what the message says. Whatever is wrong with it, or with the disk, goes to the report."""
        source = message.source
        try:
            if source is None:
                raise NotAWord("a message that no Producer sent")
            word = read_word(message.payload)
            if isinstance(word, Begin):
                self._begin(source, word)
            elif source not in self._senders:
                raise NotAWord("words of a sender whose beginning was not seen; is there only one receiver?")
            elif isinstance(word, Finish):
                self._finish(source, word)
            else:
                self._senders[source].hear(word)
        except NotAWord as error:
            self.refused += 1
            self._tell(str(error), self.refused)

    def undecodable(self, error: npt.DecodeError) -> None:
        """Something came that is no message."""
        self.malformed += 1
        self._tell(str(error), self.malformed)

    def drop_all(self, reason: str) -> None:
        """Nothing more comes of what has begun. Without a ``reason`` nobody minds."""
        for sender in self._senders.values():
            self._drop(sender, reason)
        self.stopped += len(self._senders)
        self._senders.clear()

    def _begin(self, source: str, begin: Begin) -> None:
        if source in self._senders or len(self._senders) >= _SENDERS:
            raise NotAWord("a second beginning" if source in self._senders else f"more than {_SENDERS} senders")
        self.begun += 1
        self._senders[source] = _Sender(self._folder, self._report, self._overwrite, self._verify)
        self._report.expect(begin.files, begin.nbytes)

    def _finish(self, source: str, finish: Finish) -> None:
        sender = self._senders.pop(source)
        if finish.stopped:
            self._drop(sender, "its sender was stopped")
            self.stopped += 1
        else:
            sender.drop("its sender ended before it was whole")

    def _drop(self, sender: _Sender, reason: str) -> None:
        if reason and not sender.is_amid:
            self._report.note(f"not all files of a sender came: {reason}")
        sender.drop(reason)

    def _tell(self, text: str, count: int) -> None:
        if count <= _SHOWN:
            self._report.note(f"skipped a message: {plain(text)}")
        if count == _SHOWN:
            self._report.note("more of that kind are only counted")


class _Sender:
    """What one sender is in the middle of: one file at a time, as it says them."""

    def __init__(self, folder: str, report: Report, overwrite: bool, verify: bool) -> None:
        self._folder = folder
        self._report = report
        self._overwrite = overwrite
        self._verify = verify
        self._incoming: Incoming | None = None
        self._outcome = Outcome("", "")
        self._given_up: str | None = None  # name of the file of which no more is wanted

    def hear(self, word: Array | Frame | End | Close | Failed) -> None:
        """Go on with its file; NotAWord if that has not begun."""
        if word.file == self._given_up:
            if isinstance(word, (Close, Failed)):
                self._given_up = None
            return
        try:
            if isinstance(word, Failed):
                raise BadStream(f"its sender gave it up: {plain(word.reason)}")
            if isinstance(word, Array):
                self._open(word).begin(word)
            else:
                self._go_on(word)
        except (BadStream, BadName, OSError) as error:
            self._fail(word.file, error)
            self._given_up = None if isinstance(word, (Close, Failed)) else word.file

    @property
    def is_amid(self) -> bool:
        return self._incoming is not None

    def drop(self, reason: str) -> None:
        """Nothing more comes from it."""
        if self._incoming is not None and reason:
            self._fail(self._incoming.name, BadStream(reason))
        elif self._incoming is not None:
            self._incoming.discard()

    def _open(self, word: Array) -> Incoming:
        if self._incoming is not None and self._incoming.name != word.file:
            self.drop("another file began before it was whole")
        if self._incoming is None:
            self._outcome = Outcome(word.file, "failed")
            self._incoming = Incoming(self._folder, word.file, overwrite=self._overwrite)
        return self._incoming

    def _go_on(self, word: Frame | End | Close) -> None:
        incoming = self._incoming
        if incoming is None or incoming.name != word.file:
            raise NotAWord(f"words of the file {word.file[:40]!a}, which had not begun")
        if isinstance(word, Frame):
            incoming.write(word)
            self._outcome.frames, self._outcome.nbytes = incoming.frames, incoming.nbytes
            self._report.moved(incoming.name, word.frame + 1, word.frames, word.array.nbytes)
        elif isinstance(word, End):
            incoming.end(word)
        else:
            verified = incoming.finish(demand=self._verify)
            self._incoming = None
            self._outcome.arrays = incoming.arrays
            self._outcome.status, self._outcome.path = "verified" if verified else "written", incoming.path
            self._report.done(self._outcome)

    def _fail(self, file: str, error: Exception) -> None:
        outcome = self._outcome if self._outcome.file == file else Outcome(file, "failed")
        outcome.file, outcome.status = plain(file), "differs" if isinstance(error, Differs) else "failed"
        where = f"{self._folder}: {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        outcome.reason = where or str(error)
        if self._incoming is not None:
            self._incoming.discard()
            self._incoming = None
        self._report.done(outcome)
