"""What a peer said, as it may stand on a terminal."""

from __future__ import annotations

__all__ = ["plain"]

_LONGEST = 200  # characters


def plain(text: str, longest: int = _LONGEST) -> str:
    """``text`` without what could paint on the terminal, and no longer than a line."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(letter if letter.isprintable() else "?" for letter in short)
