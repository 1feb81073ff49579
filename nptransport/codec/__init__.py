"""Payloads to bytes and back; knows no socket."""

from .blob import dumps, loads
from .frames import decode, encode

__all__ = ["decode", "dumps", "encode", "loads"]
