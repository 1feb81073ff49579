"""What a call costs, and what a broker moves, beside what else there is. Ratios within one run; the rounds take turns.

    python benchmarks/requests.py            # both
    python benchmarks/requests.py --quick

1. Round trip of a 1 KB array, Client and Server, against a bare pyzmq DEALER and ROUTER that echo two parts.
2. Tasks of 1 MB in and out through a broker and two workers over ipc:// and over shm://, against
   multiprocessing.Pool.map, ProcessPoolExecutor.map and, where `distributed` is installed, Dask's Client.map, with the
   same function and data.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

# The folder of this file would stand in front of the package named like it.
sys.path[:] = [path for path in sys.path if not path.endswith("benchmarks")]

import numpy as np  # noqa: E402 - below what makes the imports of others safe
import zmq  # noqa: E402

import nptransport as npt  # noqa: E402

OURS = ("ipc", "shm")
SPAWN = multiprocessing.get_context("spawn")


def invert(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
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


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def round_trips(folder: str, rounds: int, count: int) -> None:
    processes = [start(echo, f"ipc://{folder}/echo"), start(serve, f"ipc://{folder}/serve")]
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(f"ipc://{folder}/echo")
    array = np.zeros(128)
    with npt.Client(connect=f"ipc://{folder}/serve") as client:

        def bare() -> None:
            for _ in range(count):
                socket.send(b"metadata" * 8, zmq.SNDMORE)
                socket.send(array)
                socket.recv()
                np.frombuffer(socket.recv())

        def ours() -> None:
            for _ in range(count):
                client.call("echo", array)

        bare(), ours()
        pairs = [(seconds(bare), seconds(ours)) for _ in range(rounds)]
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
    arrays = [np.full(2**20, index % 256, np.uint8) for index in range(count)]
    contenders: dict[str, Callable[[], Any]] = {}
    with (
        npt.Client(connect=f"ipc://{folder}/ipc-f") as ipc,
        npt.Client(connect=f"shm://{folder}/shm-f") as shm,
        SPAWN.Pool(2) as pool,
        concurrent.futures.ProcessPoolExecutor(2, mp_context=SPAWN) as executor,
    ):
        for transport, client in zip(OURS, (ipc, shm), strict=True):
            contenders[f"Broker and Worker, {transport}"] = lambda client=client: [
                each.shape for each in client.map("invert", arrays, max_bytes=2**24)
            ]
        contenders["multiprocessing.Pool.map"] = lambda: pool.map(invert, arrays, chunksize=1)
        contenders["ProcessPoolExecutor.map"] = lambda: list(executor.map(invert, arrays))
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
            contender()
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, contender in contenders.items():
                times[name].append(seconds(contender))
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        round_trips(folder, 5 if quick else 15, 500 if quick else 2000)
        throughput(folder, 2 if quick else 5, 100 if quick else 300)


if __name__ == "__main__":
    main()
