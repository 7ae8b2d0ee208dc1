"""All of Hangar.Media's API, under /v1. Ids in paths are its own (`scr_`, `cnt_`, `sch_`) or our numbers."""

from typing import Any

from hub.api.hangar_media import answers as a
from hub.api.hangar_media import bodies, content, schedules, screens
from hub.api.hangar_media.answers import Many, One
from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import Done

FACE: dict[str, Any] = {"owner": "hangar_media"}
SCREENS: dict[str, Any] = {"tags": ("Hangar.Media: screens",), **FACE}
CONTENT: dict[str, Any] = {"tags": ("Hangar.Media: content",), **FACE}
SCHEDULES: dict[str, Any] = {"tags": ("Hangar.Media: schedules",), **FACE}

SCREEN = "/v1/screens/{screen_id}"

ENTRIES = (
    Endpoint("GET", "/v1/screens", screens.list_screens, summary="List screens", scope="read:players", **SCREENS,
             query=bodies.Pages, answers={200: Many[a.Screen]}),
    Endpoint("POST", "/v1/screens", screens.create_screen, summary="Create a screen", scope=screens.SCOPE, **SCREENS,
             body=bodies.NewScreen, answers={201: One[a.ScreenPairing]}, errors=(404,)),
    Endpoint("GET", SCREEN, screens.get_screen, summary="Get a screen", scope="read:players", **SCREENS,
             answers={200: One[a.Screen]}),
    Endpoint("PUT", SCREEN, screens.change_screen, summary="Change a screen", scope=screens.SCOPE, **SCREENS,
             body=bodies.ScreenChanges, answers={200: One[a.Screen]}),
    Endpoint("DELETE", SCREEN, screens.delete_screen, summary="Delete a screen", scope=screens.SCOPE, **SCREENS,
             answers={200: Done}),

    Endpoint("GET", "/v1/content", content.list_content, summary="List content (Hangar.Media)", scope="read:content",
             **CONTENT, query=bodies.Pages, answers={200: Many[a.Content]}),
    Endpoint("POST", "/v1/content", content.upload_content, summary="Upload content", scope="write:content",
             **CONTENT, rate="hm.upload", body=bodies.NewContent, multipart=bodies.NewContent,
             answers={201: One[a.Content]}),
    Endpoint("DELETE", "/v1/content/{content_id}", content.delete_content, summary="Delete content (Hangar.Media)",
             scope="write:content", **CONTENT, answers={200: Done}),

    Endpoint("GET", "/v1/schedules", schedules.list_schedules, summary="List schedules (Hangar.Media)",
             scope="read:content", **SCHEDULES, query=bodies.Pages, answers={200: Many[a.Schedule]}),
    Endpoint("POST", "/v1/schedules", schedules.create_schedule, summary="Create a schedule (Hangar.Media)",
             scope="write:content", **SCHEDULES, body=bodies.NewSchedule, answers={201: One[a.Schedule]}),
    Endpoint("POST", "/v1/schedules/{schedule_id}/assign", schedules.assign_schedule,
             summary="Assign a schedule to screens", scope="write:content", **SCHEDULES, body=bodies.Assignment,
             answers={200: One[a.Schedule]}, errors=(409,)),
)  # fmt: skip
