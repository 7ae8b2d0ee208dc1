"""Areas on the globe, given by polygons and circles, and which points lie in them.

Degrees of latitude and longitude (WGS 84). The edges of a polygon are straight on a plate carrée map, flat enough at
the size of a warning. An edge takes the shorter way round the globe, so a polygon may cross the antimeridian, and a
ring around a pole contains that pole.
"""

import math
from collections.abc import Iterable, Sequence
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

    def contains(self, point: Point) -> bool:
        return any(_in_polygon(point, polygon) for polygon in self.polygons) or any(
            _distance_km(point, centre) <= radius for centre, radius in self.circles
        )


def reached(areas: Iterable[Area], places: Iterable[tuple[int, Point]]) -> list[int]:
    """Which of the (id, point) lie in one of the areas, their borders included."""
    some = list(areas)
    return [number for number, point in places if any(area.contains(point) for area in some)]


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


def _in_polygon(point: Point, polygon: Sequence[Point]) -> bool:
    """The polygon may lie a turn further east or west than the point."""
    y, x = point
    return any(_in_plane((y, x + turn), polygon) for turn in (0.0, -360.0, 360.0))


def _in_plane(point: Point, polygon: Sequence[Point]) -> bool:
    """By counting the borders to the east; on a border counts as inside."""
    y, x = point
    inside = False
    for (y1, x1), (y2, x2) in pairwise(polygon):
        near = min(y1, y2) <= y <= max(y1, y2) and min(x1, x2) <= x <= max(x1, x2)
        if near and math.isclose((y2 - y1) * (x - x1), (x2 - x1) * (y - y1), abs_tol=1e-12):
            return True
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def _distance_km(one: Point, other: Point) -> float:
    (y1, x1), (y2, x2) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    half = math.sin((y2 - y1) / 2) ** 2 + math.cos(y1) * math.cos(y2) * math.sin((x2 - x1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
