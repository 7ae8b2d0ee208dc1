"""The weather of the places that schedules ask about, as far as it is known.

A reading is asked for over HTTP, from a service that answers as Open-Meteo does: `{"current": {"temperature_2m": 21.4,
"weather_code": 3}}`, degrees Celsius and the code of WMO table 4677; either may be missing.
"""

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson

from hub.bus.base import Bus
from hub.domain.times import HOUR, MINUTE, SECOND, is_due, now_ms
from hub.domain.weather import Sky, word_of

PLACES = 1_000  # remembered; the ones that were asked about longest ago are forgotten first
ASKED_MS = HOUR  # a place that nobody asks about any more is not read any more
AT_ONCE = 4  # questions under way, so that a slow service is no burden to the hub
ANSWER_LIMIT = 65_536  # bytes; an answer has some hundred
AGAIN_MS = MINUTE  # after a question without an answer
KNOWN_FOR = 4  # readings may fail until the weather counts as unknown again

log = logging.getLogger(__name__)

Degrees = tuple[float, float]
"""Latitude and longitude."""


@dataclass(slots=True)
class _Place:
    asked_at: int
    due_at: int = 0
    sky: Sky | None = None


class Weather:
    """`url` has `{latitude}` and `{longitude}`; empty: no weather is known. `every_s` is how long a reading is good.

    When the weather of a place has changed, ("weather", None) is published.
    """

    def __init__(
        self, bus: Bus, url: str = "", *, every_s: float = 900, timeout_s: float = 5, clock: Callable[[], int] = now_ms
    ) -> None:
        self._bus = bus
        self._url = url
        self._every = int(every_s * SECOND)
        self._timeout_s = timeout_s
        self._clock = clock
        self._places: OrderedDict[Degrees, _Place] = OrderedDict()

    def sky(self, degrees: Degrees) -> Sky | None:
        """The weather there, as it was last read; None: not known, or known too long ago. Asking for a place is what
        has it read."""
        if not self._url:
            return None
        key = (round(degrees[0], 2), round(degrees[1], 2))  # a kilometre apart the weather is the same
        now = self._clock()
        place = self._places.setdefault(key, _Place(now))
        place.asked_at = now
        self._places.move_to_end(key)
        while len(self._places) > PLACES:
            self._places.popitem(last=False)
        known = place.sky is not None and now - place.sky.at <= KNOWN_FOR * self._every
        return place.sky if known else None

    async def refresh(self) -> None:
        """Read what is due."""
        now = self._clock()
        for degrees in [degrees for degrees, place in self._places.items() if now - place.asked_at > ASKED_MS]:
            del self._places[degrees]
        due = {degrees: place for degrees, place in self._places.items() if is_due(place.due_at, now, self._every)}
        if not due:
            return
        turn = asyncio.Semaphore(AT_ONCE)
        async with httpx2.AsyncClient(timeout=self._timeout_s, follow_redirects=False) as client:
            changed = await asyncio.gather(*(self._read(client, turn, *one) for one in due.items()))
        if any(changed):
            self._bus.publish(("weather", None))

    async def _read(self, client: httpx2.AsyncClient, turn: asyncio.Semaphore, at: Degrees, place: _Place) -> bool:
        """Whether the weather there is another one now."""
        before = place.sky
        place.due_at = self._clock() + self._every
        try:
            async with turn, asyncio.timeout(self._timeout_s):
                sky = _sky(await self._ask(client, at), self._clock())
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            log.warning("no weather for %s, %s: %s", *at, str(error) or type(error).__name__)
            place.due_at = self._clock() + min(AGAIN_MS, self._every)
            return before is not None and self._clock() - before.at > KNOWN_FOR * self._every
        place.sky = sky
        return before is None or (before.celsius, before.word) != (sky.celsius, sky.word)

    async def _ask(self, client: httpx2.AsyncClient, at: Degrees) -> Any:
        url = self._url.replace("{latitude}", f"{at[0]:g}").replace("{longitude}", f"{at[1]:g}")
        body = bytearray()
        # As it is on the wire: of a compressed answer a few bytes may be gigabytes.
        async with client.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
            response.raise_for_status()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > ANSWER_LIMIT:
                    raise ValueError("the answer is too long")
        return orjson.loads(bytes(body))


def _sky(answer: Any, at: int) -> Sky:
    """Raises ValueError when there is nothing in the answer that we know."""
    current = answer.get("current") if isinstance(answer, dict) else None
    current = current if isinstance(current, dict) else {}
    celsius: Any = current.get("temperature_2m")
    code: Any = current.get("weather_code")
    degrees = float(celsius) if _is_number(celsius) else None
    word = word_of(int(code)) if _is_number(code) else None
    if degrees is None and word is None:
        raise ValueError("the answer names neither a temperature nor a weather code")
    return Sky(degrees, word, at)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
