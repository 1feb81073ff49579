"""Offers functions to requests_client.py: python examples/requests_server.py tcp://*:5560"""

import sys

import numpy as np

import nptransport as npt

server = npt.Server(bind=sys.argv[1] if len(sys.argv) > 1 else "tcp://*:5560", threads=2)


@server.method
def histogram(image: np.ndarray, bins: int = 16) -> dict[str, np.ndarray]:
    """What arrives is a plain array; what is returned is anything that may be sent."""
    counts, edges = np.histogram(image, bins)
    return {"counts": counts, "edges": edges}


@server.method
def stop() -> str:
    server.close()  # ends serve() once this has been answered
    return "stopping"


server.serve()
print(f"answered {server.statistics().results} calls")
