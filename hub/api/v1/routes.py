"""All of /api/v1. Spot's own calls (`owner="spot"`) keep to its document; everything else is ours."""

from hub.api.v1.analytics.routes import ENTRIES as ANALYTICS
from hub.api.v1.content.routes import ENTRIES as CONTENT
from hub.api.v1.devices.routes import ENTRIES as DEVICES
from hub.api.v1.incidents.routes import ENTRIES as INCIDENTS
from hub.api.v1.people.routes import ENTRIES as PEOPLE
from hub.api.v1.playback.routes import ENTRIES as PLAYBACK
from hub.api.v1.programs.routes import ENTRIES as PROGRAMS
from hub.api.v1.signage.routes import ENTRIES as SIGNAGE

ENTRIES = (
    *DEVICES,
    *CONTENT,
    *PEOPLE,
    *PLAYBACK,
    *SIGNAGE,
    *INCIDENTS,
    *ANALYTICS,
    *PROGRAMS,
)
