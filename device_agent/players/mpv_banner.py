"""Emergency messages as mpv draws them.

Made to be read from across a room: white on a colour that tells how grave it is, as large as the text allows. Grave
ones take the whole screen, the others a band at the bottom.
"""

from device_agent.players.base import Banner
from device_agent.players.mpv_drawing import BOLD, LINE, Canvas, Drawing, fitting, shape, text, wrapped

MARGIN = 90  # units of the drawing, as all lengths here
BAND_HEIGHT = 432  # of a band, at least; where the screen is lower, all of it
COLOURS = {"extreme": "B00020", "severe": "B84300", "moderate": "7A5C00", "minor": "1F4E79", "unknown": "333333"}
WHITE = "FFFFFF"
GRAVE = ("extreme", "severe")
LARGEST, LARGEST_IN_BAND = 96, 60  # sizes of the message
LARGEST_TITLE, LARGEST_TITLE_IN_BAND = 120, 72
SMALLEST = 16  # hard to read from afar, yet better than a text of which a part is missing


def drawing(banner: Banner, canvas: Canvas) -> Drawing:
    grave = banner.severity in GRAVE
    height = canvas.height if grave else min(canvas.height, max(BAND_HEIGHT, canvas.height * 2 // 5))
    top = canvas.height - height
    margin = min(MARGIN, canvas.width // 12, height // 4)
    width = canvas.width - 2 * margin

    largest = LARGEST_TITLE if grave else LARGEST_TITLE_IN_BAND
    title_size = fitting([banner.title], width / BOLD, height // 4, largest, SMALLEST)
    title = wrapped(banner.title, width / BOLD, title_size)
    title_height = round(title_size * LINE * len(title))

    lines = banner.message.split("\n")
    room = height - title_height - margin * 3 // 2
    size = fitting(lines, width, room, LARGEST if grave else LARGEST_IN_BAND, SMALLEST)
    message = [row for line in lines for row in wrapped(line, width, size)]

    centre, above = canvas.width // 2, top + margin // 2
    colour = COLOURS.get(banner.severity, COLOURS["unknown"])
    area = f"m 0 0 l {canvas.width} 0 {canvas.width} {height} 0 {height}"
    events = (
        shape(0, top, colour, area),
        text(centre, above, title_size, WHITE, title, anchor=8, style=r"\b1"),
        text(centre, above + title_height + room // 2, size, WHITE, message, anchor=5),
    )
    return Drawing(canvas, "\n".join(events))
