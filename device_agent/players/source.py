"""What may be given to a player program to open.

Programs know many more kinds of address than files and streams (devices, pipes, inline edit lists, filter graphs). An
operator's command names content, so only these are handed on.
"""

import os
from collections.abc import Collection

from device_agent.players.base import PlayerError

STREAMS = frozenset({"http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp"})
PAGES = frozenset({"http", "https"})
LONGEST = 4096  # characters; the longest path Linux opens


def check_source(uri: str) -> None:
    """Raise PlayerError unless `uri` is the absolute path of an existing file, or the address of a stream."""
    if len(uri) > LONGEST or any(c < " " or "\ud800" <= c <= "\udfff" for c in uri):
        raise PlayerError("unsupported_uri", "This is not a usable path or address.")
    if uri.startswith("/"):
        if not os.path.isfile(uri):
            raise PlayerError("not_found", f"There is no file {uri}.")
        return
    if not is_address(uri):
        raise PlayerError("unsupported_uri", f"Neither an absolute path nor the address of a stream: {uri[:200]}")


def is_address(uri: str, schemes: Collection[str] = STREAMS) -> bool:
    """Whether `uri` names a host by one of the schemes, and so can be no file of this device."""
    scheme, separator, rest = uri.partition("://")
    return bool(separator) and scheme.lower() in schemes and rest[:1] not in ("", "/")
