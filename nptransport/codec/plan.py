"""What a metadata part says of the buffers to come, and the payload that they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DecodeError, LimitExceeded
from ..limits import Limits
from .arrays import Buffer
from .cuts import join, read_cut
from .tree import lift, read_layout

__all__ = ["Plan", "read_only", "unforeseen"]


class Plan:
    """What a metadata part, but for its envelope, says of the parts to come."""

    __slots__ = ("_room", "alone", "count", "cut", "entries", "layouts", "limits", "nbytes", "tree")

    def __init__(self, metadata: dict[Any, Any], entries: int, size: int, limits: Limits) -> None:
        layouts, self.tree = metadata.get("parts"), metadata.get("tree")
        self.entries, self.limits = entries, limits
        if not isinstance(layouts, list):
            raise DecodeError.of("parts", expected="a list of layouts", found=type(layouts).__name__)
        if len(layouts) > limits.max_parts:
            raise LimitExceeded.over("max_parts", limits.max_parts, len(layouts))
        if self.tree is None and len(layouts) != 1:
            raise DecodeError.of("payload", expected="one array or a tree", found=f"{len(layouts)} parts and no tree")
        if self.tree is not None and not isinstance(self.tree, bytes):
            raise DecodeError.of("tree", expected="bytes", found=type(self.tree).__name__)
        self.layouts = [read_layout(layout, limits) for layout in layouts]
        self.nbytes = sum(layout.nbytes or 0 for layout in self.layouts)
        """Bytes of the parts as far as their layouts tell."""
        self._room = limits.max_total_bytes - size  # for the parts
        if self.nbytes > self._room:
            raise LimitExceeded.over("max_total_bytes", limits.max_total_bytes, self.nbytes + size)
        self.cut = read_cut(metadata["cut"], len(self.layouts), limits) if "cut" in metadata else None
        """Into how many parts each buffer is cut; None: none is."""
        self.count = len(self.layouts) if self.cut is None else sum(self.cut)
        """Parts that are to come."""
        whole = self.tree is None and self.cut is None
        self.alone = self.layouts[0] if whole and self.layouts[0].nbytes is not None else None
        """The layout of the one array that is all of the payload, if its size is known and it comes in one part."""

    def join(self, parts: Sequence[Any]) -> Sequence[Any]:
        """The buffers that come in ``parts``; those that are cut are copied. DecodeError if it is another number."""
        try:
            return parts if self.cut is None else join(parts, self.cut)
        except DecodeError:
            raise
        except Exception as error:
            raise unforeseen(error) from error

    def payload(self, parts: Sequence[Any], copy: bool = False) -> Any:
        """The payload over ``parts``; ``copy``: of arrays that are the caller's own. DecodeError if they do not fit."""
        try:
            if self.alone is not None and len(parts) == 1:
                part = parts[0]
                return self.alone.build(part if type(part) is bytes else read_only(part), copy)
            return self._payload([read_only(part) for part in parts], copy)
        except DecodeError:
            raise
        except Exception as error:
            raise unforeseen(error) from error

    def _payload(self, parts: list[Buffer], copy: bool) -> Any:
        if len(parts) != len(self.layouts):
            raise DecodeError.of("message", expected=f"{len(self.layouts)} buffer parts", found=f"{len(parts)}")
        total = sum(map(len, parts))
        if total > self._room:
            limit = self.limits.max_total_bytes
            raise LimitExceeded.over("max_total_bytes", limit, total + limit - self._room)
        built = [layout.build(part, copy) for layout, part in zip(self.layouts, parts, strict=True)]
        return built[0] if self.tree is None else lift(self.tree, built, self.limits)


def unforeseen(error: Exception) -> DecodeError:
    """For whatever else NumPy or msgpack may raise at a peer's bytes."""
    # The promise to whoever serves is that nothing but a DecodeError comes out, whatever came in.
    return DecodeError.of("message", expected="a valid one", found=f"{type(error).__name__}: {error}")


def read_only(part: Any) -> Buffer:
    """The bytes of a ``part``, flat, which nobody can change through it."""
    if type(part) is bytes:
        return part
    view = memoryview(part).toreadonly()
    if view.ndim == 1 and view.format == "B" and view.contiguous:
        return view
    return view.cast("B") if view.nbytes and view.c_contiguous else view.tobytes()
