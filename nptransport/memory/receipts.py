"""Words in shared memory by which a reader says, without a system call, what it has taken and what it has let go of.

    0         ASLEEP: not 0 if the sender may be waiting for that, and is to be told by other means, too
    1         TAKEN: generation of the newest message taken
    2 ...     a *place* for each slot of the sender: generation of the last message in it that was let go of

8 bytes each, written at once. The sender writes the first one, the reader all others; each reader has receipts of its
own, so what it writes there counts for what was handed to it alone.

No fence stands between a receipt and what was read before it, nor between ASLEEP and the look that follows. The first
needs none where stores do not overtake loads, as on x86; elsewhere hundreds of instructions of the interpreter lie
between. Where the second goes wrong, the sender looks again 10 ms later.
"""

from __future__ import annotations

from .memfd import allocate, attach, forged

__all__ = ["ASLEEP", "PLACES", "TAKEN", "WORDS", "make_receipts", "map_receipts"]

ASLEEP, TAKEN, PLACES = 0, 1, 2
WORDS = 2**14  # in 128 KB: a place for each slot of 384 MB, if none is below 32 KB


def make_receipts() -> tuple[int, memoryview[int]]:
    """The sender's side: a descriptor for the reader, and the words. TransportError if there is no memory for them."""
    descriptor, mapped = allocate(WORDS * 8, others_write=True)
    return descriptor, memoryview(mapped).cast("Q")


def map_receipts(descriptor: int) -> memoryview[int]:
    """The reader's side. DecodeError if ``descriptor`` is something else."""
    mapped = attach(descriptor, write=True)
    if len(mapped) != WORDS * 8:
        raise forged(f"receipts of {WORDS * 8} bytes", f"{len(mapped)}")
    return memoryview(mapped).cast("Q")
