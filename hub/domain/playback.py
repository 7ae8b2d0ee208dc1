"""What is shown: playlists, layouts and their zones, campaigns. Limits and checks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from hub.domain.errors import Invalid

Transition = Literal["none", "fade", "slide", "zoom"]

MAX_ITEMS: Final = 1_000  # of one playlist
MAX_ZONES: Final = 20  # of one layout: as many as a screen can show legibly
MAX_TARGETS: Final = 1_000  # of one schedule; more players than that are a group or a location
MAX_ITEM_S: Final = 86_400  # a day
MICROS: Final = 1_000_000  # in one unit of a currency
MAX_PRICE: Final = 1_000_000  # units of a currency for one showing

_PRICE = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?")
_ROUNDING = 0.001  # percent: three zones of 33.3333 may end a hair beyond the canvas
_NOT_ZONES = ("localtime", "posix", "right/")  # files beside the zones, or other readings of them

CURRENCIES: Final = frozenset(
    """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
    CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD
    MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB
    RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
    UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG""".split()  # noqa: SIM905
)
"""The money in circulation, by ISO 4217."""

TARGET_KINDS: Final[Mapping[str, str]] = {
    "player": "player",
    "device": "player",
    "screen": "player",
    "group": "group",
    "device_group": "group",
    "location": "location",
}
"""What a schedule may be for, by the words of all faces, and our own word."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What something is for. `kind` is player, group or location."""

    kind: str
    id: int

    @classmethod
    def read(cls, kind: str, number: int) -> "Target":
        """By any face's word. Raises Invalid (`targets`)."""
        if kind not in TARGET_KINDS:
            raise Invalid.field("targets", f"must have targets of the types {', '.join(TARGET_KINDS)}")
        return cls(TARGET_KINDS[kind], number)


def checked_zones(zones: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Zones as they are kept: in percent of the canvas with four places, each inside it, each playing one thing or
    nothing. They may lie over one another: a later one is in front. Raises Invalid (`zones.0.width`)."""
    if len(zones) > MAX_ZONES:
        raise Invalid.field("zones", f"must have at most {MAX_ZONES} entries")
    kept = []
    for index, zone in enumerate(zones):
        where = f"zones.{index}."
        box = {side: round(float(zone[side]), 4) for side in ("x", "y", "width", "height")}
        for start, length in (("x", "width"), ("y", "height")):
            if not 0 <= box[start] <= 100:
                raise Invalid.field(where + start, "must be a place in percent of the canvas, from 0 to 100")
            if box[length] <= 0 or box[start] + box[length] > 100 + _ROUNDING:
                raise Invalid.field(where + length, "must be more than 0 and end inside the canvas")
        if zone.get("playlist_id") is not None and zone.get("asset_id") is not None:
            raise Invalid.field(where + "asset_id", "must not come with a playlist_id: a zone has one of them")
        content = {name: zone.get(name) for name in ("playlist_id", "asset_id")}
        kept.append({"name": zone.get("name") or f"Zone {index + 1}", "position": index + 1} | box | content)
    return kept


def price_micros(price: str) -> int:
    """Millionths of the currency's unit in a decimal number such as `0.05`. Raises Invalid (`price`)."""
    units, _, places = price.partition(".")
    if not _PRICE.fullmatch(price) or (micros := int(units) * MICROS + int(places.ljust(6, "0"))) > MAX_PRICE * MICROS:
        raise Invalid.field("price", f"must be a number from 0 to {MAX_PRICE:,} with at most six places, such as 0.05")
    return micros


def price(micros: int) -> str:
    """`0.05` for 50,000 millionths: at least two places, as prices are written."""
    units, rest = divmod(micros, MICROS)
    places = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{units}.{places}"


def checked_currency(code: str) -> str:
    """An ISO 4217 code in capitals. Raises Invalid (`currency`)."""
    if code.upper() not in CURRENCIES:
        raise Invalid.field("currency", "must be the three letters of a currency, such as EUR")
    return code.upper()


def checked_zone_name(name: str) -> str:
    """An IANA time zone that there is, such as Europe/Berlin. Raises Invalid (`timezone`)."""
    try:
        if not name.startswith(_NOT_ZONES):
            return ZoneInfo(name).key
    except (LookupError, ValueError, OSError):  # unknown, not a name at all, or the name of a folder
        pass
    raise Invalid.field("timezone", "must be the IANA name of a time zone, such as Europe/Berlin")


def checked_day(field: str, text: str) -> str:
    """A date as YYYY-MM-DD. Raises Invalid (`field`)."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise Invalid.field(field, "must be a date as YYYY-MM-DD")


def checked_span(start_date: str | None, end_date: str | None) -> None:
    """Both dates, where given, and in this order. Raises Invalid (`start_date`, `end_date`)."""
    for field, day in (("start_date", start_date), ("end_date", end_date)):
        if day is not None:
            checked_day(field, day)
    if start_date and end_date and end_date < start_date:
        raise Invalid.field("end_date", "must not be before start_date")
