"""What players show: for operators, and for the players themselves."""

from typing import Any

from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import One
from hub.api.v1.programs import answers as a
from hub.api.v1.programs import bodies, manifests, programs

READ: dict[str, Any] = {"scope": "read:players", "tags": ("Programs",)}
PLAYERS: dict[str, Any] = {"callers": frozenset({"player"}), "tags": ("Player's own",)}

PLAYER = "/api/v1/players/{player_id:int}"

ENTRIES = (
    Endpoint("GET", PLAYER + "/program", programs.get_program, summary="Explain what a player shows", **READ,
             query=bodies.ProgramAt, answers={200: One[a.Program]}),
    Endpoint("GET", PLAYER + "/timeline", programs.get_timeline, summary="Get a player's timeline", **READ,
             query=bodies.TimelineSpan, answers={200: One[a.Timeline]}),

    Endpoint("GET", "/api/v1/player/manifest", manifests.get_manifest, summary="Get the own manifest", **PLAYERS,
             answers={200: a.Manifest, 304: None}),
    Endpoint("GET", "/api/v1/player/commands/{command_id}/content", manifests.get_asked_content,
             summary="Get what a play command shows", **PLAYERS, answers={200: a.AskedContent}),
    Endpoint("GET", "/api/v1/player/assets/{asset_id:int}", manifests.get_player_asset, summary="Get an asset's file",
             **PLAYERS, produces="application/octet-stream", answers={200: None, 206: None, 302: None, 304: None},
             errors=(416,)),
)  # fmt: skip
