"""NumPy arrays from one Python process to another."""

from .blob import dumps, loads
from .codec import decode, encode
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

__version__ = "0.1.0"
