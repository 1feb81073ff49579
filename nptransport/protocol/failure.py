"""Why a call has no result: what an answer of the kind "error" says, written and read."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..errors import DecodeError, RemoteError

__all__ = ["Failure"]

_LONGEST_TEXT = 100_000  # letters
_TEXTS = "type", "text", "traceback"


class Failure(NamedTuple):
    """Why there is no result."""

    type: str
    text: str
    traceback: str = ""
    methods: Mapping[str, str] = MappingProxyType({})
    """Signatures by name, where it was about those."""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        # The first frame is ours: it says nothing about the handler.
        trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
        lines = traceback.format_exception(type(error), error, trace)
        return cls(type(error).__qualname__, _text(error), "".join(lines))

    def payload(self) -> dict[str, Any]:
        """What the answer brings."""
        texts = {name: getattr(self, name)[:_LONGEST_TEXT] for name in _TEXTS}
        texts = {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}
        return {**texts, "methods": dict(self.methods)}

    @staticmethod
    def read(method: str, payload: Any) -> RemoteError:
        """What the answer to a call of ``method`` says that went wrong, or DecodeError."""
        if isinstance(payload, dict):
            facts = {name: payload.get(name) for name in _TEXTS}
            methods = payload.get("methods")
            if all(isinstance(fact, str) for fact in facts.values()) and isinstance(methods, dict):
                there = "".join(f"\n  {text}" for text in methods.values()) if facts["type"] == "UnknownMethod" else ""
                text = f"{method}(): {facts['type']}: {facts['text']}{there}"
                return RemoteError(text, method=method, **facts, methods=methods)
        raise DecodeError.of("error", expected="type, text, traceback and methods", found=f"{payload!r:.80}")


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001 - the error's own __str__ may be at fault
        return f"(its text cannot be had: {type(another).__name__})"
