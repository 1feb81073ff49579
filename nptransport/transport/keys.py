"""CURVE keys: their text, the files that hold them, and the list of those that may come in as it stands now."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import time
from collections.abc import Collection, Iterable

from ..errors import AuthenticationError

__all__ = ["AllowedKeys", "Source", "is_key", "may_be_key", "read_public", "read_secret", "refuse_shared", "write_pair"]

Source = str | bytes | os.PathLike[str]
"""A key as text (or in ASCII, as pyzmq gives it), or a file."""

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LETTERS = 40
_LETTERS_OF = frozenset(_ALPHABET)
_TYPOS = 6
_ENDINGS = (".secret", ".public")
_SECRET = "secret-key"  # what a secret stands behind in its file, so that nobody takes it for a public one
_MOST = 2**20  # bytes of a key file: 20,000 keys
_FRESH = 2.0  # seconds within which a file may change again without its times showing it


def is_key(text: str) -> bool:
    """Whether ``text`` is 32 bytes in Z85, as keys are written."""
    if len(text) != _LETTERS or any(letter not in _VALUES for letter in text):
        return False
    groups = (text[start : start + 5] for start in range(0, _LETTERS, 5))
    return all(sum(_VALUES[letter] * 85 ** (4 - at) for at, letter in enumerate(group)) < 2**32 for group in groups)


def may_be_key(text: str) -> bool:
    """Whether there is a key in ``text``, however mistyped: no message may quote it, since it may be a secret."""
    words = (word.strip("\"'") for word in text.split())
    return any(
        abs(len(word) - _LETTERS) <= _TYPOS and _LETTERS_OF.issuperset(word) and not word.endswith(_ENDINGS)
        for word in words
    )


# Secrets: no error here may quote what was given, which can be a secret with a letter too many


def read_secret(source: Source) -> str:
    """The secret key that ``source`` is or holds; AuthenticationError if it is none, or others can read the file."""
    source = _as_text(source)
    if isinstance(source, str) and not os.path.exists(source):
        if is_key(source):
            return source
        raise AuthenticationError(
            f"secret: expected a file that `nptransport keygen` made, or a key of {_LETTERS} letters; found a str of "
            f"{len(source)} letters that is neither" + (f": {source}" if source.endswith(".secret") else "")
        )
    path = _path_of(source, "secret")
    if _public_keys(path)[0]:
        raise AuthenticationError(f"{path}: is a public key; give the .secret file of the pair", path=path)
    text = _read(path, private=True)
    match = re.search(rf"^{_SECRET}\s+(\S+)\s*$", text, re.MULTILINE)
    if match is None or not is_key(match[1]):
        raise AuthenticationError(f"{path}: holds no secret key; make one with `nptransport keygen NAME`", path=path)
    return match[1]


def write_pair(name: str, public: str, secret: str) -> tuple[str, str]:
    """Write NAME.secret, for its owner only, and NAME.public; their paths. AuthenticationError if either is there."""
    paths = f"{name}.public", f"{name}.secret"
    made: list[str] = []
    for path in paths:
        if os.path.lexists(path):
            raise AuthenticationError(f"{path}: is there already; choose another name, or remove it first", path=path)
    for path, mode, text in (
        (paths[1], 0o600, f"# Whoever has this is {os.path.basename(name)}: it stays here.\n{_SECRET} {secret}\n"),
        (paths[0], 0o644, f"# The public key of {os.path.basename(name)}: for those whom it talks to.\n{public}\n"),
    ):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(path)
            with os.fdopen(descriptor, "w", encoding="ascii", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            for each in made:  # half a pair is none, and would be in the way of the next attempt
                os.unlink(each)
            raise AuthenticationError(f"{path}: {error.strerror}", path=path) from None
    return paths


# Public keys


def read_public(source: Source, what: str) -> str:
    """The one public key that ``source`` is or holds."""
    source = _as_text(source)
    if isinstance(source, str) and not os.path.exists(source):
        if not is_key(source):
            raise AuthenticationError(
                f"{what}: expected a public key of {_LETTERS} letters (Z85) or a file with one, found {_shown(source)}"
            )
        return source
    path = _path_of(source, what)
    keys, problems = _public_keys(path)
    if len(keys) != 1 or problems:
        raise AuthenticationError(
            f"{path}: expected one public key, found {len(keys)}" + "".join(f"; {problem}" for problem in problems),
            path=path,
        )
    return keys.pop()


class AllowedKeys:
    """The public keys that may come in, read anew at each question: what is added or removed counts from then on.

    Args:
        given: keys, files of keys (one a line), folders of such files; one, or a collection, which is looked at each
            time, not copied.
    """

    def __init__(self, given: Source | Iterable[Source]) -> None:
        listed: Iterable[Source] = [given] if isinstance(given, (str, bytes, os.PathLike)) else given
        self._given = listed if isinstance(listed, Collection) else list(listed)
        self._files: dict[str, tuple[tuple[int, ...], frozenset[str], list[str]]] = {}
        _, problems = self.now()
        if problems:
            raise AuthenticationError(f"allowed: {'; '.join(problems)}")

    def now(self) -> tuple[set[str], list[str]]:
        """The keys at this moment, and what could not be read: nobody comes in by that."""
        keys: set[str] = set()
        problems: list[str] = []
        for source in map(_as_text, list(self._given)):
            if isinstance(source, str) and is_key(source) and not os.path.exists(source):
                keys.add(source)
                continue
            if isinstance(source, str) and may_be_key(source) and not os.path.exists(source):
                problems.append(f"expected a public key of {_LETTERS} letters (Z85) or files, found {_shown(source)}")
                continue
            try:
                for path in _files_of(_path_of(source, "allowed")):
                    more, wrong = self._keys_in(path)
                    keys |= more
                    problems += wrong
            except AuthenticationError as error:
                problems.append(str(error))
        return keys, problems

    def _keys_in(self, path: str) -> tuple[frozenset[str], list[str]]:
        try:
            state = os.stat(path)
        except OSError as error:
            return frozenset(), [f"{path}: {error.strerror}"]
        stamp = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        known = self._files.get(path)
        if known is None or known[0] != stamp:
            keys, problems = _public_keys(path)
            known = stamp, frozenset(keys), problems
            if time.time() - max(state.st_mtime, state.st_ctime) > _FRESH:
                self._files[path] = known
            else:
                self._files.pop(path, None)
        return known[1], known[2]


def _files_of(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    try:
        with os.scandir(path) as entries:
            return sorted(entry.path for entry in entries if not entry.name.startswith(".") and entry.is_file())
    except OSError as error:
        raise AuthenticationError(f"{path}: {error.strerror}", path=path) from None


def _public_keys(path: str) -> tuple[set[str], list[str]]:
    """Keys in a file: one a line, with whatever name behind it; and what is wrong with it."""
    try:
        text = _read(path, private=False)
    except AuthenticationError as error:
        return set(), [str(error)]
    keys, problems = set(), []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.split(maxsplit=1)[0] if line.strip() else "#"
        if word == _SECRET:
            return set(), [f"{path}: is a secret key; give the .public file beside it, and leave that one where it is"]
        if is_key(word):
            keys.add(word)
        elif not word.startswith("#"):
            problems.append(f"{path}, line {number}: no public key of {_LETTERS} letters")
    return keys, problems


def _shown(text: str) -> str:
    return f"a text of {len(text)} letters" if may_be_key(text) else repr(text[:80])


def _as_text(source: Source) -> str | os.PathLike[str]:
    return source.decode("ascii", "replace") if isinstance(source, bytes) else source


# Files


def refuse_shared(path: str, mode: int) -> None:
    """AuthenticationError if the ``mode`` of a file with a secret in it lets others read or change it."""
    if sys.platform != "win32" and stat.S_IMODE(mode) & 0o077:
        raise AuthenticationError(
            f"{path}: others on this machine can read it (mode {stat.S_IMODE(mode):03o}); "
            f"chmod 600 {path}, and make another if somebody may have",
            path=path,
        )


def _path_of(source: object, what: str) -> str:
    try:
        path = os.fspath(source)  # type: ignore[call-overload]
    except TypeError:
        path = None
    if not isinstance(path, str) or "\0" in path:
        raise AuthenticationError(
            f"{what}: expected a key as str, or the path of a file, found {type(source).__name__}"
        )
    return path


def _read(path: str, *, private: bool) -> str:
    try:
        with open(path, "rb") as file:
            if private:
                refuse_shared(path, os.fstat(file.fileno()).st_mode)
            content = file.read(_MOST + 1)
    except OSError as error:
        raise AuthenticationError(f"{path}: {error.strerror}", path=path) from None
    if len(content) > _MOST:
        raise AuthenticationError(f"{path}: expected keys, found a file of more than {_MOST} bytes", path=path)
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode()
    raise AuthenticationError(f"{path}: expected keys, found no text", path=path)
