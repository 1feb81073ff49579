"""docs/wire-format.md as a program, with nothing but the standard library: it knows neither NumPy nor msgpack.

``decode`` gives the notation of notation.py, ValueError or TypeError for what is damaged. It keeps no limits.
"""

from __future__ import annotations

import re
import struct
from math import prod

from reference_msgpack import Ext, Map, need, unpack

NUMBERS = {"i2": "h", "i4": "i", "i8": "q", "u2": "H", "u4": "I", "u8": "Q", "f2": "e", "f4": "f", "f8": "d"}
TIME = r"[<>][mM]8(\[([1-9][0-9]*)?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
LONG_DOUBLE = r"[<>][fc]([0-9]{2}):(x87|binary128|double-double)"
SIGNATURE = b"\x89NPT\r\n\x1a\n"
ML_DTYPES = r">?(bfloat16|b?complex32|float[468]_e[0-9a-z]+|u?int[124])"


def decode(frames):
    """{"topic", "envelope", "payload"} of a message, the first two None where they are absent."""
    frames, topic = list(frames), None
    joined = frames[0][:8] == SIGNATURE
    if joined:
        need(len(frames) == 1, "something behind a blob")
        frames = split(frames[0])
        need(frames and 0x80 <= int.from_bytes(frames[0][:1], "big") <= 0x8F, "no metadata")
    if not 0x80 <= int.from_bytes(frames[0][:1], "big") <= 0x8F:
        topic = frames.pop(0).decode()
    need(frames and frames[0][1:5] == b"\xa3npt", "no metadata")
    metadata = text_keys(unpack(frames[0], extensions=False))
    need(not (joined and "shared" in metadata), "buffers elsewhere")
    need(type(metadata["npt"]) is int and metadata["npt"] == 1, "unknown version")
    layouts, buffers = metadata["parts"], whole_buffers(frames[1:], metadata.get("cut"))
    need(len(layouts) == len(buffers), "another number of buffers")
    built = [buffer(layout, data) for layout, data in zip(layouts, buffers, strict=True)]
    need("tree" in metadata or len(built) == 1, "neither one array nor a tree")
    payload = whole(unpack(metadata["tree"]), built) if "tree" in metadata else built[0]
    envelope = metadata.get("envelope")
    return {"topic": topic, "envelope": envelope and plain(envelope[:3]), "payload": payload}


def whole_buffers(parts, cut):
    """The buffers, of which those that ``cut`` tells of come in several parts."""
    if cut is None:
        return parts
    need(isinstance(cut, list) and all(type(count) is int and count > 0 for count in cut), "no numbers of parts")
    need(sum(cut) == len(parts), "another number of parts")
    rest = iter(parts)
    return [b"".join(next(rest) for _ in range(count)) for count in cut]


def split(blob):
    """The frames of a blob."""
    signature, count, zero = struct.unpack_from("<8sII", blob)
    need(signature == SIGNATURE and not zero, "no blob")
    frames, at = [], 16 + 8 * count
    for length in struct.unpack_from(f"<{count}Q", blob, 16):
        at += -at % 64
        frames.append(blob[at : at + length])
        at += length
    need(at == len(blob), "another length")
    return frames


def text_keys(pairs):
    """A map of the metadata as a dict."""
    need(isinstance(pairs, Map) and len(dict(pairs)) == len(pairs), "no map, or equal keys")
    return dict(pairs)


def buffer(layout, data):
    """The notation of one buffer."""
    if layout in (["bytes"], ["text"]):
        return {"bytes": data.hex()} if layout == ["bytes"] else data.decode()
    dtype, shape, order = [*layout, "C"][:3]
    count = count_of(shape)
    need(order in ("C", "F"), "no order")
    if isinstance(dtype, Map) and "string" in dict(dtype):
        texts = list(strings(data, count, "missing" in dict(dtype)))
        elements = nested(range(count), 1, shape, "C", lambda index: texts[index[0]])
    else:
        size, element = element_reader(dtype)
        need(len(data) == count * size, "wrong length of a buffer")
        elements = nested(data, size, shape, order, element)
    return {"array": {"dtype": json_dtype(dtype), "shape": shape, "order": order, "elements": elements}}


def count_of(shape):
    need(isinstance(shape, list) and all(type(length) is int and length >= 0 for length in shape), "no shape")
    return prod(shape)


def nested(data, size, shape, order, element, depth=0, at=0):
    """Elements as nested lists, last index innermost, whatever their order in memory."""
    if depth == len(shape):
        return element(data[at : at + size])
    step = prod(shape[depth + 1 :] if order == "C" else shape[:depth]) * size
    return [nested(data, size, shape, order, element, depth + 1, at + i * step) for i in range(shape[depth])]


