"""What ``send`` says and ``recv`` understands: dicts, so that any Consumer can read along.

A sender says, each word one message::

    begin                                how many files, how many bytes
      array                              a file, or a member of an .npz: dtype, whole shape, memory order
        frame  frame  frame ...          its elements, in the order in which they lie in the file
      end                                how many frames that were, and the digest
      (array ... end, for each member)
    close                                the file is whole     (or: failed, and why)
    finish                               all files are through

A frame of a user's own interest is ``payload["array"]`` where ``payload["word"] == "frame"``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Array", "Begin", "Close", "End", "Failed", "Finish", "Frame", "NotAWord", "Word", "read_word"]

VERSION = 1
_MOST_DIMENSIONS = 64


class NotAWord(Exception):
    """A payload that no ``send`` of this version says, or not here; the text says what it is instead."""


class Begin(NamedTuple):
    files: int
    nbytes: int | None
    """Of all files together, or about that; None where no file tells."""

    def payload(self) -> dict[str, Any]:
        return {"word": "begin", "version": VERSION, "files": self.files, "bytes": self.nbytes}


class Array(NamedTuple):
    file: str
    member: str
    """Within an .npz; "" in an .npy."""
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    """Of the whole array; the first length is None where only the end will tell, as of a video."""
    order: str
    """"C" or "F": the order in which its elements come."""

    def payload(self) -> dict[str, Any]:
        # A dtype travels as that of an array, which the codec checks.
        like = np.empty(0, self.dtype)
        names = {"file": self.file, "member": self.member}
        return {"word": "array", **names, "like": like, "shape": self.shape, "order": self.order}


class Frame(NamedTuple):
    file: str
    frame: int
    """0 for the array's first, then one more each."""
    frames: int | None
    array: np.ndarray[Any, Any]

    def payload(self) -> dict[str, Any]:
        return {"word": "frame", "file": self.file, "frame": self.frame, "frames": self.frames, "array": self.array}


class End(NamedTuple):
    file: str
    frames: int
    digest: str | None

    def payload(self) -> dict[str, Any]:
        return {"word": "end", "file": self.file, "frames": self.frames, "digest": self.digest}


class Close(NamedTuple):
    file: str

    def payload(self) -> dict[str, Any]:
        return {"word": "close", "file": self.file}


class Failed(NamedTuple):
    file: str
    reason: str

    def payload(self) -> dict[str, Any]:
        return {"word": "failed", "file": self.file, "reason": self.reason}


class Finish(NamedTuple):
    stopped: bool
    """Whether somebody ended it before all files were through."""

    def payload(self) -> dict[str, Any]:
        return {"word": "finish", "stopped": self.stopped}


Word = Begin | Array | Frame | End | Close | Failed | Finish


def read_word(payload: Any) -> Word:
    """The word that ``payload`` is, the type of every field checked; NotAWord if it is none."""
    if not isinstance(payload, dict) or not isinstance(payload.get("word"), str):
        raise NotAWord(f"{_describe(payload)}, which is nothing that `nptransport send` says")
    fields = _Fields(payload)
    word = payload["word"]
    if word == "begin":
        if payload.get("version") != VERSION:
            raise NotAWord("a sender of another version; use one release of nptransport on both sides")
        return Begin(fields.count("files"), fields.count_or_none("bytes"))
    if word == "finish":
        return Finish(payload.get("stopped") is True)
    file = fields.text("file")
    if word == "array":
        return Array(file, fields.text("member"), fields.array("like").dtype, fields.shape(), fields.order())
    if word == "frame":
        return Frame(file, fields.count("frame"), fields.count_or_none("frames"), fields.array("array"))
    if word == "end":
        return End(file, fields.count("frames"), fields.text("digest") if payload.get("digest") is not None else None)
    if word == "close":
        return Close(file)
    if word == "failed":
        return Failed(file, fields.text("reason"))
    raise NotAWord(f"the word {word[:20]!a}, which this version does not know")


class _Fields:
    """The fields of one word, each of the type that it has to be."""

    def __init__(self, payload: dict[Any, Any]) -> None:
        self._payload = payload

    def text(self, name: str) -> str:
        value = self._payload.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def count(self, name: str) -> int:
        value = self._payload.get(name)
        if type(value) is not int or value < 0:
            raise self._wrong(name, "a count")
        return value

    def count_or_none(self, name: str) -> int | None:
        return None if self._payload.get(name) is None else self.count(name)

    def array(self, name: str) -> np.ndarray[Any, Any]:
        value = self._payload.get(name)
        if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
            raise self._wrong(name, "an array")
        return value

    def shape(self) -> tuple[int | None, ...]:
        shape = self._payload.get("shape")
        if not isinstance(shape, tuple) or len(shape) > _MOST_DIMENSIONS:
            raise self._wrong("shape", "a tuple of lengths")
        for axis, length in enumerate(shape):
            if not (axis == 0 and length is None) and (type(length) is not int or length < 0):
                raise self._wrong("shape", "a tuple of lengths")
        return shape

    def order(self) -> str:
        order = self.text("order")
        if order not in ("C", "F") or (order == "F" and None in self.shape()):
            raise self._wrong("order", "C or F")
        return order

    def _wrong(self, name: str, expected: str) -> NotAWord:
        found = _describe(self._payload.get(name))
        return NotAWord(f"{self._payload['word'][:20]!a}: {name} has to be {expected}, found {found}")


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype} {list(value.shape)}"
    return f"a {type(value).__name__}"
