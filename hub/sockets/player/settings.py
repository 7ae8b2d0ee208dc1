"""What the settings of a hub say about the sockets of players."""

from dataclasses import dataclass

from hub.client_address import NO_PROXIES, TrustedProxies
from hub.protocol.session import Limits


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """Bytes and seconds."""

    limits: Limits
    telemetry_s: int = 60
    screenshot_s: int = 300
    outbox_bytes: int = 1_048_576
    admissions_per_s: int = 200
    proxies: TrustedProxies = NO_PROXIES
