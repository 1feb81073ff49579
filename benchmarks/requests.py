"""What a call costs, and what a broker moves, beside what else there is. Ratios within one run; the rounds take turns.

    python benchmarks/requests.py            # both
    python benchmarks/requests.py --quick

1. Round trip of a 1 KB array, Client and Server, against a bare pyzmq DEALER and ROUTER that echo two parts.
2. Tasks of 1 MB in and out through a broker and two workers over ipc:// and over shm://, against
   multiprocessing.Pool.map, ProcessPoolExecutor.map and, where `distributed` is installed, Dask's Client.map, with the
   same function and data.

dtype and shape of each result are checked, and every element of the last of each turn, outside the clock.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import repository

# This file would stand in front of the package named like it.
FOLDER = str(repository.ROOT / "benchmarks")
sys.path[:] = [path for path in sys.path if path != FOLDER] + [FOLDER]

import numpy as np  # noqa: E402 - below what makes the imports of others safe
import zmq  # noqa: E402
from arguments import Parser  # noqa: E402
from streaming import WrongContent, array_of, check  # noqa: E402

import nptransport as npt  # noqa: E402

Array = np.ndarray[Any, Any]

OURS = ("ipc", "shm")
SPAWN = multiprocessing.get_context("spawn")


def invert(array: Array) -> Array:
    return 255 - array


def echo(address: str) -> None:
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(address)
    while True:
        socket.send_multipart(socket.recv_multipart())


def serve(address: str) -> None:
    with npt.Server(bind=address) as server:
        server.register("echo", lambda array: array)
        server.serve()


def work(address: str) -> None:
    with npt.Worker(connect=address) as worker:
        worker.register("invert", invert)
        worker.serve()


def route(frontend: str, backend: str) -> None:
    npt.Broker(frontend=frontend, backend=backend).serve()


def start(function: Callable[..., None], *args: str) -> Any:
    process = SPAWN.Process(target=function, args=args, daemon=True)
    process.start()
    return process


def seconds(function: Callable[[], Iterable[Array]], expected: Array, count: int) -> float:
    """That it takes until so many results are there, of which ``expected`` is the last. Raises WrongContent."""
    kind, received = (expected.dtype, expected.shape), 0
    started = time.perf_counter()
    for result in function():
        received += 1
        if (result.dtype, result.shape) != kind:
            raise WrongContent(f"result {received}: {result.dtype} {result.shape}")
    taken = time.perf_counter() - started
    if received != count:
        raise WrongContent(f"{received} results of {count}")
    check(result, expected)
    return taken


def round_trips(folder: str, rounds: int, count: int) -> None:
    processes = [start(echo, f"ipc://{folder}/echo"), start(serve, f"ipc://{folder}/serve")]
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(f"ipc://{folder}/echo")
    array = np.arange(128.0)
    with npt.Client(connect=f"ipc://{folder}/serve") as client:

        def bare() -> Iterator[Array]:
            for _ in range(count):
                socket.send(b"metadata" * 8, zmq.SNDMORE)
                socket.send(array)
                socket.recv()
                yield np.frombuffer(socket.recv())

        def ours() -> Iterator[Array]:
            for _ in range(count):
                yield client.call("echo", array)

        seconds(bare, array, count), seconds(ours, array, count)
        pairs = [(seconds(bare, array, count), seconds(ours, array, count)) for _ in range(rounds)]
    socket.close(0)
    for process in processes:
        process.kill()
    one, other = (min(times) / count * 1e6 for times in zip(*pairs, strict=True))
    median = statistics.median(ours / bare for bare, ours in pairs)
    print(f"round trip, 1 KB:  pyzmq {one:6.0f} us   Client and Server {other:6.0f} us   x{other / one:.2f}  "
          f"(median of the rounds x{median:.2f})")  # fmt: skip


def throughput(folder: str, rounds: int, count: int) -> None:
    processes = []
    for transport in OURS:
        frontend, backend = f"{transport}://{folder}/{transport}-f", f"{transport}://{folder}/{transport}-b"
        processes += [start(route, frontend, backend), start(work, backend), start(work, backend)]
    arrays = [array_of(2**20) ^ np.uint8(index % 256) for index in range(count)]
    expected = invert(arrays[-1])
    contenders: dict[str, Callable[[], Iterable[Array]]] = {}
    with (
        npt.Client(connect=f"ipc://{folder}/ipc-f") as ipc,
        npt.Client(connect=f"shm://{folder}/shm-f") as shm,
        SPAWN.Pool(2) as pool,
        concurrent.futures.ProcessPoolExecutor(2, mp_context=SPAWN) as executor,
    ):
        for transport, client in zip(OURS, (ipc, shm), strict=True):
            contenders[f"Broker and Worker, {transport}"] = lambda client=client: client.map(
                "invert", arrays, max_bytes=2**24
            )
        contenders["multiprocessing.Pool.map"] = lambda: pool.map(invert, arrays, chunksize=1)
        contenders["ProcessPoolExecutor.map"] = lambda: executor.map(invert, arrays)
        closing: list[Callable[[], None]] = []
        try:
            import distributed
        except ModuleNotFoundError:
            print("Dask is left out: pip install distributed")
        else:
            cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
            dask = distributed.Client(cluster)
            closing = [dask.close, cluster.close]
            # Large inputs are scattered first, as its documentation has it, and not put into the task graph.
            contenders["Dask's Client.map"] = lambda: dask.gather(
                dask.map(invert, dask.scatter(arrays, hash=False), pure=False)
            )
        for contender in contenders.values():
            seconds(contender, expected, count)
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, contender in contenders.items():
                times[name].append(seconds(contender, expected, count))
        for close in closing:
            close()
    for process in processes:
        process.kill()
    best = {name: min(each) for name, each in times.items()}
    for name, each in best.items():
        print(f"1 MB in and out:  {name:26} {count / each:7.0f} tasks/s  {2 * count / each / 1000:5.2f} GB/s")
    ours = [best.pop(f"Broker and Worker, {transport}") for transport in OURS]
    for transport, each in zip(OURS, ours, strict=True):
        print(f"{transport} against the best of the others: x{min(best.values()) / each:.2f}")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        round_trips(folder, 5 if quick else 15, 500 if quick else 2000)
        throughput(folder, 2 if quick else 5, 100 if quick else 300)


if __name__ == "__main__":
    main()
