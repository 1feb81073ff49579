"""Curve: who may talk to an endpoint, said in one line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zmq

from ..errors import AuthenticationError
from .keys import AllowedKeys, Source, is_key, may_be_key, read_public, read_secret, refuse_shared, write_pair

__all__ = ["OVERHEAD", "Curve", "check_security"]

OVERHEAD = 33
"""Bytes that encryption adds to each part."""

_NEEDS = "expected security=npt.Curve.server(...) or npt.Curve.client(...)"


class _Hidden:
    """A text that shows in no repr, log or traceback."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return "<hidden>"


class Curve:
    """Encryption and mutual authentication of an endpoint's connections (ZeroMQ's CURVE), as its ``security=``.

    One side of each connection is the server: it has a key that all others know, and a list of whom it lets in. The
    other is a client. That does not depend on who binds: usually the side that binds is the server, since it is the one
    that many connect to; a subscriber that binds for many publishers is the server, too. Within a process
    (``inproc://``) there is nobody to keep out, and nothing is checked.

    Use :meth:`server`, :meth:`client`, or :meth:`load` for a file. Several endpoints may share one.
    """

    def __init__(
        self,
        *,
        secret: Source | None = None,
        server: Source | None = None,
        allowed: Source | Iterable[Source] | None = None,
        allow_any: bool = False,
    ) -> None:
        if not zmq.has("curve"):
            raise AuthenticationError(
                f"this libzmq {zmq.zmq_version()} was built without CURVE; pyzmq's own wheels have it: "
                "pip install --force-reinstall --only-binary :all: pyzmq"
            )
        self._server: str | None = None
        self._allowed: AllowedKeys | None = None
        if server is not None:
            if allowed is not None or allow_any:
                raise AuthenticationError("a client (server=...) chooses its server; allowed= is for the server's side")
            self._server = read_public(server, "server")
        elif allow_any:
            if allowed is not None:
                raise AuthenticationError("allowed=... and allow_any=True: give one of them")
        elif allowed is None:
            raise AuthenticationError(
                "a server without a list of allowed keys would let anybody in: give allowed=[...], a file or a folder "
                "of public keys; or allow_any=True if that is meant"
            )
        else:
            self._allowed = AllowedKeys(allowed)
        if secret is None:
            if server is None:
                raise AuthenticationError("a server needs its secret key: secret='NAME.secret'")
            text = zmq.curve_keypair()[1].decode()
        else:
            text = read_secret(secret)
        self._secret = _Hidden(text)
        try:
            self.public = zmq.curve_public(text.encode()).decode()
            """Our public key, for the other side."""
        except zmq.ZMQError:
            raise AuthenticationError("secret: libzmq takes it for no key") from None

    @classmethod
    def server(
        cls, *, secret: Source, allowed: Source | Iterable[Source] | None = None, allow_any: bool = False
    ) -> Curve:
        """The side that has a list of whom to let in.

        Args:
            secret: its secret key: the file that ``nptransport keygen`` made, or the key as str.
            allowed: public keys of clients: str, files with one key on each line, or folders of such files; one or
                several. They are read for each new connection, so what is added to or removed from the files, or a
                list or set given here, takes effect at once. Existing connections stay.
            allow_any: let in everybody who knows the public key of this server, with any key.

        Raises:
            AuthenticationError: neither ``allowed`` nor ``allow_any`` is given; others can read a file; it has no key.
        """
        return cls(secret=secret, allowed=allowed, allow_any=allow_any)

    @classmethod
    def client(cls, *, server: Source, secret: Source | None = None) -> Curve:
        """The side that knows its server's key.

        Args:
            server: the server's public key, or the file with it: whoever else answers there is refused.
            secret: its own secret key: a file, or the key as str. Without one a key is generated, which only servers
                with ``allow_any`` let in.

        Raises:
            AuthenticationError: a file can be read by others, or has no key.
        """
        return cls(secret=secret, server=server)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Curve:
        """The Curve that a file describes, as for ``--security FILE``::

            [server]                       or    [client]
            secret = camera.secret               secret = viewer.secret
            allowed = viewers/                   server = camera.public

        Paths are relative to its folder. ``allowed`` may take several lines; ``allow_any = yes`` replaces it.

        Raises:
            AuthenticationError: the file has another content; and as :meth:`server` and :meth:`client`.
        """
        return _load(cls, os.fspath(path))

    @staticmethod
    def generate(name: str | os.PathLike[str]) -> tuple[str, str]:
        """Make a pair of keys: the file NAME.public, to be given away, and NAME.secret, which only its owner can read.

        Returns:
            Their paths.

        Raises:
            AuthenticationError: one of them exists already, or cannot be written.
        """
        public, secret = (key.decode() for key in zmq.curve_keypair())
        return write_pair(os.fspath(name), public, secret)

    @property
    def is_server(self) -> bool:
        """Whether this is the side with the list."""
        return self._server is None

    def judge(self, key: str) -> tuple[bool, list[str]]:
        """Whether a client with the public ``key`` may come in at this moment; and what of the list is unreadable."""
        if self._allowed is None:
            return self.is_server, []
        keys, problems = self._allowed.now()
        return key in keys, problems

    def secure(self, socket: zmq.Socket[Any], domain: str) -> None:
        """Set the options of ``socket``; ``domain`` is what its clients are judged under."""
        if self._server is None:
            socket.set(zmq.CURVE_SERVER, 1)
            socket.set(zmq.ZAP_DOMAIN, domain.encode())
            socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # or nobody to judge would mean that all may come in
        else:
            socket.set(zmq.CURVE_SERVERKEY, self._server.encode())
            socket.set(zmq.CURVE_PUBLICKEY, self.public.encode())
        socket.set(zmq.CURVE_SECRETKEY, self._secret.text.encode())

    def __repr__(self) -> str:
        if self._server is not None:
            return f"Curve.client(public={self.public!r}, server={self._server!r})"
        return f"Curve.server(public={self.public!r}, {'allow_any=True' if self._allowed is None else 'allowed=...'})"


