"""The contestants, a module each, with their ``PEERS``; and what to install for each module."""

from __future__ import annotations

import importlib

from peers.peer import Peer

__all__ = ["load"]

INSTALL = {
    "nptransport_": "nptransport",
    "pyzmq": "pyzmq",
    "pickle5": "pyzmq",
    "imagezmq_": "imagezmq",
    "unix_socket": "",
    "pipe": "",
    "queue_": "",
    "shared_memory": "",
    "dask_": "distributed",
    "ezmsg_": "ezmsg",
    "iceoryx2_": "iceoryx2",
    "zenoh_": "eclipse-zenoh",
    "flight": "pyarrow",
    "mpi": "mpi4py mpich",
    "ray_": "ray",
}


def load() -> tuple[list[Peer], list[str]]:
    """All that can be imported here, and a sentence for each of the others."""
    peers: list[Peer] = []
    missing: list[str] = []
    for module, install in INSTALL.items():
        try:
            peers += importlib.import_module(f"peers.contestants.{module}").PEERS
        except ImportError as error:
            missing.append(f"{module.rstrip('_')}: left out, since {error} (pip install {install})")
    return peers, missing
