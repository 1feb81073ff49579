"""The endpoints with methods to await, as zmq.asyncio has pyzmq's sockets.

``from nptransport.asyncio import Producer, Consumer``
"""

from .consumer import Consumer
from .producer import Producer

__all__ = ["Consumer", "Producer"]
