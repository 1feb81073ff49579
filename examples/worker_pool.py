"""A job over many pictures on workers in other processes, one of which is killed in the middle: needs SciPy."""

import subprocess
import sys

import numpy as np
from scipy.ndimage import gaussian_filter

import nptransport as npt

WORKER = """
import sys, nptransport as npt
from scipy.ndimage import gaussian_filter
worker = npt.Worker(connect=sys.argv[1])
worker.register("blur", gaussian_filter)
worker.serve()
"""
random = np.random.default_rng(1)
pictures = [random.random((256, 256), np.float32) for _ in range(40)]
with npt.Broker(frontend="tcp://127.0.0.1:*", backend="tcp://127.0.0.1:*") as broker:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, broker.backend]) for _ in range(2)]
    try:
        with npt.Client(connect=broker.frontend) as client:
            jobs = ([picture, 2.0] for picture in pictures)
            for number, future in enumerate([client.submit("blur", *job, timeout=60) for job in jobs]):
                assert np.array_equal(future.result(), gaussian_filter(pictures[number], 2.0))
                if number == 10:
                    workers[0].kill()  # what it had goes to the other
        print(f"blurred {len(pictures)} pictures, redelivered {broker.statistics().redelivered}")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
