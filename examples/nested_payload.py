"""What is sent is what arrives: dicts, tuples, texts and numbers around arrays of every kind."""

from datetime import datetime, timezone

import numpy as np

import nptransport as npt

payload = {
    "image": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "times": np.array(["2026-01-01", "NaT"], "datetime64[ms]"),
    "boxes": [(0, 0, 10, 20), (5, 5, 8, 9)],
    "table": np.array([(1, "left"), (2, "right")], [("id", ">u4"), ("side", "U8")]),
    "scale": np.float32(0.5),
    "taken": datetime.now(timezone.utc),
    b"raw": b"\x00\xff",
}

with npt.Consumer(bind="tcp://127.0.0.1:*") as consumer, npt.Producer(connect=consumer.address) as producer:
    producer.send(payload)
    received = consumer.recv(timeout=10)
    try:
        producer.send({"frames": [np.array([print])]})
    except npt.EncodeError as error:
        print(error)

for key, value in received.items():
    print(f"{key!r}: {type(value).__name__} {getattr(value, 'dtype', '')}")
assert list(received) == list(payload)
assert received["boxes"] == payload["boxes"]
assert received["image"].flags.f_contiguous
assert (received["table"] == payload["table"]).all()
