"""NumPy arrays from one Python process to another."""

from .arrays import writable
from .blob import dumps, loads
from .codec import decode, encode
from .consumer import Consumer
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
from .producer import Producer
from .producing import SendHandle
from .protocol.message import ConsumerStatistics, Message, ProducerStatistics

__version__ = "0.1.0"
