"""One subscriber stuck, one healthy: memory of all three processes, and what the healthy one missed.

    python benchmarks/stuck.py [--frames 10000] [--size 8000000] [--max-bytes 64000000] [--stop]

The stuck subscriber never calls recv; with --stop its whole process is stopped. The publisher sends a frame when the
healthy subscriber has read the one before. Prints how far the memory of each process rose above what it was before the
first frame, and exits with 1 if one rose by more than the budget and a tenth, or the healthy one missed a frame.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time

import numpy as np
import repository  # noqa: F401 - for what is imported below
from arguments import Parser
from holding import resident

import nptransport as npt

SUBSCRIBER = """
import sys, time, numpy as np, nptransport as npt
address, size, budget, healthy = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "healthy"
subscriber = npt.Subscriber(connect=address, max_bytes=budget)
print("here", flush=True)
if not healthy:
    time.sleep(1e6)
for frame in subscriber:
    if frame.size == 1:
        break
    assert frame.size == size and frame[0] == frame[-1]
    print(flush=True)
statistics = subscriber.statistics()
print(statistics.received, statistics.missed, flush=True)
"""


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=8_000_000)
    parser.add_argument("--max-bytes", type=int, default=64_000_000)
    parser.add_argument("--transport", choices=["tcp", "ipc"], default="tcp")
    parser.add_argument("--stop", action="store_true", help="stop the stuck process altogether")
    options = parser.parse_args()
    address = "tcp://127.0.0.1:0" if options.transport == "tcp" else f"ipc:///tmp/nptransport-stuck-{os.getpid()}"
    frame = np.zeros(options.size, np.uint8)
    frame[:] = 1
    publisher = npt.Publisher(bind=address, max_bytes=options.max_bytes, linger=0)
    command = [sys.executable, "-c", SUBSCRIBER, publisher.address, str(options.size), str(options.max_bytes)]
    stuck = subprocess.Popen([*command, "stuck"], stdout=subprocess.PIPE, text=True)
    healthy = subprocess.Popen([*command, "healthy"], stdout=subprocess.PIPE, text=True)
    processes = {"publisher": os.getpid(), "stuck subscriber": stuck.pid, "healthy subscriber": healthy.pid}
    for process in (stuck, healthy):
        assert process.stdout is not None
        process.stdout.readline()
    assert healthy.stdout is not None
    publisher.wait_for_subscribers(2, timeout=10)
    if options.stop:
        os.kill(stuck.pid, signal.SIGSTOP)
    before = {name: resident(pid) for name, pid in processes.items()}
    most = dict.fromkeys(processes, 0)
    start = time.perf_counter()
    for index in range(options.frames):
        frame[0] = frame[-1] = index % 256
        publisher.send(frame)
        if not select.select([healthy.stdout], [], [], 10)[0] or not healthy.stdout.readline():
            stuck.kill()
            healthy.kill()
            raise SystemExit(f"the healthy subscriber missed frame {index}: {publisher.statistics()}")
        for name, pid in processes.items():
            most[name] = max(most[name], resident(pid) - before[name])
    seconds = time.perf_counter() - start
    publisher.send(np.zeros(1, np.uint8))
    received, missed = map(int, healthy.stdout.readline().split())
    statistics = publisher.statistics()
    stuck.kill()
    print(f"{options.frames} frames of {options.size:,} bytes in {seconds:.1f} s, max_bytes={options.max_bytes:,}")
    for name, nbytes in most.items():
        print(f"  {name:18} +{nbytes / 1e6:6.1f} MB  {nbytes / options.max_bytes:5.2f} of the budget")
    print(
        f"  healthy: {received - 1} received, {missed} missed; dropped for the stuck one: "
        f"{statistics.dropped_for_bytes} for want of bytes, {statistics.dropped_for_messages} of messages"
    )
    sys.exit(missed > 0 or max(most.values()) > 1.1 * options.max_bytes)


if __name__ == "__main__":
    main()
