"""NumPy arrays from one Python process to another: right for every dtype, nothing lost without a count."""

import importlib
from typing import Any

from .arrays import writable
from .blob import dumps, loads
from .broker import Broker
from .client import Client
from .codec import decode, encode
from .consumer import Consumer
from .curve import Curve
from .errors import (
    AddressError,
    AuthenticationError,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    LimitExceeded,
    MisuseError,
    RemoteError,
    Timeout,
    TransportError,
)
from .limits import Limits
from .methods import Call, Methods, current_call
from .producer import Producer
from .protocol.handle import SendHandle
from .protocol.ledger import StreamStatistics
from .protocol.message import Message
from .protocol.statistics import (
    BrokerStatistics,
    ClientStatistics,
    ConsumerStatistics,
    ProducerStatistics,
    ProxyStatistics,
    PublisherStatistics,
    ServerStatistics,
    SubscriberState,
    SubscriberStatistics,
    WorkerState,
)
from .proxy import Proxy
from .publisher import Publisher
from .server import Server
from .sockets import recv_array, send_array
from .subscriber import Subscriber
from .worker import Worker


def __getattr__(name: str) -> Any:
    # Only who uses it pays for importing asyncio, which takes as long as all the rest.
    if name == "asyncio":
        return importlib.import_module(".asyncio", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__version__ = "0.1.0"

__all__ = [
    "AddressError",
    "AuthenticationError",
    "Broker",
    "BrokerStatistics",
    "Call",
    "Client",
    "ClientStatistics",
    "ConnectionClosed",
    "Consumer",
    "ConsumerStatistics",
    "Curve",
    "DecodeError",
    "EncodeError",
    "LimitExceeded",
    "Limits",
    "Message",
    "Methods",
    "MisuseError",
    "Producer",
    "ProducerStatistics",
    "Proxy",
    "ProxyStatistics",
    "Publisher",
    "PublisherStatistics",
    "RemoteError",
    "SendHandle",
    "Server",
    "ServerStatistics",
    "StreamStatistics",
    "Subscriber",
    "SubscriberState",
    "SubscriberStatistics",
    "Timeout",
    "TransportError",
    "Worker",
    "WorkerState",
    "current_call",
    "decode",
    "dumps",
    "encode",
    "loads",
    "recv_array",
    "send_array",
    "writable",
]
