"""How to pair this screen, as mpv draws it, over whatever plays.

A light card with the QR code, since phones look for dark on light, and what a person types: beside the code on a wide
screen, below it on a narrow one.
"""

from device_agent.players.base import PairingCard
from device_agent.players.mpv_drawing import BOLD, Canvas, Drawing, extent, shape, text

TEXT_HEIGHT, COLUMN = 480, 760  # of the texts, in units of the drawing, as all lengths here
QR_SIZE = 480
MARGIN = 70  # the light margin that a QR code needs is four modules, and none is larger than 17
EDGE = 20  # between the card and the edge of the screen
SPACING = 10  # between the letters of the code
LARGEST_CODE, LARGEST = 164, 46  # sizes of the code and of the line with the address
SMALLEST = 8
PAPER, INK, SOFT = "FAFAF7", "14161A", "565B66"


def drawing(card: PairingCard, canvas: Canvas) -> Drawing:
    code = QR_SIZE + MARGIN if card.qr_code else 0
    beside = (MARGIN + code + COLUMN + MARGIN, MARGIN + TEXT_HEIGHT + MARGIN)
    below = (COLUMN + 2 * MARGIN, MARGIN + code + TEXT_HEIGHT + MARGIN)
    grounds = [canvas.holding(width + 2 * EDGE, height + 2 * EDGE) for width, height in (beside, below)]
    stacked = grounds[1].height < grounds[0].height  # smaller units would make the card smaller
    canvas = grounds[stacked]
    width, height = below if stacked else beside
    left, top = (canvas.width - width) // 2, (canvas.height - height) // 2
    x = left + MARGIN + (0 if stacked else code)
    y = top + MARGIN + (code if stacked else 0)
    qr_x = (canvas.width - QR_SIZE) // 2 if stacked else left + MARGIN
    how = "Scan the code, or enter it at" if card.qr_code else "Enter the code at"
    code_style = rf"\b1\fsp{SPACING}"
    events = (
        shape(left, top, PAPER, f"m 0 0 l {width} 0 {width} {height} 0 {height}"),
        *_qr_code(qr_x, top + MARGIN, card.qr_code),
        text(x, y - 8, LARGEST, SOFT, ["Pair this screen"]),
        text(x, y + 42, _code_size(card.code), INK, [card.code], style=code_style),
        text(x, y + 248, 38, SOFT, [how]),
        text(x, y + 298, _size(card.uri, LARGEST), INK, [card.uri]),
        text(x, y + 414, _size(card.device, 38), SOFT, [card.device]),
    )
    return Drawing(canvas, "\n".join(events))


def _size(line: str, largest: int) -> int:
    """The largest size in which the line fits into the column."""
    return max(SMALLEST, min(largest, int(COLUMN / max(1.0, extent(line)))))


def _code_size(code: str) -> int:
    room = COLUMN - SPACING * len(code)
    return max(SMALLEST, min(LARGEST_CODE, int(room / max(1.0, extent(code) * BOLD))))


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
    return [shape(x + inset, y + inset, INK, " ".join(shapes))]
