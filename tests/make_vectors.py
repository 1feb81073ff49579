"""Writes tests/vectors/, the messages that fix the format. Run by hand, once for each vector that is new.

    python tests/make_vectors.py           writes those that are missing; refuses if one there would change
    python tests/make_vectors.py --force   writes all of them anew: only for a new version of the format

A vector that changes means that messages of older releases are read otherwise, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import notation
from vector_cases import BLOBS, MESSAGES, RAW, REFUSED, REFUSED_BLOBS

import nptransport as npt

FOLDER = Path(__file__).parent / "vectors"


def vectors() -> dict[str, dict[str, Any]]:
    """All of them, by name."""
    made: dict[str, dict[str, Any]] = {}
    for name, (description, payload, *needs) in MESSAGES.items():
        made[name] = {
            "description": description,
            **({"needs": needs[0]} if needs else {}),
            "frames": [bytes(frame).hex() for frame in npt.encode(payload)],
            "payload": notation.plain(payload),
            "canonical": True,  # encoding the payload gives these very bytes
        }
    for name, (description, frames, facts) in RAW.items():
        made[name] = {"description": description, "frames": [frame.hex() for frame in frames], **facts}
    for name, (description, payload) in BLOBS.items():
        made[name] = {
            "description": description,
            "blob": npt.dumps(payload).hex(),
            "payload": notation.plain(payload),
            "canonical": True,
        }
    for name, (description, frames, reason) in REFUSED.items():
        made[name] = {"description": description, "frames": [frame.hex() for frame in frames], "refused": reason}
    for name, (description, blob, reason) in REFUSED_BLOBS.items():
        made[name] = {"description": description, "blob": blob.hex(), "refused": reason}
    return made


def as_text(vector: dict[str, Any]) -> str:
    """JSON with one entry a line: what a reviewer can read, and a diff can show."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in vector.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main(arguments: list[str]) -> None:
    texts = {name: as_text(vector) for name, vector in vectors().items()}
    there = {path.stem: path.read_text("utf-8") for path in FOLDER.glob("*.json") if path.stem != "index"}
    changed = sorted(name for name, text in there.items() if texts.get(name) != text)
    if changed and arguments != ["--force"]:
        raise SystemExit(f"These vectors would change or go: {', '.join(changed)}. If that is meant: --force")
    FOLDER.mkdir(exist_ok=True)
    for name in changed:
        (FOLDER / f"{name}.json").unlink()
    for name, text in texts.items():
        (FOLDER / f"{name}.json").write_text(text, "utf-8", newline="\n")
    index = json.dumps({name: digest(texts[name]) for name in sorted(texts)}, indent=2)
    (FOLDER / "index.json").write_text(index + "\n", "utf-8", newline="\n")
    sys.stdout.write(f"{len(texts)} vectors, {len(texts) - len(there) + len(changed)} of them new\n")


if __name__ == "__main__":
    main(sys.argv[1:])
