"""How to pair this screen, as mpv draws it: an overlay in the language of its subtitles (ASS), over whatever plays.

A light card with the QR code on the left, since phones look for dark on light, and beside it what a person types.
"""

from device_agent.players.base import PairingCard
from device_agent.players.mpv_banner import CHARACTER, HEIGHT, PLAIN, WIDTH, bgr, plain

CARD_HEIGHT = 600  # units of the drawing, as all lengths here
QR_SIZE = 480
MARGIN = 70  # the light margin that a QR code needs is four modules, and none is larger than 17
COLUMN = 760  # width of the texts
LARGEST, SMALLEST = 46, 18  # heights of the line with the address
PAPER, INK, SOFT = "FAFAF7", "14161A", "565B66"


def drawing(card: PairingCard) -> str:
    width = MARGIN + COLUMN + MARGIN + (QR_SIZE + MARGIN if card.qr_code else 0)
    left, top = (WIDTH - width) // 2, (HEIGHT - CARD_HEIGHT) // 2
    column = left + width - MARGIN - COLUMN
    size = max(SMALLEST, min(LARGEST, int(COLUMN / (max(1, len(card.uri)) * CHARACTER))))
    how = "Scan the code, or enter it at" if card.qr_code else "Enter the code at"
    return "\n".join(
        (
            _shape(left, top, PAPER, f"m 0 0 l {width} 0 {width} {CARD_HEIGHT} 0 {CARD_HEIGHT}"),
            *_qr_code(left + MARGIN, (HEIGHT - QR_SIZE) // 2, card.qr_code),
            _text(column, top + 62, 46, SOFT, "Pair this screen"),
            _text(column, top + 112, 164, INK, card.code, r"\b1\fsp10"),
            _text(column, top + 318, 38, SOFT, how),
            _text(column, top + 368, size, INK, card.uri),
            _text(column, top + 484, 38, SOFT, card.device),
        )
    )


def _qr_code(x: int, y: int, rows: tuple[str, ...]) -> list[str]:
    """One shape of all dark modules: those that touch leave no gap at any size of the screen."""
    if not rows:
        return []
    module = QR_SIZE // len(rows)
    inset = (QR_SIZE - module * len(rows)) // 2
    shapes = []
    for number, row in enumerate(rows):
        above, below = number * module, (number + 1) * module
        for start in range(len(row)):
            if row[start] == "1" and (start == 0 or row[start - 1] == "0"):
                end = (row + "0").index("0", start)
                right = end * module
                shapes.append(f"m {start * module} {above} l {right} {above} {right} {below} {start * module} {below}")
    return [_shape(x + inset, y + inset, INK, " ".join(shapes))]


def _shape(x: int, y: int, colour: str, path: str) -> str:
    return rf"{{\an7\pos({x},{y}){PLAIN}\1c{bgr(colour)}\1a&H00&\p1}}{path}{{\p0}}"


def _text(x: int, y: int, size: int, colour: str, text: str, style: str = "") -> str:
    return rf"{{\an7\pos({x},{y}){PLAIN}\1c{bgr(colour)}\1a&H00&\q2\fs{size}{style}}}{plain(text)}"
