"""Rules that raise alerts by themselves, and the incidents that they open."""

from typing import Any

from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import Done, Many, One
from hub.api.v1.incidents import answers as a
from hub.api.v1.incidents import bodies, incidents, rules

READ: dict[str, Any] = {"scope": "read:players"}
WRITE: dict[str, Any] = {"scope": "write:players"}

RULES, INCIDENTS = ("Alert rules",), ("Incidents",)

RULE, INCIDENT = "/api/v1/alert-rules/{rule_id:int}", "/api/v1/incidents/{incident_id:int}"

ENTRIES = (
    Endpoint("GET", "/api/v1/alert-rules", rules.list_rules, summary="List alert rules", tags=RULES, **READ,
             query=bodies.RuleFilter, answers={200: Many[a.AlertRule]}),
    Endpoint("POST", "/api/v1/alert-rules", rules.create_rule, summary="Create an alert rule", tags=RULES, **WRITE,
             body=bodies.NewRule, answers={201: One[a.AlertRule]}, errors=(409,)),
    Endpoint("GET", RULE, rules.get_rule, summary="Get an alert rule", tags=RULES, **READ,
             answers={200: One[a.AlertRule]}),
    Endpoint("PATCH", RULE, rules.change_rule, summary="Change an alert rule", tags=RULES, **WRITE,
             body=bodies.RuleChanges, versioned=True, answers={200: One[a.AlertRule]}),
    Endpoint("DELETE", RULE, rules.delete_rule, summary="Delete an alert rule", tags=RULES, **WRITE,
             answers={200: Done}),

    Endpoint("GET", "/api/v1/incidents", incidents.list_incidents, summary="List incidents", tags=INCIDENTS, **READ,
             query=bodies.IncidentFilter, answers={200: Many[a.Incident]}),
    Endpoint("GET", INCIDENT, incidents.get_incident, summary="Get an incident", tags=INCIDENTS, **READ,
             answers={200: One[a.Incident]}),
    Endpoint("POST", INCIDENT + "/resolve", incidents.resolve_incident, summary="Resolve an incident", tags=INCIDENTS,
             **WRITE, body=bodies.Remark, answers={200: One[a.Incident]}),
    Endpoint("POST", INCIDENT + "/acknowledge", incidents.acknowledge_incident, summary="Acknowledge an incident",
             tags=INCIDENTS, **WRITE, body=bodies.Remark, answers={200: One[a.Incident]}, errors=(409,)),
)  # fmt: skip
