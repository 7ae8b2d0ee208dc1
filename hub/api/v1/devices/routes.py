"""Players, their groups, commands, pairing, screenshots, events and webhooks."""

from typing import Any

from pydantic import BaseModel

from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import Done, Many, One, Page
from hub.api.v1.devices import answers as a
from hub.api.v1.devices import batches, bodies, commands, events, groups, pairing, players, screenshots, webhooks

Answers = dict[int, type[BaseModel] | None]

READ: dict[str, Any] = {"scope": "read:players"}
WRITE: dict[str, Any] = {"scope": "write:players"}
ADMIN: dict[str, Any] = {"scope": "admin"}
HOOKS: dict[str, Any] = {"scope": "webhooks", "tags": ("Webhooks",)}
SPOT: dict[str, Any] = {"owner": "spot"}

PLAYERS, GROUPS, COMMANDS, BATCHES = ("Players",), ("Player groups",), ("Commands",), ("Batches",)
SHOTS, PAIRING, EVENTS = ("Screenshots",), ("Pairing",), ("Events",)

PLAYER, GROUP = "/api/v1/players/{player_id:int}", "/api/v1/player-groups/{group_id:int}"
WEBHOOK = "/api/v1/webhooks/{webhook_id:int}"
DELIVERY = WEBHOOK + "/deliveries/{delivery_id:int}"
ACCEPTED: Answers = {200: a.CommandFinished, 202: a.CommandAccepted}
SENT: Answers = {200: One[a.DeliveryDetail], 202: One[a.DeliveryDetail]}
DONE: Answers = {200: Done}

