"""Alerts, versions of the player software, licences."""

from typing import Any

from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import Done, Many, One
from hub.api.v1.signage import alerts, bodies, licences, releases
from hub.api.v1.signage import answers as a

READ: dict[str, Any] = {"scope": "read:players"}
WRITE: dict[str, Any] = {"scope": "write:players"}
ADMIN: dict[str, Any] = {"scope": "admin"}

ALERTS, RELEASES, LICENCES = ("Alerts",), ("Releases",), ("Licences",)

ALERT, RELEASE = "/api/v1/alerts/{alert_id:int}", "/api/v1/releases/{release_id:int}"
LICENCE = "/api/v1/licences/{licence_id:int}"
DONE: Any = {200: Done}

ENTRIES = (
    Endpoint("GET", "/api/v1/alerts", alerts.list_alerts, summary="List alerts", tags=ALERTS, **READ,
             query=bodies.AlertFilter, answers={200: Many[a.Alert]}),
    Endpoint("POST", "/api/v1/alerts", alerts.create_alert, summary="Raise an alert", tags=ALERTS, **WRITE,
             body=bodies.NewAlert, answers={201: One[a.Alert]}, errors=(409,)),
    Endpoint("POST", "/api/v1/alerts/cap", alerts.receive_cap, summary="Send a CAP message", tags=ALERTS, **WRITE,
             query=bodies.CapQuery, texts=alerts.CAP, answers={200: One[a.CapReceived], 201: One[a.CapReceived]},
             errors=(404, 409, 413, 415, 422)),
    Endpoint("GET", ALERT, alerts.get_alert, summary="Get an alert", tags=ALERTS, **READ, answers={200: One[a.Alert]}),
    Endpoint("PATCH", ALERT, alerts.change_alert, summary="Change an alert", tags=ALERTS, **WRITE,
             body=bodies.AlertChanges, versioned=True, answers={200: One[a.Alert]}, errors=(409,)),
    Endpoint("POST", ALERT + "/clear", alerts.clear_alert, summary="Clear an alert", tags=ALERTS, **WRITE,
             answers={200: One[a.Alert]}),
    Endpoint("DELETE", ALERT, alerts.delete_alert, summary="Delete an alert", tags=ALERTS, **WRITE, answers=DONE),

    Endpoint("GET", "/api/v1/releases", releases.list_releases, summary="List releases", tags=RELEASES, **READ,
             answers={200: Many[a.Release]}),
    Endpoint("POST", "/api/v1/releases", releases.create_release, summary="Add a release", tags=RELEASES, **ADMIN,
             body=bodies.NewRelease, answers={201: One[a.Release]}, errors=(409,)),
    Endpoint("GET", RELEASE, releases.get_release, summary="Get a release", tags=RELEASES, **READ,
             answers={200: One[a.Release]}),
    Endpoint("PATCH", RELEASE, releases.change_release, summary="Change a release", tags=RELEASES, **ADMIN,
             body=bodies.ReleaseChanges, versioned=True, answers={200: One[a.Release]}, errors=(409,)),
    Endpoint("DELETE", RELEASE, releases.delete_release, summary="Delete a release", tags=RELEASES, **ADMIN,
             answers=DONE),

    Endpoint("GET", "/api/v1/licences", licences.list_licences, summary="List licences", tags=LICENCES, **ADMIN,
             answers={200: Many[a.Licence]}),
    Endpoint("POST", "/api/v1/licences", licences.create_licence, summary="Make a licence", tags=LICENCES, **ADMIN,
             body=bodies.NewLicence, answers={201: One[a.Licence]}, errors=(409,)),
    Endpoint("GET", LICENCE, licences.get_licence, summary="Get a licence", tags=LICENCES, **ADMIN,
             answers={200: One[a.Licence]}),
    Endpoint("PATCH", LICENCE, licences.change_licence, summary="Change or move a licence", tags=LICENCES, **ADMIN,
             body=bodies.LicenceChanges, versioned=True, answers={200: One[a.Licence]}),
    Endpoint("DELETE", LICENCE, licences.delete_licence, summary="Delete a licence", tags=LICENCES, **ADMIN,
             answers=DONE),
)  # fmt: skip
