"""What a call says of itself to the services: who asks, by which API document, and under which key it may repeat."""

from typing import Final

from hub.api.http.endpoint import Call
from hub.domain.commands import IdempotencyKey
from hub.services.commands import Origin

FACE: Final = {
    "own": "signalbox",
    "spot": "spot",
    "adcast": "adcast",
    "hangar": "hangar",
    "hangar_media": "hangar.media",
}


def face(call: Call) -> str:
    return FACE[call.endpoint.owner]


def origin(call: Call) -> Origin:
    return Origin(call.actor, face(call))


def idempotency(call: Call) -> IdempotencyKey | None:
    return None if call.idempotency_key is None else IdempotencyKey(call.idempotency_key, call.fingerprint)
