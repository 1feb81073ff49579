"""What a decoder accepts. The same numbers bind the encoder, so that a sender hears of it first."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds on one message, checked before anything is built from it.

    Every bound is inclusive and has to be an integer of at least 1. Raise one on both sides: the encoder refuses what a
    decoder with the same limits would.
    """

    max_total_bytes: int = 2**31
    """Bytes of all parts together, 2 GiB: far above one frame of any camera (8K RGBA in float32 is 0.5 GB), and
    what one peer can make a receiver hold for one message."""

    max_metadata_bytes: int = 2**20
    """Bytes of the metadata part, 1 MiB. Arrays and long bytes or strings travel outside it, so it holds only
    names, shapes and small values."""

    max_parts: int = 1024
    """Buffer parts of one message: more arrays than most models have parameters. A part costs a receiver some 300
    bytes and a microsecond however empty it is."""

    max_items: int = 2**14
    """Values in the payload's tree, and again in the metadata, a map counting two for each entry. Python builds one or
    two million a second, which bounds the time that a message can take; long lists of numbers belong in an array."""

    max_nesting: int = 64
    """Containers inside one another, in the tree and in structured dtypes. Well inside Python's recursion limit,
    for the code that walks the payload afterwards."""

    max_fields: int = 1024
    """Fields of one structured dtype, those of its inner dtypes included. The widest tables in use have a few
    hundred columns."""

    max_dimensions: int = 64
    """Dimensions of an array, with those of a field's sub-array: NumPy's own limit since 2.0 (32 before, and then
    NumPy's refusal applies)."""

    def __repr__(self) -> str:
        """Only what differs from the defaults."""
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        changed = [f"{name}={value}" for name, value in given if value != getattr(type(self), name)]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ValueError(f"Limits({field.name}={value!r}): expected an integer of at least 1")


DEFAULT_LIMITS = Limits()
