"""The parts of websockets that the agent uses, loaded without a package database that nobody asks.

For its own version number websockets imports `importlib.metadata` and with it modules for mail, zip and csv: 2.3 MB
of the 30 MB that an agent may take, for a value that released versions of websockets then do not look up.
"""

import sys
from importlib import import_module
from types import ModuleType

_DATABASE = "importlib.metadata"


def _load_version() -> None:
    if _DATABASE in sys.modules or "websockets" in sys.modules:
        return
    sys.modules[_DATABASE] = ModuleType(_DATABASE)
    try:
        import_module("websockets.version")
    except AttributeError:  # a development version, which does look
        sys.modules.pop("websockets", None)
        sys.modules.pop("websockets.version", None)
    finally:
        del sys.modules[_DATABASE]


_load_version()

from websockets.client import ClientProtocol  # noqa: E402
from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.frames import Frame, Opcode  # noqa: E402
from websockets.protocol import OPEN  # noqa: E402
from websockets.typing import Subprotocol  # noqa: E402
from websockets.uri import parse_uri  # noqa: E402

__all__ = ["OPEN", "ClientProtocol", "Frame", "InvalidStatus", "Opcode", "Subprotocol", "parse_uri"]
