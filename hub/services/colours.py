"""Colour spaces that a picture tells by numbers, as ICC profiles: one way for all of them to become sRGB."""

import struct
from collections.abc import Callable, Sequence
from typing import Final

Pair = tuple[float, float]
Row = tuple[float, float, float]
Matrix = tuple[Row, Row, Row]

SRGB_GAMMA: Final = 0.45455  # as PNG writes it
NEAR: Final = 0.02  # a gamma this near to it is meant to be it

_D65: Final = (0.3127, 0.3290)
BT709: Final = (_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
"""Points of CIE's xy plane: white, red, green and blue. Those of sRGB."""
_P3: Final = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_NTSC: Final = (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
_PRIMARIES: Final[dict[int, Sequence[Pair]]] = {  # by their numbers in ITU-T H.273
    1: BT709,
    5: (_D65, (0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),  # PAL
    6: _NTSC,
    7: _NTSC,
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    11: ((0.314, 0.351), *_P3),  # of cinemas
    12: (_D65, *_P3),  # of displays
}

_D50: Final = (0.9642, 1.0, 0.8249)  # the white of profiles
_BRADFORD: Final = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_STEPS: Final = 1_024  # of a curve


def by_gamma(points: Sequence[Pair], gamma: float) -> bytes | None:
    """The profile of PNG's gAMA and cHRM. None for what is meant as sRGB, and for points that are none."""
    if abs(gamma - SRGB_GAMMA) <= NEAR and tuple(points) == BT709:
        return None
    return _profile(points, _power(1 / gamma))


def by_number(primaries: int, transfer: int) -> bytes | None:
    """The profile of code points of ITU-T H.273. None for those that are not known."""
    points, curve = _PRIMARIES.get(primaries), _TRANSFERS.get(transfer)
    return None if points is None or curve is None else _profile(points, curve)


def _power(exponent: float) -> Callable[[float], float]:
    return lambda value: value**exponent


def _srgb(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


_TELEVISION: Final = _power(2.4)  # as screens show it (BT.1886)
_TRANSFERS: Final[dict[int, Callable[[float], float]]] = {
    1: _TELEVISION, 4: _power(2.2), 5: _power(2.8), 6: _TELEVISION, 8: _power(1), 13: _srgb, 14: _TELEVISION,
    15: _TELEVISION,
}  # fmt: skip
HDR: Final = frozenset({16, 18})
"""The transfers PQ and HLG: no plain curve. What they give is near to sRGB on a usual screen."""


def _profile(points: Sequence[Pair], curve: Callable[[float], float]) -> bytes | None:
    try:
        white, *colours = (_xyz(*point) for point in points)
        columns = _transposed(colours)
        shares = _times(_inverse(columns), white)
        to_d50 = _adaptation(white)
        tags = {b"wtpt": _numbers(_D50)}
        for name, colour, share in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colours, shares, strict=True):
            tags[name] = _numbers(_times(to_d50, _scaled(colour, share)))
        steps = [round(65_535 * curve(step / (_STEPS - 1))) for step in range(_STEPS)]
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), struct.pack(f">4sII{_STEPS}H", b"curv", 0, _STEPS, *steps))
        return _icc(tags)
    except (ArithmeticError, ValueError, struct.error):
        return None


def _icc(tags: dict[bytes, bytes]) -> bytes:
    """ICC.1, version 2.4: header, table and data of the tags."""
    table, data = struct.pack(">I", len(tags)), b""
    first = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", first + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = first + len(data)
    head = struct.pack(">I4sI4s4s4s12s4s", size, b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"", b"acsp")
    return head.ljust(68, b"\0") + _numbers(_D50)[8:].ljust(60, b"\0") + table + data


def _numbers(values: Sequence[float]) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(value * 65_536) for value in values))


def _xyz(x: float, y: float) -> Row:
    return x / y, 1.0, (1 - x - y) / y


def _adaptation(white: Row) -> Matrix:
    """From this white to that of profiles (Bradford)."""
    given, wanted = _times(_BRADFORD, white), _times(_BRADFORD, _D50)
    rows = [_scaled(row, b / a) for row, a, b in zip(_BRADFORD, given, wanted, strict=True)]
    back = _inverse(_BRADFORD)
    return _transposed([_times(back, column) for column in _transposed(rows)])


def _inverse(m: Sequence[Row]) -> Matrix:
    crosses = [_cross(m[1], m[2]), _cross(m[2], m[0]), _cross(m[0], m[1])]
    size = sum(a * b for a, b in zip(m[0], crosses[0], strict=True))
    return _transposed([_scaled(cross, 1 / size) for cross in crosses])


def _cross(a: Row, b: Row) -> Row:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _scaled(row: Row, by: float) -> Row:
    return row[0] * by, row[1] * by, row[2] * by


def _times(m: Sequence[Row], v: Row) -> Row:
    x, y, z = (sum(a * b for a, b in zip(row, v, strict=True)) for row in m)
    return x, y, z


def _transposed(m: Sequence[Row]) -> Matrix:
    return (m[0][0], m[1][0], m[2][0]), (m[0][1], m[1][1], m[2][1]), (m[0][2], m[1][2], m[2][2])
