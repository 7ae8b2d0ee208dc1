"""Messages of CAP 1.2 for tests, made up after the standard's structure."""

from typing import Any

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
SQUARE = "52.0,13.0 53.0,13.0 53.0,14.0 52.0,14.0 52.0,13.0"  # around Berlin


def message(
    *infos: str, identifier: str = "storm-1", sent: str = "2026-11-29T10:00:00+01:00", references: str = "", **root: Any
) -> bytes:
    elements = {"sender": "warnings@weather.example", "sent": sent, "status": "Actual", "msgType": "Alert"}
    elements |= {"scope": "Public"} | root
    lines = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())
    refers = f"<references>{references}</references>" if references else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><alert xmlns="{NAMESPACE}"><identifier>{identifier}</identifier>'
        f"{lines}{refers}{''.join(infos)}</alert>"
    ).encode()


def info(
    *, area: str = f"<polygon>{SQUARE}</polygon>", language: str = "en-GB", headline: str = "Severe gale", **more: Any
) -> str:
    elements = {
        "language": language,
        "category": "Met",
        "event": "gale",
        "urgency": "Immediate",
        "severity": "Severe",
        "certainty": "Observed",
        "expires": "2099-11-29T22:00:00+01:00",
        "headline": headline,
        "description": "Gusts of 110 km/h.\nTrees may fall.",
        "instruction": "Stay inside.",
    } | more
    lines = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items() if value)
    return f"<info>{lines}<area><areaDesc>Somewhere</areaDesc>{area}</area></info>"


def key(identifier: str = "storm-1", sent: str = "2026-11-29T10:00:00+01:00") -> str:
    return f"warnings@weather.example,{identifier},{sent}"
