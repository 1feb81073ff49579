"""Rates, sizes and times as people read them; "-" for what is not known."""

from __future__ import annotations

__all__ = ["as_age", "as_megabytes", "as_milliseconds", "as_rate", "as_size", "counted"]

_UNKNOWN = "-"


def as_rate(rate: float | None) -> str:
    if rate is None:
        return _UNKNOWN
    return f"{rate:,.0f}" if rate >= 1000 else f"{rate:.1f}" if rate >= 1 or not rate else f"{rate:.2f}"


def as_megabytes(nbytes: float | None) -> str:
    if nbytes is None:
        return _UNKNOWN
    megabytes = nbytes / 1e6
    return f"{megabytes:,.0f}" if megabytes >= 1000 else f"{megabytes:.1f}" if megabytes >= 1 else f"{megabytes:.3f}"


def as_milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    milliseconds = seconds * 1000
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.2f}"


def as_age(seconds: float) -> str:
    whole = int(seconds)
    if whole < 10:
        return f"{seconds:.1f} s"
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def as_size(nbytes: int) -> str:
    """Exactly: ``64 KB``, ``1.5 MB``; ``64 KiB`` where that is shorter."""
    found = []
    for step, units in ((1000, ("B", "KB", "MB", "GB")), (1024, ("B", "KiB", "MiB", "GiB"))):
        power = next(power for power in (3, 2, 1, 0) if nbytes >= step**power or not power)
        found.append(f"{nbytes / step**power:.12g} {units[power]}")
    return min(found, key=len)


def counted(number: int, what: str) -> str:
    """``1 stream``, ``2 streams``."""
    return f"{number} {what}{'s' * (number != 1)}"
