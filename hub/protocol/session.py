"""Both ends of a `signalbox.v1` connection, without any I/O.

    session = HubSession(time.monotonic())          # or PlayerSession(hello, time.monotonic())
    events = session.receive_text(frame, now)       # what to act on
    for output in session.take_output(): ...        # what to write: Text, Binary, Ping, Close
    session.next_deadline()                         # when to call session.tick(now)

Nothing raises for what the other end sent; after a Close comes nothing more.
"""

from hub.protocol.connection import (
    DEFAULT_LIMITS,
    Binary,
    Close,
    Limits,
    Output,
    Ping,
    Recovered,
    Session,
    Silent,
    Suspect,
    Text,
)
from hub.protocol.hub_session import ERROR_CODES, HubEvent, HubSession, NoRoom, UploadBroken, UploadChunk
from hub.protocol.player_session import PlayerEvent, PlayerSession, ReadChunk

__all__ = [
    "DEFAULT_LIMITS",
    "ERROR_CODES",
    "Binary",
    "Close",
    "HubEvent",
    "HubSession",
    "Limits",
    "NoRoom",
    "Output",
    "Ping",
    "PlayerEvent",
    "PlayerSession",
    "ReadChunk",
    "Recovered",
    "Session",
    "Silent",
    "Suspect",
    "Text",
    "UploadBroken",
    "UploadChunk",
]
