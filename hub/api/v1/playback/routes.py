"""Playlists, layouts, schedules, campaigns, locations and holidays."""

from typing import Any

from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import Done, Many, One
from hub.api.v1.playback import answers as a
from hub.api.v1.playback import bodies, campaigns, holidays, layouts, locations, playlists, schedules

READ: dict[str, Any] = {"scope": "read:content"}
WRITE: dict[str, Any] = {"scope": "write:content"}
SEE: dict[str, Any] = {"scope": "read:players"}
MOVE: dict[str, Any] = {"scope": "write:players"}
SPOT: dict[str, Any] = {"owner": "spot"}

PLAYLISTS, LAYOUTS, SCHEDULES, CAMPAIGNS = ("Playlists",), ("Layouts",), ("Schedules",), ("Campaigns",)
LOCATIONS, HOLIDAYS = ("Locations",), ("Holidays",)

PLAYLIST, LAYOUT = "/api/v1/playlists/{playlist_id:int}", "/api/v1/layouts/{layout_id:int}"
SCHEDULE, CAMPAIGN = "/api/v1/schedules/{schedule_id:int}", "/api/v1/campaigns/{campaign_id:int}"
LOCATION, HOLIDAY = "/api/v1/locations/{location_id:int}", "/api/v1/holidays/{holiday_id:int}"
DONE: Any = {200: Done}

