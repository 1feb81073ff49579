"""Tasks that wait for a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from .records import Job

__all__ = ["TaskQueues"]


class TaskQueues:
    """Tasks by method, in the order in which they came."""

    def __init__(self) -> None:
        self.by_method: dict[str, deque[Job]] = {}
        """None of these is empty."""

    def __len__(self) -> int:
        return sum(map(len, self.by_method.values()))

    def put(self, job: Job, *, first: bool = False) -> None:
        """``first``: before all others of its method, as it has had its turn already."""
        job.worker = None
        queue = self.by_method.setdefault(job.method, deque())
        if first:
            queue.appendleft(job)
        else:
            queue.append(job)

    def take(self, methods: Container[str]) -> Job | None:
        """Of the tasks of ``methods``, the one that came first, which waits no more."""
        queues = [queue for name, queue in self.by_method.items() if name in methods]
        if not queues:
            return None
        queue = min(queues, key=lambda queue: queue[0].arrived)
        job = queue.popleft()
        if not queue:
            del self.by_method[job.method]
        return job

    def remove(self, job: Job) -> None:
        """It waits no more."""
        queue = self.by_method[job.method]
        queue.remove(job)
        if not queue:
            del self.by_method[job.method]

    def unknown(self, known: Container[str]) -> list[Job]:
        """The tasks of methods other than the ``known`` ones."""
        return [job for name, queue in self.by_method.items() if name not in known for job in queue]
