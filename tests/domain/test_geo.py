"""Areas anywhere on the globe."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain import geo
from hub.domain.geo import Area, Effort, Point, TooIntricate, unwrapped

SUVA, APIA, AUCKLAND = (-18.14, 178.44), (-13.83, -171.76), (-36.85, 174.76)
TAVEUNI = (-16.8, -179.95)  # the antimeridian crosses this island
MCMURDO, LONGYEARBYEN, QUITO = (-77.85, 166.67), (78.22, 15.65), (-0.18, -78.47)


def ring(*points: Point) -> Area:
    return Area(polygons=(unwrapped((*points, points[0])),))


def reached(areas: Iterable[Area], places: Iterable[tuple[int, Point]]) -> list[int]:
    return geo.reached(areas, places, Effort(1_000_000))


def names(area: Area, **points: Point) -> set[str]:
    return {name for name, point in points.items() if reached([area], [(1, point)])}


ISLANDS = {"suva": SUVA, "apia": APIA, "auckland": AUCKLAND, "taveuni": TAVEUNI, "quito": QUITO}


@pytest.mark.parametrize(
    "corners",
    [
        [(-15.0, 176.0), (-15.0, -178.0), (-20.0, -178.0), (-20.0, 176.0)],
        [(-20.0, -178.0), (-20.0, 176.0), (-15.0, 176.0), (-15.0, -178.0)],
        [(-15.0, 176.0), (-15.0, 180.0), (-15.0, -180.0), (-15.0, -178.0), (-20.0, -178.0), (-20.0, 176.0)],
    ],
)
def test_a_polygon_across_the_antimeridian(corners: list[Point]) -> None:
    assert names(ring(*corners), **ISLANDS) == {"suva", "taveuni"}


def test_polygons_that_end_at_the_antimeridian_from_either_side() -> None:
    west = ring((-15.0, 176.0), (-15.0, 180.0), (-20.0, 180.0), (-20.0, 176.0))
    east = ring((-15.0, -180.0), (-15.0, -178.0), (-20.0, -178.0), (-20.0, -180.0))
    assert names(west, **ISLANDS) == {"suva"}
    assert names(east, **ISLANDS) == {"taveuni"}
    on_it = (-16.8, 180.0)
    assert names(west, here=on_it, same=(-16.8, -180.0)) == {"here", "same"}
    assert names(east, here=on_it, same=(-16.8, -180.0)) == {"here", "same"}


def test_a_ring_around_a_pole_contains_the_pole() -> None:
    places = {"mcmurdo": MCMURDO, "longyearbyen": LONGYEARBYEN, "quito": QUITO, "pole": (-90.0, 0.0)}
    south = ring(*((-60.0, float(longitude)) for longitude in range(-180, 180, 90)))
    assert names(south, **places) == {"mcmurdo", "pole"}
    north = ring(*((70.0, float(longitude)) for longitude in range(170, -190, -60)))
    assert names(north, **places) == {"longyearbyen"}


def test_a_band_and_the_whole_world() -> None:
    places = {"mcmurdo": MCMURDO, "longyearbyen": LONGYEARBYEN, "quito": QUITO, "suva": SUVA}
    band = ring((-23.5, -180.0), (-23.5, 180.0), (23.5, 180.0), (23.5, -180.0))
    assert names(band, **places) == {"quito", "suva"}
    world = ring((-90.0, -180.0), (90.0, -180.0), (90.0, 180.0), (-90.0, 180.0))
    assert names(world, **places) == set(places)


def test_circles_across_the_antimeridian_and_over_a_pole() -> None:
    assert names(Area(circles=((SUVA, 300.0),)), **ISLANDS) == {"suva", "taveuni"}
    assert names(Area(circles=(((90.0, 0.0), 1_400.0),)), longyearbyen=LONGYEARBYEN, quito=QUITO) == {"longyearbyen"}


@given(
    turn=st.floats(-180, 180),
    latitude=st.floats(-60, 60),
    y=st.floats(-4, 4).filter(lambda value: abs(abs(value) - 2) > 0.01),
    x=st.floats(-10, 10).filter(lambda value: abs(abs(value) - 5) > 0.01),
)
def test_a_polygon_reaches_the_same_places_wherever_on_the_globe_it_is_moved(
    turn: float, latitude: float, y: float, x: float
) -> None:
    def moved(north: float, east: float) -> Point:
        return latitude + north, (turn + east + 180) % 360 - 180

    area = ring(moved(-2, -5), moved(-2, 5), moved(2, 5), moved(2, -5))
    assert reached([area], [(1, moved(y, x))]) == ([1] if abs(y) < 2 and abs(x) < 5 else [])


DEGREES = st.integers(-6, 6)
CORNERS = st.lists(st.tuples(DEGREES.map(lambda n: n * 15.0), DEGREES.map(lambda n: n * 30.0)), min_size=3, max_size=8)
CIRCLES = st.lists(st.tuples(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), st.floats(0, 12_000)), max_size=3)
EVERYWHERE = [(y * 15.0, x * 30.0) for y in range(-6, 7) for x in range(-6, 7)]


@given(st.lists(CORNERS, max_size=3), CIRCLES)
def test_many_places_are_found_as_each_would_be_alone(
    rings: list[list[Point]], circles: list[tuple[Point, float]]
) -> None:
    area = Area(tuple(unwrapped((*corners, corners[0])) for corners in rings), tuple(circles))
    alone = [number for number, point in enumerate(EVERYWHERE) if reached([area], [(number, point)])]
    assert reached([area], enumerate(EVERYWHERE)) == alone
    parts = [Area((one,)) for one in area.polygons] + [Area((), (one,)) for one in circles]
    assert reached(parts, enumerate(EVERYWHERE)) == alone


def test_work_ends_where_an_area_is_made_to_take_very_much_of_it() -> None:
    places = [(number, (40 + number / 100, float(number % 90))) for number in range(1_000)]
    rough = [math.cos(number) / 50 for number in range(5_000)]
    turns = [2 * math.pi * number / 5_000 for number in range(5_000)]
    coast = ring(
        *((45 + (5 + r) * math.sin(turn), 45 + (40 + r) * math.cos(turn)) for r, turn in zip(rough, turns, strict=True))
    )
    everything = Area(circles=(((45.0, 45.0), 5_000.0),) * 5)
    assert len(geo.reached([coast, everything], places, Effort(100_000))) > 100
    to_and_fro = ring(*((40.0 + 10 * (number % 2), number / 60) for number in range(5_000)))
    around = Area(circles=(((45.0, -90.0), 3_000.0),) * 1_000)
    slivers = Area(polygons=((((40.0, -1.0), (50.0, -1.0), (50.0, -1.1), (40.0, -1.0))),) * 1_000)
    for area in (to_and_fro, around, slivers):
        with pytest.raises(TooIntricate):
            geo.reached([area], places, Effort(100_000))
