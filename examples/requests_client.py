"""Calls the functions of requests_server.py: python examples/requests_client.py tcp://localhost:5560"""

import sys

import numpy as np

import nptransport as npt

with npt.Client(connect=sys.argv[1] if len(sys.argv) > 1 else "tcp://localhost:5560") as client:
    image = np.random.default_rng(1).normal(size=(480, 640))
    answer = client.call("histogram", image, bins=4, timeout=10)  # the server may come later than this
    print("counts", answer["counts"], "sum", answer["counts"].sum())
    futures = [client.submit("histogram", image * scale, timeout=10) for scale in (1, 2, 3)]
    print("largest", [float(future.result()["edges"][-1].round(3)) for future in futures])
    try:
        client.call("histogram", timeout=10)
    except npt.RemoteError as error:
        print(f"{error.type}: {error.text}")
    print(client.call("stop", timeout=10))