ENTRIES = (
    Endpoint("GET", "/api/v1/playlists", playlists.list_playlists, summary="List playlists", tags=PLAYLISTS, **READ,
             **SPOT, query=bodies.SpotFilter, answers={200: Many[a.Playlist]}),
    Endpoint("POST", "/api/v1/playlists", playlists.create_playlist, summary="Create a playlist", tags=PLAYLISTS,
             **WRITE, **SPOT, body=bodies.NewPlaylist, answers={201: One[a.PlaylistDetail]}),
    Endpoint("GET", PLAYLIST, playlists.get_playlist, summary="Get a playlist", tags=PLAYLISTS, **READ,
             answers={200: One[a.PlaylistDetail]}),
    Endpoint("PATCH", PLAYLIST, playlists.change_playlist, summary="Change a playlist", tags=PLAYLISTS, **WRITE,
             body=bodies.PlaylistChanges, versioned=True, answers={200: One[a.PlaylistDetail]}, errors=(409,)),
    Endpoint("PUT", PLAYLIST, playlists.put_playlist, summary="Change a playlist (as PATCH)", tags=PLAYLISTS, **WRITE,
             body=bodies.PlaylistChanges, versioned=True, answers={200: One[a.PlaylistDetail]}, errors=(409,)),
    Endpoint("DELETE", PLAYLIST, playlists.delete_playlist, summary="Delete a playlist", tags=PLAYLISTS, **WRITE,
             answers=DONE),
    Endpoint("PATCH", PLAYLIST + "/items", playlists.replace_items, summary="Replace a playlist's items",
             tags=PLAYLISTS, **WRITE, **SPOT, body=bodies.ItemList, versioned=True,
             answers={200: One[a.PlaylistDetail]}, errors=(409,)),

    Endpoint("GET", "/api/v1/layouts", layouts.list_layouts, summary="List layouts", tags=LAYOUTS, **READ, **SPOT,
             query=bodies.SpotFilter, answers={200: Many[a.Layout]}),
    Endpoint("POST", "/api/v1/layouts", layouts.create_layout, summary="Create a layout", tags=LAYOUTS, **WRITE,
             body=bodies.NewLayout, answers={201: One[a.LayoutDetail]}),
    Endpoint("GET", LAYOUT, layouts.get_layout, summary="Get a layout", tags=LAYOUTS, **READ,
             answers={200: One[a.LayoutDetail]}),
    Endpoint("PATCH", LAYOUT, layouts.change_layout, summary="Change a layout", tags=LAYOUTS, **WRITE,
             body=bodies.LayoutChanges, versioned=True, answers={200: One[a.LayoutDetail]}),
    Endpoint("PUT", LAYOUT, layouts.put_layout, summary="Change a layout (as PATCH)", tags=LAYOUTS, **WRITE,
             body=bodies.LayoutChanges, versioned=True, answers={200: One[a.LayoutDetail]}),
    Endpoint("DELETE", LAYOUT, layouts.delete_layout, summary="Delete a layout", tags=LAYOUTS, **WRITE, answers=DONE),
    Endpoint("PATCH", LAYOUT + "/assign", layouts.assign_layout, summary="Assign a layout", tags=LAYOUTS, **WRITE,
             **SPOT, body=bodies.Assignment, answers={200: a.Assigned}),

    Endpoint("GET", "/api/v1/schedules", schedules.list_schedules, summary="List schedules", tags=SCHEDULES, **READ,
             query=bodies.ScheduleFilter, answers={200: Many[a.Schedule]}),
    Endpoint("POST", "/api/v1/schedules", schedules.create_schedule, summary="Create a schedule", tags=SCHEDULES,
             **WRITE, body=bodies.NewSchedule, answers={201: One[a.Schedule]}),
    Endpoint("GET", SCHEDULE, schedules.get_schedule, summary="Get a schedule", tags=SCHEDULES, **READ,
             answers={200: One[a.Schedule]}),
    Endpoint("PATCH", SCHEDULE, schedules.change_schedule, summary="Change a schedule", tags=SCHEDULES, **WRITE,
             body=bodies.ScheduleChanges, versioned=True, answers={200: One[a.Schedule]}, errors=(409,)),
    Endpoint("PUT", SCHEDULE, schedules.put_schedule, summary="Change a schedule (as PATCH)", tags=SCHEDULES, **WRITE,
             body=bodies.ScheduleChanges, versioned=True, answers={200: One[a.Schedule]}, errors=(409,)),
    Endpoint("DELETE", SCHEDULE, schedules.delete_schedule, summary="Delete a schedule", tags=SCHEDULES, **WRITE,
             answers=DONE),
    Endpoint("POST", SCHEDULE + "/assign", schedules.assign_schedule, summary="Assign a schedule", tags=SCHEDULES,
             **WRITE, body=bodies.ScheduleAssignment, answers={200: One[a.Schedule]}, errors=(409,)),

    Endpoint("GET", "/api/v1/campaigns", campaigns.list_campaigns, summary="List campaigns", tags=CAMPAIGNS,
             scope="read:analytics", query=bodies.Filter, answers={200: Many[a.Campaign]}),
    Endpoint("POST", "/api/v1/campaigns", campaigns.create_campaign, summary="Create a campaign", tags=CAMPAIGNS,
             **WRITE, body=bodies.NewCampaign, answers={201: One[a.Campaign]}),
    Endpoint("GET", CAMPAIGN, campaigns.get_campaign, summary="Get a campaign", tags=CAMPAIGNS, scope="read:analytics",
             answers={200: One[a.Campaign]}),
    Endpoint("PATCH", CAMPAIGN, campaigns.change_campaign, summary="Change a campaign", tags=CAMPAIGNS, **WRITE,
             body=bodies.CampaignChanges, versioned=True, answers={200: One[a.Campaign]}, errors=(409,)),
    Endpoint("PUT", CAMPAIGN, campaigns.put_campaign, summary="Change a campaign (as PATCH)", tags=CAMPAIGNS, **WRITE,
             body=bodies.CampaignChanges, versioned=True, answers={200: One[a.Campaign]}, errors=(409,)),
    Endpoint("DELETE", CAMPAIGN, campaigns.delete_campaign, summary="Delete a campaign", tags=CAMPAIGNS, **WRITE,
             answers=DONE),

    Endpoint("GET", "/api/v1/locations", locations.list_locations, summary="List locations", tags=LOCATIONS, **SEE,
             query=bodies.Filter, answers={200: Many[a.Location]}),
    Endpoint("POST", "/api/v1/locations", locations.create_location, summary="Create a location", tags=LOCATIONS,
             **MOVE, body=bodies.NewLocation, answers={201: One[a.LocationDetail]}),
    Endpoint("GET", LOCATION, locations.get_location, summary="Get a location", tags=LOCATIONS, **SEE,
             answers={200: One[a.LocationDetail]}),
    Endpoint("PATCH", LOCATION, locations.change_location, summary="Change a location", tags=LOCATIONS, **MOVE,
             body=bodies.LocationChanges, versioned=True, answers={200: One[a.LocationDetail]}),
    Endpoint("PUT", LOCATION, locations.put_location, summary="Change a location (as PATCH)", tags=LOCATIONS, **MOVE,
             body=bodies.LocationChanges, versioned=True, answers={200: One[a.LocationDetail]}),
    Endpoint("DELETE", LOCATION, locations.delete_location, summary="Delete a location", tags=LOCATIONS, **MOVE,
             answers=DONE),

    Endpoint("GET", "/api/v1/holidays", holidays.list_holidays, summary="List holidays", tags=HOLIDAYS, **READ,
             query=bodies.HolidayFilter, answers={200: Many[a.Holiday]}),
    Endpoint("POST", "/api/v1/holidays", holidays.create_holiday, summary="Create a holiday", tags=HOLIDAYS, **WRITE,
             body=bodies.NewHoliday, answers={201: One[a.Holiday]}),
    Endpoint("GET", HOLIDAY, holidays.get_holiday, summary="Get a holiday", tags=HOLIDAYS, **READ,
             answers={200: One[a.Holiday]}),
    Endpoint("PATCH", HOLIDAY, holidays.change_holiday, summary="Change a holiday", tags=HOLIDAYS, **WRITE,
             body=bodies.HolidayChanges, versioned=True, answers={200: One[a.Holiday]}),
    Endpoint("PUT", HOLIDAY, holidays.put_holiday, summary="Change a holiday (as PATCH)", tags=HOLIDAYS, **WRITE,
             body=bodies.HolidayChanges, versioned=True, answers={200: One[a.Holiday]}),
    Endpoint("DELETE", HOLIDAY, holidays.delete_holiday, summary="Delete a holiday", tags=HOLIDAYS, **WRITE,
             answers=DONE),
)  # fmt: skip
