"""Areas on the globe, given by polygons and circles, and which points lie in them.

Degrees of latitude and longitude (WGS 84). The edges of a polygon are straight on a plate carrée map, flat enough at
the size of a warning. An edge takes the shorter way round the globe, so a polygon may cross the antimeridian, and a
ring around a pole contains that pole.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

EARTH_KM: Final = 6_371.0

Point = tuple[float, float]
"""Latitude and longitude in degrees."""


@dataclass(frozen=True, slots=True)
class Area:
    polygons: tuple[tuple[Point, ...], ...] = ()
    """Closed rings as `unwrapped` makes them."""
    circles: tuple[tuple[Point, float], ...] = ()
    """Centre and radius in km."""


class TooIntricate(Exception):
    """Whether places lie in these areas takes more work than was granted."""


class Effort:
    """Work that may still be done: a place held against an edge or a circle once is one."""

    def __init__(self, comparisons: int) -> None:
        self._left = comparisons

    def spend(self, comparisons: int) -> None:
        """Raises TooIntricate before there is none left."""
        self._left -= comparisons
        if self._left < 0:
            raise TooIntricate


def reached(areas: Iterable[Area], places: Iterable[tuple[int, Point]], effort: Effort) -> list[int]:
    """Which of the (id, point) lie in one of the areas, their borders included. Raises TooIntricate.

    From south to north, so that an edge meets only the places of its latitudes; when most of them are in, those are
    asked no more.
    """
    known = list(places)
    outside = sorted((y, x, index) for index, (_, (y, x)) in enumerate(known))
    inside: set[int] = set()
    for area in areas:
        for hits in (_in_polygons(outside, area.polygons, effort), _in_circles(outside, area.circles, effort)):
            for found in hits:
                inside |= found
                if len(inside) - (len(known) - len(outside)) > len(outside) // 2:  # seldom: it costs as much as a look
                    outside[:] = [place for place in outside if place[2] not in inside]
    return [number for index, (number, _) in enumerate(known) if index in inside]


def unwrapped(ring: Sequence[Point]) -> tuple[Point, ...]:
    """A closed ring (its last point is its first) on a map without a seam: longitudes may lie beyond 180 degrees."""
    points = [ring[0]]
    for latitude, longitude in ring[1:]:
        before = points[-1][1]
        points.append((latitude, longitude - 360 * _turns(longitude - before)))
    (_, first), (_, last) = points[0], points[-1]
    if first != last:  # once round a pole: the nearer one is inside
        pole = 90.0 if sum(latitude for latitude, _ in points) > 0 else -90.0
        points += [(pole, last), (pole, first), points[0]]
    elif _has_no_inside(points) and not _has_no_inside(ring):
        return tuple(ring)  # edges from -180 to 180 that are meant to go all the way round: a band, or the whole world
    return tuple(points)


def _turns(step: float) -> int:
    """How often 360 degrees must be taken off a step in longitude to make it one of at most 180 degrees."""
    return math.ceil((abs(step) - 180) / 360) * (1 if step > 0 else -1) if abs(step) > 180 else 0


def _has_no_inside(ring: Sequence[Point]) -> bool:
    return math.isclose(sum(x1 * y2 - x2 * y1 for (y1, x1), (y2, x2) in pairwise(ring)), 0.0, abs_tol=1e-9)


_Placed = tuple[float, float, int]
"""Latitude, longitude, and whose they are. Lists of them are sorted."""


def _between(places: Sequence[_Placed], south: float, north: float) -> Sequence[_Placed]:
    return places[bisect_left(places, (south,)) : bisect_right(places, (north, math.inf))]


def _in_polygons(places: Sequence[_Placed], polygons: Iterable[Sequence[Point]], effort: Effort) -> Iterator[set[int]]:
    """The polygons may lie a turn further east or west than the places."""
    for polygon in polygons:
        latitudes, longitudes = [y for y, _ in polygon], [x for _, x in polygon]
        west, east = min(longitudes), max(longitudes)
        near = _between(places, min(latitudes), max(latitudes))
        effort.spend(len(near))
        candidates = [
            (y, x + turn, index) for y, x, index in near for turn in (-360.0, 0.0, 360.0) if west <= x + turn <= east
        ]
        yield _in_plane(candidates, polygon, effort) if candidates else set()


def _in_plane(places: Sequence[_Placed], polygon: Sequence[Point], effort: Effort) -> set[int]:
    """By counting the borders to the east; on a border counts as inside."""
    heights = [y for y, _, _ in places]
    inside = [False] * len(places)
    found: set[int] = set()
    for (y1, x1), (y2, x2) in pairwise(polygon):
        low, high, west, east = min(y1, y2), max(y1, y2), min(x1, x2), max(x1, x2)
        met = range(bisect_left(heights, low), bisect_right(heights, high))
        effort.spend(len(met))
        for number in met:
            y, x, index = places[number]
            if west <= x <= east and math.isclose((y2 - y1) * (x - x1), (x2 - x1) * (y - y1), abs_tol=1e-12):
                found.add(index)
            elif (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                inside[number] = not inside[number]
    found.update(index for (_, _, index), is_in in zip(places, inside, strict=True) if is_in)
    return found


def _in_circles(
    places: Sequence[_Placed], circles: Iterable[tuple[Point, float]], effort: Effort
) -> Iterator[set[int]]:
    for centre, radius in circles:
        reach = math.degrees(radius / EARTH_KM) + 1e-9  # degrees of latitude, and what rounding may take
        aside = 180.0  # degrees of longitude: all of them where a pole is inside
        if abs(centre[0]) + reach < 90:
            aside = math.degrees(math.asin(math.sin(math.radians(reach)) / math.cos(math.radians(centre[0])))) + 1e-6
        near = _between(places, centre[0] - reach, centre[0] + reach)
        effort.spend(len(near))
        yield {
            index
            for y, x, index in near
            if abs((x - centre[1] + 180) % 360 - 180) <= aside and _distance_km((y, x), centre) <= radius
        }


def _distance_km(one: Point, other: Point) -> float:
    (y1, x1), (y2, x2) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    half = math.sin((y2 - y1) / 2) ** 2 + math.cos(y1) * math.cos(y2) * math.sin((x2 - x1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
