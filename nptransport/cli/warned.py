"""What the library warns of, as lines of a command that serves: nobody else would say it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["warnings_said"]


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"nptransport: {record.getMessage()}", err=True)


@contextmanager
def warnings_said() -> Iterator[None]:
    """Within it they are printed to stderr; outside of it commands have words of their own for what they do."""
    logger, lines = logging.getLogger("nptransport"), _Lines()
    logger.addHandler(lines)
    try:
        yield
    finally:
        logger.removeHandler(lines)
