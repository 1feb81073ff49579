"""NumPy arrays from one Python process to another: right for every dtype, nothing lost without a count."""

import importlib
from typing import TYPE_CHECKING

from .codec import decode, dumps, encode, loads
from .codec.arrays import writable
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
from .sockets import recv_array, send_array

if TYPE_CHECKING:
    from . import asyncio as asyncio
    from .broker import Broker
    from .client import Client
    from .consumer import Consumer
    from .patterns.methods import Call, Methods, current_call
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
    from .subscriber import Subscriber
    from .transport.curve import Curve
    from .worker import Worker

# Imported when first asked for: a program uses few of these, and all of them together take as long as NumPy does.
_ROOMS = {
    ".asyncio": "asyncio",
    ".broker": "Broker",
    ".client": "Client",
    ".consumer": "Consumer",
    ".patterns.methods": "Call Methods current_call",
    ".producer": "Producer",
    ".protocol.handle": "SendHandle",
    ".protocol.ledger": "StreamStatistics",
    ".protocol.message": "Message",
    ".protocol.statistics": "BrokerStatistics ClientStatistics ConsumerStatistics ProducerStatistics ProxyStatistics "
    "PublisherStatistics ServerStatistics SubscriberState SubscriberStatistics WorkerState",
    ".proxy": "Proxy",
    ".publisher": "Publisher",
    ".server": "Server",
    ".subscriber": "Subscriber",
    ".transport.curve": "Curve",
    ".worker": "Worker",
}
_LATER = {name: room for room, names in _ROOMS.items() for name in names.split()}


if not TYPE_CHECKING:  # or a type checker would take every name for one of ours

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(_LATER[name], __name__)
        value = globals()[name] = module if name == "asyncio" else getattr(module, name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


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
