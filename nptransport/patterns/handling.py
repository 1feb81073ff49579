"""What a server does with a call that has come: finds the function, calls it and packs the answer, in any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import DecodeError, EncodeError
from ..protocol.desk import Task
from ..protocol.failure import Failure
from ..protocol.parcels import Parcel
from ..protocol.words import PREFIX, Form
from .exchanging import Exchanging
from .methods import Method, Methods, Offering, set_current_call

__all__ = ["Answer", "Handling"]


class Answer(NamedTuple):
    """What became of a task."""

    task: Task
    kind: str
    """result or error."""
    parcel: Parcel


class Handling(Exchanging, Offering):
    """The functions that are offered, and how they are called."""

    _methods: Methods
    _server: int | None
    """The thread that serves."""

    def register(self, name: str, function: Callable[..., Any]) -> None:
        """Offer ``function`` as ``name``.

        Raises:
            ValueError: the name is taken, or no printable str of at most 256 letters.
            TypeError: it cannot be called, or is a coroutine function, which only :mod:`nptransport.asyncio` serves.
        """
        self._check_method(Method(name, function))
        self._methods.register(name, function)

    def _check_method(self, method: Method) -> None:
        if method.is_async:
            raise TypeError(f"{method.name} is a coroutine function; use nptransport.asyncio for those")

    @property
    def methods(self) -> dict[str, str]:
        """The functions offered: their signatures, by name."""
        return self._methods.signatures

    def _find(self, task: Task) -> tuple[Method, tuple[Any, ...], dict[str, Any]] | Failure:
        """What to call with which arguments."""
        letter, task.letter = task.letter, None  # what it holds is to go when the handler has done with it
        try:
            if isinstance(letter, DecodeError):
                raise letter
            plan, parts = letter
            payload = plan.payload(parts)
            if task.form == Form.ONE:
                arguments: tuple[tuple[Any, ...], dict[str, Any]] = (payload,), {}
            else:
                arguments = _read_arguments(payload)
        except DecodeError as error:
            return Failure("DecodeError", str(error))
        method = self._methods.find(task.method) or self._own_method(task.method)
        if method is None:
            return Failure("UnknownMethod", f"there is no {task.method}; there are:", "", self._methods.signatures)
        mistake = None if task.form == Form.ONE and method.takes_one else method.mistake(*arguments)
        if mistake is not None:
            return Failure("WrongArguments", f"{mistake}; it is {method.text}", "", self._methods.signatures)
        return method, *arguments

    def _own_method(self, name: str) -> Method | None:
        """Those that every server has."""
        return Method(name, lambda: self._methods.signatures) if name == f"{PREFIX}methods" else None

    def _handle(self, task: Task) -> Answer:
        """Call the function; whatever it does, there is an answer."""
        found = self._find(task)
        if isinstance(found, Failure):
            return self._fail(task, found)
        return self._call(task, *found)

    def _call(self, task: Task, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Answer:
        set_current_call(task)
        try:
            result = method.function(*args, **kwargs)
        except BaseException as error:
            answer = self._fail(task, Failure.of(error))
            if isinstance(error, KeyboardInterrupt) and threading.get_ident() == self._server:
                self._answer(answer)
                raise  # it is meant for who serves, in whose thread the function was called
            return answer
        return self._succeed(task, result)

    def _answer(self, answer: Answer) -> None:
        """Hand ``answer`` over; for the thread that serves."""
        raise NotImplementedError

    def _succeed(self, task: Task, result: Any) -> Answer:
        try:
            return Answer(task, "result", self._parcels.pack(result, keep=False))
        except EncodeError as error:
            text = f"the result cannot travel: {error}"
            return self._fail(task, Failure("EncodeError", text))

    def _fail(self, task: Task, failure: Failure) -> Answer:
        return Answer(task, "error", self._parcels.pack(failure.payload(), keep=False))


def _read_arguments(payload: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(payload, list) and len(payload) == 2:
        args, kwargs = payload
        if isinstance(args, list) and isinstance(kwargs, dict) and all(isinstance(name, str) for name in kwargs):
            return tuple(args), kwargs
    raise DecodeError.of("arguments", expected="[positional, by name]", found=f"{type(payload).__name__}")
