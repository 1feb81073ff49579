"""The errors of the library: one tree, each carrying its facts as attributes."""

from __future__ import annotations

from typing import Any

__all__ = [
    "AddressError",
    "AuthenticationError",
    "ConnectionClosed",
    "DecodeError",
    "EncodeError",
    "LimitExceeded",
    "MemoryLost",
    "MisuseError",
    "RemoteError",
    "Timeout",
    "TransportError",
]


class TransportError(Exception):
    """Base class of the errors that nptransport raises.

    Each keyword given at construction becomes an attribute, so that a program can act on the facts while a
    person reads the sentence.
    """

    def __init__(self, text: str, /, **facts: Any) -> None:
        super().__init__(text)
        self.__dict__.update(facts)  # what pickle restores, too: errors cross process pools whole


class EncodeError(TransportError):
    """The payload holds something that cannot travel. Raised before any byte leaves.

    Attributes:
        path: where it sits inside the payload, such as ``payload['frames'][2].label``.
        reason: what is wrong there and what to do about it.
    """

    path: str
    reason: str

    @classmethod
    def at(cls, path: str, reason: str) -> EncodeError:
        """The error for what sits at ``path``."""
        return cls(f"{path}: {reason}", path=path, reason=reason)


class DecodeError(TransportError):
    """The bytes are no message of this library, or a damaged one. An endpoint goes on working after it.

    Attributes:
        expected: what the format requires.
        found: what was there instead.
    """

    expected: str
    found: str

    @classmethod
    def of(cls, what: str, *, expected: str, found: str, hint: str = "") -> DecodeError:
        """The error for ``what``, a part of the format."""
        text = f"{what}: expected {expected}, found {found}"
        return cls(f"{text}; {hint}" if hint else text, expected=expected, found=found)


class MemoryLost(DecodeError):
    """What a message tells of in shared memory is not to be had: its sender has gone, or stands still, or has written
    over it."""


class LimitExceeded(DecodeError):
    """The message is larger, longer or deeper than :class:`~nptransport.Limits` accept.

    Attributes:
        limit: name of the field of ``Limits``.
        allowed: its value.
        found: what the message has or claims, as str.
    """

    limit: str
    allowed: int

    @classmethod
    def over(cls, limit: str, allowed: int, found: int | str) -> LimitExceeded:
        """The error for a ``limit`` of ``allowed`` that was exceeded."""
        return cls(
            f"{limit.removeprefix('max_').replace('_', ' ')}: {found} found, at most {allowed} accepted; "
            f"if that is meant, set Limits({limit}=...) on both sides",
            expected=f"at most {allowed}",
            found=str(found),
            limit=limit,
            allowed=allowed,
        )


class Timeout(TransportError, TimeoutError):
    """Nothing came, or nothing could be sent, within the given time.

    Attributes:
        seconds: the time that it waited.
    """

    seconds: float


class AddressError(TransportError):
    """An address that cannot be used: malformed, taken, unknown, or of a kind this system lacks.

    Attributes:
        address: the address as it was given.
    """

    address: str


class ConnectionClosed(TransportError):
    """The endpoint has been closed.

    Attributes:
        endpoint: what it was, with its addresses.
    """

    endpoint: str


class MisuseError(TransportError):
    """An endpoint was used where it cannot work: in a forked child, or by two threads at the same time.

    Attributes:
        expected: the process or thread that may use it.
        found: the one that did.
    """

    expected: str
    found: str


class RemoteError(TransportError):
    """A handler raised on the other side, or the call could not be handled there.

    Attributes:
        method: what was called.
        type: name of the remote exception; UnknownMethod, WrongArguments, DecodeError (of the arguments), EncodeError
            (of the result), ConnectionClosed or WorkersLost if the handler raised none.
        text: the message of the remote exception.
        traceback: its formatted traceback; "" if there is none.
        methods: if the method or the arguments were wrong, the methods that there are: signatures by name.
    """

    method: str
    type: str
    text: str
    traceback: str
    methods: dict[str, str]


class AuthenticationError(TransportError):
    """The other side refuses us, or is not who it has to be; or the keys given cannot be used.

    Attributes, if known:
        address: the one that refused us.
        reason: why.
        path: the file that cannot be used.
    """

    address: str
    reason: str
    path: str