ENTRIES = (
    Endpoint("GET", "/api/v1/players", players.list_players, summary="List players", tags=PLAYERS, **READ, **SPOT,
             query=bodies.PlayerFilter, answers={200: Many[a.Player]}),
    Endpoint("POST", "/api/v1/players", players.create_player, summary="Create a player", tags=PLAYERS, **ADMIN,
             body=bodies.NewPlayer, answers={201: One[a.PlayerDetail]}),
    Endpoint("GET", PLAYER, players.get_player, summary="Get a player", tags=PLAYERS, **READ, **SPOT,
             answers={200: One[a.PlayerDetail]}),
    Endpoint("PATCH", PLAYER, players.change_player, summary="Change a player", tags=PLAYERS, **WRITE,
             body=bodies.PlayerChanges, versioned=True, answers={200: One[a.PlayerDetail]}),
    Endpoint("PUT", PLAYER, players.put_player, summary="Change a player (as PATCH)", tags=PLAYERS, **WRITE,
             body=bodies.PlayerChanges, versioned=True, answers={200: One[a.PlayerDetail]}),
    Endpoint("DELETE", PLAYER, players.delete_player, summary="Delete a player", tags=PLAYERS, **ADMIN, answers=DONE),
    Endpoint("POST", PLAYER + "/token", players.issue_token, summary="Issue a player's token", tags=PLAYERS, **ADMIN,
             answers={201: a.Token}),
    Endpoint("DELETE", PLAYER + "/token", players.revoke_token, summary="Revoke a player's token", tags=PLAYERS,
             **ADMIN, answers=DONE),

    Endpoint("GET", "/api/v1/players/pair/{code}", pairing.inspect_device, summary="Inspect a device that waits",
             tags=PAIRING, **ADMIN, answers={200: One[a.PairingRequest]}),
    Endpoint("POST", "/api/v1/players/pair", pairing.approve_device, summary="Approve a device", tags=PAIRING, **ADMIN,
             body=bodies.PairingDecision, answers={200: One[a.PairingApproved]}, errors=(404, 409)),
    Endpoint("DELETE", "/api/v1/players/pair/{code}", pairing.refuse_device, summary="Refuse a device", tags=PAIRING,
             **ADMIN, answers=DONE, errors=(409,)),

    Endpoint("POST", PLAYER + "/pairing-code", pairing.invite_device, summary="Make a player's pairing code",
             tags=PAIRING, **ADMIN, answers={201: One[a.Invitation]}),

    Endpoint("POST", PLAYER + "/commands", commands.send_player_command, summary="Send a command (Spot)",
             tags=COMMANDS, **WRITE, **SPOT, body=bodies.SpotCommand, waits=True, idempotent=True, answers=ACCEPTED),
    Endpoint("POST", "/api/v1/commands", commands.send_command, summary="Send a command", tags=COMMANDS, **WRITE,
             body=bodies.NewCommand, waits=True, idempotent=True, answers=ACCEPTED, errors=(404,)),
    Endpoint("GET", "/api/v1/commands", commands.list_commands, summary="List commands", tags=COMMANDS, **READ,
             query=bodies.CommandFilter, answers={200: Page[a.Command]}),
    Endpoint("GET", "/api/v1/commands/{command_id}", commands.get_command, summary="Get a command", tags=COMMANDS,
             **READ, waits=True, answers={200: One[a.Command]}),
    Endpoint("DELETE", "/api/v1/commands/{command_id}", commands.cancel_command, summary="Cancel a command",
             tags=COMMANDS, **WRITE, answers={200: a.CommandCancelled, 202: a.CommandCancelled}, errors=(409,)),

    Endpoint("GET", "/api/v1/player-groups", groups.list_groups, summary="List groups", tags=GROUPS, **READ, **SPOT,
             answers={200: Many[a.Group]}),
    Endpoint("POST", "/api/v1/player-groups", groups.create_group, summary="Create a group", tags=GROUPS, **WRITE,
             body=bodies.NewGroup, answers={201: One[a.GroupDetail]}),
    Endpoint("GET", GROUP, groups.get_group, summary="Get a group", tags=GROUPS, **READ,
             answers={200: One[a.GroupDetail]}),
    Endpoint("PATCH", GROUP, groups.change_group, summary="Change a group", tags=GROUPS, **WRITE,
             body=bodies.GroupChanges, versioned=True, answers={200: One[a.GroupDetail]}),
    Endpoint("PUT", GROUP, groups.put_group, summary="Change a group (as PATCH)", tags=GROUPS, **WRITE,
             body=bodies.GroupChanges, versioned=True, answers={200: One[a.GroupDetail]}),
    Endpoint("DELETE", GROUP, groups.delete_group, summary="Delete a group", tags=GROUPS, **WRITE, answers=DONE),

    Endpoint("POST", GROUP + "/commands", batches.send_group_command, summary="Send a command to a group (Spot)",
             tags=BATCHES, **WRITE, **SPOT, body=bodies.SpotCommand, idempotent=True, answers={202: a.BatchAccepted}),
    Endpoint("POST", "/api/v1/batches", batches.send_batch, summary="Send a command to a group", tags=BATCHES, **WRITE,
             body=bodies.NewBatch, idempotent=True, answers={200: a.BatchTried, 202: a.BatchAccepted}, errors=(404,)),
    Endpoint("GET", "/api/v1/batches", batches.list_batches, summary="List batches", tags=BATCHES, **READ,
             query=bodies.BatchFilter, answers={200: Page[a.Batch]}),
    Endpoint("GET", "/api/v1/batches/{batch_id}", batches.get_batch, summary="Get a batch", tags=BATCHES, **READ,
             answers={200: One[a.Batch]}),
    Endpoint("DELETE", "/api/v1/batches/{batch_id}", batches.abort_batch, summary="Abort a batch", tags=BATCHES,
             **WRITE, answers={200: One[a.Batch]}),

    Endpoint("GET", PLAYER + "/screenshot", screenshots.get_screenshot, summary="Get the newest screenshot", tags=SHOTS,
             **READ, **SPOT, answers={200: a.Screenshot}),
    Endpoint("GET", "/api/v1/screenshots/{screenshot_id:int}/image", screenshots.get_picture, summary="Get a picture",
             tags=SHOTS, needs_auth=False, rate="signed", query=bodies.ImageLink, errors=(403, 410)),
    Endpoint("GET", "/api/v1/uploads/{upload_id}", screenshots.get_upload, summary="Get an upload (logs)", tags=SHOTS,
             **WRITE),

    Endpoint("GET", "/api/v1/events", events.list_events, summary="Read the event log", tags=EVENTS, **READ,
             query=bodies.EventFilter, waits=True, answers={200: Page[a.Event]}, produces=events.STREAM,
             errors=(503,)),

    Endpoint("GET", "/api/v1/webhooks", webhooks.list_webhooks, summary="List webhooks", **HOOKS, **SPOT,
             answers={200: Many[a.Webhook]}),
    Endpoint("POST", "/api/v1/webhooks", webhooks.create_webhook, summary="Register a webhook", **HOOKS, **SPOT,
             body=bodies.NewWebhook, answers={201: One[a.WebhookSecret]}, errors=(409,)),
    Endpoint("GET", WEBHOOK, webhooks.get_webhook, summary="Get a webhook", **HOOKS, answers={200: One[a.Webhook]}),
    Endpoint("PATCH", WEBHOOK, webhooks.change_webhook, summary="Change or pause a webhook", **HOOKS,
             body=bodies.WebhookChanges, versioned=True, answers={200: One[a.Webhook]}),
    Endpoint("DELETE", WEBHOOK, webhooks.delete_webhook, summary="Delete a webhook", **HOOKS, **SPOT, answers=DONE),
    Endpoint("POST", WEBHOOK + "/secret", webhooks.rotate_secret, summary="Rotate a webhook's secret", **HOOKS,
             body=bodies.Rotation, answers={200: One[a.WebhookSecret]}),
    Endpoint("DELETE", WEBHOOK + "/old-secret", webhooks.retire_secret, summary="End a webhook's old secret", **HOOKS,
             answers={200: One[a.Webhook]}),
    Endpoint("POST", WEBHOOK + "/ping", webhooks.ping_webhook, summary="Ping a webhook", **HOOKS, waits=True,
             answers=SENT, errors=(409,)),
    Endpoint("POST", WEBHOOK + "/redeliver", webhooks.replay, summary="Redeliver all since a time", **HOOKS,
             body=bodies.Replay, answers={202: One[a.Webhook]}, errors=(409,)),
    Endpoint("GET", WEBHOOK + "/deliveries", webhooks.list_deliveries, summary="List deliveries", **HOOKS,
             query=bodies.DeliveryFilter, answers={200: Page[a.Delivery]}),
    Endpoint("GET", DELIVERY, webhooks.get_delivery, summary="Get a delivery", **HOOKS,
             answers={200: One[a.DeliveryDetail]}),
    Endpoint("POST", DELIVERY + "/redeliver", webhooks.redeliver, summary="Redeliver", **HOOKS, waits=True,
             answers=SENT, errors=(409,)),
)  # fmt: skip