def strings(data, count, may_miss):
    need(len(data) >= 8 * count, "cut off")
    at = 8 * count
    for (length,) in struct.iter_unpack("<q", data[:at]):
        need(0 <= length <= len(data) - at or (length == -1 and may_miss), "wrong length")
        yield data[at : at + length].decode() if length >= 0 else None
        at += max(length, 0)
    need(at == len(data), "bytes behind the texts")


def element_reader(dtype):
    """The size of an element, and what makes its notation of its bytes."""
    if isinstance(dtype, Map):
        return structure_reader(**{key: value for key, value in dtype if key in ("itemsize", "fields", "aligned")})
    order, code = dtype[:1], dtype[1:]
    if dtype == "|b1":
        return 1, lambda data: bool([b"\0", b"\1"].index(data))
    if dtype in ("|i1", "|u1"):
        return 1, lambda data: int.from_bytes(data, "little", signed=code == "i1")
    if order in "<>" and code in NUMBERS:
        return int(code[1:]), lambda data: plain(struct.unpack(order + NUMBERS[code], data)[0])
    if order in "<>" and code in ("c8", "c16"):
        parts = order + ("2f" if code == "c8" else "2d")
        return int(code[1:]), lambda data: {"complex": [repr(part) for part in struct.unpack(parts, data)]}
    if re.fullmatch(TIME, dtype):
        return 8, lambda data: plain(struct.unpack(order + "q", data)[0])
    if re.fullmatch(r"\|[SV](0|[1-9][0-9]*)", dtype):
        return int(dtype[2:]), lambda data: plain(data.rstrip(b"\0") if code[0] == "S" else data)
    if re.fullmatch(r"[<>]U(0|[1-9][0-9]*)", dtype):
        codec = "utf-32-le" if order == "<" else "utf-32-be"
        return 4 * int(dtype[2:]), lambda data: data.decode(codec, "surrogatepass").rstrip("\0")
    if match := re.fullmatch(LONG_DOUBLE, dtype):
        return int(match[1]), plain
    need(re.fullmatch(ML_DTYPES, dtype), f"unknown dtype {dtype!r:.40}")
    return (4 if "complex" in dtype else 2 if "bfloat16" in dtype else 1), plain


def structure_reader(itemsize, fields, aligned=False):
    readers = []
    for _, dtype, offset, *rest in fields:
        (size, element), shape = element_reader(dtype), rest[0] if rest else []
        need(offset >= 0 and offset + size * count_of(shape) <= itemsize, "outside of the structure")
        readers.append((offset, size, shape, element))
    need(len({field[0] for field in fields}) == len(fields), "equal names")
    return itemsize, lambda data: [nested(data, size, shape, "C", of, 0, at) for at, size, shape, of in readers]


def json_dtype(dtype):
    if isinstance(dtype, Map):
        return {key: plain(value) if key == "missing" else json_dtype(value) for key, value in dtype}
    return [json_dtype(item) for item in dtype] if isinstance(dtype, list) else dtype


def whole(tree, built):
    """The notation of a tree in which each buffer has one place."""
    left = dict(enumerate(built))
    payload = plain(tree, left)
    need(not left, "a buffer without a place")
    return payload


def plain(value, buffers=()):
    """The notation of a value of the tree."""
    if isinstance(value, Ext):
        need(value[0] == 1 and len(value[1]) == 4, "unknown extension")
        return buffers.pop(int.from_bytes(value[1], "big"))
    if isinstance(value, Map) and len(value) == 1 and isinstance(value[0][0], Ext) and value[0][0][0] == 2:
        return TAGS[value[0][0][1]](value[0][1], buffers)
    if isinstance(value, Map):
        pairs = [[plain(key, buffers), plain(item, buffers)] for key, item in value]
        need(len({repr(key) for key, _ in pairs}) == len(pairs), "equal keys")
        return {"dict": pairs}
    if isinstance(value, list):
        return [plain(item, buffers) for item in value]
    if type(value) is int and abs(value) >= 2**53:
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float": repr(value)}
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


def scalar(value, buffers):
    dtype, data = value
    if dtype in ("text", "bytes"):
        return {"scalar": {"dtype": dtype, "element": plain(data)}}
    size, element = element_reader(dtype)
    need(len(data) == size, "wrong length of a scalar")
    return {"scalar": {"dtype": json_dtype(dtype), "element": element(data)}}


def masked(value, buffers):
    data, mask, fill, hard = (plain(item, buffers) for item in value)
    need(mask is None or mask["array"]["shape"] == data["array"]["shape"], "a mask of another shape")
    return {"masked": {"data": data, "mask": mask, "fill": fill, "hard": hard}}


TAGS = {
    b"t": lambda value, buffers: {"tuple": plain(value, buffers)},
    b"i": lambda value, _: plain(int.from_bytes(value, "big", signed=True)),
    b"d": lambda value, _: {"datetime": value},
    b"s": scalar,
    b"m": masked,
}
