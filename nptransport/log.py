"""Where the package reports what nobody is waiting to hear: the log ``nptransport``."""

from __future__ import annotations

__all__ = ["warn"]


def warn(text: str, *values: object) -> None:
    """Log a warning. With logging not set up, Python prints it to stderr."""
    import logging  # here, since it takes a tenth of our import time and most programs have nothing to report

    logging.getLogger("nptransport").warning(text, *values)
