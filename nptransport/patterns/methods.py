"""The methods that a server offers: plain functions by name, and what a handler knows of the call it works on."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, overload

from ..errors import MisuseError
from ..protocol.desk import Task
from ..protocol.words import PREFIX

__all__ = ["Call", "Method", "Methods", "Offering", "current_call", "is_name", "set_current_call"]

F = TypeVar("F", bound=Callable[..., Any])

_LONGEST_NAME = 256


class Call(NamedTuple):
    """The call that a handler is answering."""

    id: str
    """The same for every execution of one call, and for no other: a key to make handlers idempotent with."""
    method: str
    attempt: int
    """1 the first time that it is sent; more if it may have been handled before."""


_current: contextvars.ContextVar[Task] = contextvars.ContextVar("nptransport.call")
set_current_call = _current.set


def current_call() -> Call:
    """The call that the handler which asks is answering. MisuseError outside of a handler."""
    try:
        task = _current.get()
    except LookupError:
        raise MisuseError(
            "current_call() was asked for outside of a handler; call it in a function that a server calls",
            expected="a handler of a Server or Worker",
            found="no call",
        ) from None
    return Call(f"{task.client.hex()}:{task.number}", task.method, task.attempt)


class Method:
    """One function with its signature."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object whose call is a coroutine function
        )
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (ValueError, TypeError):  # some of those written in C have none
            self._signature = None
        self.takes_one = self.mistake((None,), {}) is None
        """Whether one positional argument, whatever it is, fits."""

    @property
    def text(self) -> str:
        """Name and signature, as Python writes them."""
        return f"{self.name}{self._signature if self._signature is not None else '(...)'}"

    def mistake(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """What is wrong with these arguments."""
        if self._signature is None:
            return None
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            return str(error)
        return None


class Offering:
    """What functions are registered with, by the names that clients call them by."""

    @overload
    def method(self, function: F, /) -> F: ...

    @overload
    def method(self, function: None = None, /, *, name: str | None = None) -> Callable[[F], F]: ...

    def method(self, function: Any = None, /, *, name: str | None = None) -> Any:
        """Offer a function, as a decorator: ``@methods.method``, or ``@methods.method(name="resize")``."""

        def decorate(function: F) -> F:
            self.register(name if name is not None else function.__name__, function)
            return function

        return decorate if function is None else decorate(function)

    def register(self, name: str, function: Callable[..., Any]) -> None:
        raise NotImplementedError


class Methods(Offering):
    """Functions, by the names under which clients call them.

    ``@methods.method`` adds a function under its own name, ``methods.register`` any callable under any name. A
    :class:`Server` or :class:`Worker` takes them with ``methods=``, and has both of these methods itself.
    """

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def register(self, name: str, function: Callable[..., Any]) -> None:
        """Offer ``function`` as ``name``. ValueError if that is no name, or taken; TypeError if it is not callable."""
        if not is_name(name):
            raise ValueError(f"{name!r:.80}: expected a printable name of at most {_LONGEST_NAME} letters")
        if name.startswith(PREFIX):
            raise ValueError(f"{name!r}: names that begin with {PREFIX} are the library's own")
        if not callable(function):
            raise TypeError(f"{name}: expected a function, found {type(function).__name__}")
        if name in self._methods:
            raise ValueError(f"{name!r}: registered already")
        self._methods[name] = Method(name, function)

    def include(self, others: Methods) -> None:
        """Add all functions of ``others``."""
        for name, method in others._methods.items():
            self.register(name, method.function)

    def find(self, name: str) -> Method | None:
        """The method of that name; None if there is none."""
        return self._methods.get(name)

    def __len__(self) -> int:
        return len(self._methods)

    def __contains__(self, name: object) -> bool:
        return name in self._methods

    @property
    def signatures(self) -> dict[str, str]:
        """The signature of each, by name."""
        return {name: method.text for name, method in self._methods.items()}


def is_name(name: object) -> bool:
    """Whether it can be a method's."""
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable()
