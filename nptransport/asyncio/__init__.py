"""The endpoints with methods to await, as zmq.asyncio has pyzmq's sockets.

``from nptransport.asyncio import Producer, Consumer, Publisher, Subscriber, Proxy``
"""

from .consumer import Consumer
from .producer import Producer
from .proxy import Proxy
from .publisher import Publisher
from .subscriber import Subscriber

__all__ = ["Consumer", "Producer", "Proxy", "Publisher", "Subscriber"]
