"""pyarrow's Flight: do_put of record batches of one int64 column, built without a copy, the shape in the schema.

Arrow is made for tables; this is as near as its documentation comes to a stream of arrays.
"""

from __future__ import annotations

import json
import threading

import pyarrow as pa
from pyarrow import flight

from peers.peer import Peer, Place
from peers.work import Sink, Source


def location(place: Place) -> str:
    return f"grpc+unix://{place.folder}/socket"


def send(location: str, source: Source) -> None:
    source.wait()
    about = {b"shape": json.dumps(source.work.shape).encode()}
    schema = pa.schema([("elements", pa.int64())], metadata=about)
    with flight.connect(location) as client:
        writer, _ = client.do_put(flight.FlightDescriptor.for_path("arrays"), schema)
        with writer:
            for array in source.arrays():
                column = pa.Array.from_buffers(pa.int64(), array.size, [None, pa.py_buffer(array)])
                writer.write_batch(pa.RecordBatch.from_arrays([column], schema=schema))


class Server(flight.FlightServerBase):
    def __init__(self, location: str, sink: Sink) -> None:
        super().__init__(location)
        self.sink = sink
        self.error: Exception | None = None

    def do_put(self, context: object, descriptor: object, reader: object, writer: object) -> None:
        try:
            shape = json.loads(reader.schema.metadata[b"shape"])
            while not self.sink.full:
                batch = reader.read_chunk().data
                self.sink.take(batch.column(0).to_numpy(zero_copy_only=True).reshape(shape))
        except Exception as error:  # noqa: BLE001 - raised again where the server is run
            self.error = error
        threading.Thread(target=self.shutdown).start()  # which waits for this call


def receive(location: str, sink: Sink) -> None:
    server = Server(location, sink)
    sink.ready()
    server.serve()
    if server.error:
        raise server.error


PEERS = [Peer("pyarrow Flight, unix socket", "do_put of record batches, a view of each", location, send, receive)]
