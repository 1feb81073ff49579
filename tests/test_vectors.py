"""The committed messages of tests/vectors: old ones have to be read for ever, by this library and by others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import notation
import numpy as np
import pytest
import reference_decoder
from dtype_strategies import HAS_STRING_DTYPE, ml_dtypes
from strategies import HAS_TIME_ZONES

import nptransport as npt

FOLDER = Path(__file__).parent / "vectors"
INDEX: dict[str, str] = json.loads((FOLDER / "index.json").read_text("utf-8"))
VECTORS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json")) if path.stem != "index"
}
VALID = [name for name, vector in VECTORS.items() if "payload" in vector]
REFUSED = [name for name, vector in VECTORS.items() if "refused" in vector]

HERE = {
    "numpy 2": HAS_STRING_DTYPE,
    "ml_dtypes": ml_dtypes is not None,
    "x87": np.finfo(np.longdouble).nmant == 63 and np.dtype(np.longdouble).itemsize == 16,
    "time zones": HAS_TIME_ZONES,
    None: True,
}


def read(vector):
    """The payload, from frames or from a blob."""
    if "blob" in vector:
        return npt.loads(bytes.fromhex(vector["blob"]))
    return npt.decode([bytes.fromhex(frame) for frame in vector["frames"]])


def read_by_reference(vector):
    if "blob" in vector:
        return reference_decoder.decode(reference_decoder.split(bytes.fromhex(vector["blob"])))
    return reference_decoder.decode([bytes.fromhex(frame) for frame in vector["frames"]])


def test_no_vector_is_missing_or_altered():
    digests = {
        name: hashlib.sha256((FOLDER / f"{name}.json").read_text("utf-8").encode()).hexdigest() for name in VECTORS
    }
    assert digests == INDEX
    assert len(VALID) >= 55
    assert len(REFUSED) >= 30


@pytest.mark.parametrize("name", VALID)
def test_each_is_read_as_it_was_meant(name):
    vector = VECTORS[name]
    if not HERE[vector.get("needs")]:
        with pytest.raises(npt.DecodeError):
            read(vector)
        return
    assert notation.plain(read(vector)) == vector["payload"]


@pytest.mark.parametrize("name", [name for name in VALID if VECTORS[name].get("canonical")])
def test_each_is_written_byte_for_byte_as_before(name):
    vector = VECTORS[name]
    if not HERE[vector.get("needs")]:
        pytest.skip(f"needs {vector['needs']}")
    if "blob" in vector:
        assert npt.dumps(read(vector)).hex() == vector["blob"]
    else:
        assert [bytes(frame).hex() for frame in npt.encode(read(vector))] == vector["frames"]


@pytest.mark.parametrize("name", REFUSED)
def test_each_that_is_malformed_is_refused_for_its_reason(name):
    with pytest.raises(npt.DecodeError) as caught:
        read(VECTORS[name])
    assert VECTORS[name]["refused"] in str(caught.value)


@pytest.mark.parametrize("name", VALID)
def test_the_reference_decoder_reads_the_same(name):
    vector = VECTORS[name]
    message = read_by_reference(vector)
    assert message["payload"] == vector["payload"]
    assert message["topic"] == vector.get("topic")
    assert message["envelope"] == vector.get("envelope")


@pytest.mark.parametrize("name", REFUSED)
def test_the_reference_decoder_refuses_the_same(name):
    with pytest.raises((ValueError, TypeError, LookupError)):
        read_by_reference(VECTORS[name])
