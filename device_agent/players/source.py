"""What may be given to a player program to open.

Programs know many more kinds of address than files and streams (devices, pipes, inline edit lists, filter graphs). An
operator's command names content, so only these are handed on.
"""

import os

from device_agent.players.base import PlayerError

STREAMS = frozenset({"http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp"})
LONGEST = 4096  # characters; the longest path Linux opens


def check_source(uri: str) -> None:
    """Raise PlayerError unless `uri` is the absolute path of an existing file, or the address of a stream."""
    if len(uri) > LONGEST or any(c < " " or "\ud800" <= c <= "\udfff" for c in uri):
        raise PlayerError("unsupported_uri", "This is not a usable path or address.")
    if uri.startswith("/"):
        if not os.path.isfile(uri):
            raise PlayerError("not_found", f"There is no file {uri}.")
        return
    scheme, separator, rest = uri.partition("://")
    if not separator or not rest or scheme.lower() not in STREAMS:
        raise PlayerError("unsupported_uri", f"Neither an absolute path nor the address of a stream: {uri[:200]}")
