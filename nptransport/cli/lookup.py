"""Whether the hosts of addresses have names that can be resolved: ZeroMQ tries for ever, and says nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence

__all__ = ["Lookup"]


class Lookup:
    """Looks the hosts of ``addresses`` up once, beside whatever goes on: the system may take half a minute to answer.

    No reason to give up: in a fleet that starts, a name often comes with its machine.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._unknown: list[str] = []
        hosts = [address.removeprefix("tcp://").rpartition(":")[0] for address in addresses if "tcp://" in address]
        threading.Thread(target=self._look_up, args=(hosts,), daemon=True).start()

    @property
    def verdict(self) -> str:
        """What to add to a line that says that nobody is there; "" as long as nothing is known to be wrong."""
        return "".join(f"; the name {host} cannot be resolved: is it spelled right?" for host in self._unknown)

    def _look_up(self, hosts: list[str]) -> None:
        for host in hosts:
            try:
                socket.getaddrinfo(host.strip("[]"), None)
            except (OSError, UnicodeError):
                self._unknown.append(host)