def check_security(security: Curve | None) -> Curve | None:
    """``security``; AuthenticationError if that is something else."""
    if security is not None and not isinstance(security, Curve):
        raise AuthenticationError(f"{_NEEDS}, found {type(security).__name__}")
    return security


def _load(kind: type[Curve], path: str) -> Curve:
    import configparser  # here, since only who has such a file needs it

    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))  # no key begins with a #
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            parser.read_file(file)
    except OSError as error:
        raise AuthenticationError(f"{path}: {error.strerror}", path=path) from None
    except (configparser.Error, UnicodeDecodeError):  # whose text would quote lines, with what is secret in them
        raise _malformed(path, "no such sections and lines") from None
    sections = parser.sections()
    if sections not in (["server"], ["client"]):
        short = len(str(sections)) < 80 and not any(map(may_be_key, sections))
        raise _malformed(path, f"sections {sections}" if short else "other sections")
    given = dict(parser.items(sections[0]))
    known = {"secret", "allowed", "allow_any"} if sections == ["server"] else {"secret", "server"}
    if set(given) - known:
        raise _malformed(path, f"in [{sections[0]}] something other than {', '.join(sorted(known))}")

    def beside(text: str) -> Source:
        place = Path(path).parent / Path(text).expanduser()
        return text if may_be_key(text) and not place.exists() else place

    secret = given.get("secret")
    if secret is not None and is_key(secret):
        refuse_shared(path, mode)
    if sections == ["client"]:
        if "server" not in given:
            raise _malformed(path, "no server =")
        server = beside(given["server"])
        return kind(secret=None if secret is None else beside(secret), server=server)
    try:
        allow_any = parser.getboolean("server", "allow_any", fallback=False)
    except ValueError:
        raise _malformed(path, "allow_any that is neither yes nor no") from None
    allowed = [beside(line) for line in given["allowed"].split()] if "allowed" in given else None
    return kind(secret=None if secret is None else beside(secret), allowed=allowed, allow_any=allow_any)


def _malformed(path: str, found: str) -> AuthenticationError:
    return AuthenticationError(
        f"{path}: expected a section [server] with secret and allowed, or [client] with secret and server, "
        f"found {found}",
        path=path,
    )
