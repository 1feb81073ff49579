"""The endpoints with methods to await, as zmq.asyncio has pyzmq's sockets.

``from nptransport.asyncio import Producer, Consumer, Publisher, Subscriber, Server, Client``
"""

from .broker import Broker
from .client import Client
from .consumer import Consumer
from .producer import Producer
from .proxy import Proxy
from .publisher import Publisher
from .server import Server
from .subscriber import Subscriber
from .worker import Worker

__all__ = [
    "Broker",
    "Client",
    "Consumer",
    "Producer",
    "Proxy",
    "Publisher",
    "Server",
    "Subscriber",
    "Worker",
]
