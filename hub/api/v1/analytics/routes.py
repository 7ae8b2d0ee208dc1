"""Analytics: Spot's five calls, and the plays that they are made of."""

from typing import Any

from hub.api.http.endpoint import Endpoint
from hub.api.v1.analytics import analytics, bodies, exports
from hub.api.v1.analytics import answers as a
from hub.api.v1.answers import Many, One, Page

READ: dict[str, Any] = {"scope": "read:analytics", "tags": ("Analytics",)}
SPOT: dict[str, Any] = {"owner": "spot", "query_in_body": True}

AT = "/api/v1/analytics"

ENTRIES = (
    Endpoint("GET", AT + "/summary", analytics.get_summary, summary="Summary", **READ, **SPOT,
             query=bodies.SummaryFilter, answers={200: One[a.Summary]}),
    Endpoint("GET", AT + "/playback", analytics.get_playback, summary="Plays by period", **READ, **SPOT,
             query=bodies.PlaybackFilter, answers={200: a.Playback}),
    Endpoint("GET", AT + "/playback/export", exports.export_playback, summary="Export plays as CSV", **READ, **SPOT,
             query=bodies.Span, answers={200: a.ExportAsked}),
    Endpoint("GET", AT + "/players/uptime", analytics.get_uptime, summary="Uptime of players", **READ, **SPOT,
             query=bodies.Span, answers={200: Many[a.Uptime]}),
    Endpoint("GET", AT + "/impressions", analytics.get_impressions, summary="Impressions and revenue", **READ, **SPOT,
             query=bodies.ImpressionsFilter, answers={200: a.Impressions}),

    Endpoint("GET", "/api/v1/exports/{file}", exports.get_export, summary="Get an export", tags=("Analytics",),
             needs_auth=False, rate="signed", query=bodies.ExportLink, produces="text/csv",
             answers={200: None, 202: a.ExportPending}, errors=(403, 409, 410)),

    Endpoint("GET", "/api/v1/plays", analytics.list_plays, summary="List plays", **READ, query=bodies.PlayFilter,
             answers={200: Page[a.Play]}),
    Endpoint("POST", "/api/v1/plays", analytics.take_plays, summary="Tell what was played (players)",
             tags=("Analytics",), callers=frozenset({"player"}), body=bodies.Plays,
             answers={200: a.PlaysTaken}),
)  # fmt: skip
