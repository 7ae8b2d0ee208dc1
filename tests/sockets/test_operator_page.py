"""The manual's page of the operator feed says what the code says."""

import re

from hub.api.docs import manual
from hub.domain.events import TOPICS
from hub.protocol.closecodes import CloseCode
from hub.sockets.operator import connection
from hub.sockets.operator.messages import CODES, FROM_HUB, TO_HUB
from hub.sockets.transport import CONTROL_A_MINUTE, PIECES, OperatorSocket


def rows(heading: str) -> dict[str, str]:
    """Of the table below a heading: the first cell's name and the second cell."""
    section = manual.source("operator-feed").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `?(\w+)`? \|([^|]*)\|", section, re.MULTILINE))


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_every_message_is_told_with_its_fields() -> None:
    to_hub = {kind: set(model.model_fields) - {"type"} for kind, model in TO_HUB.items()}
    assert {kind: names(cell) for kind, cell in rows("To the hub").items() if kind != "type"} == to_hub
    from_hub = {kind: set(fields) for kind, fields in FROM_HUB.items()}
    assert {kind: names(cell) for kind, cell in rows("From the hub").items() if kind != "type"} == from_hub


def test_topics_codes_and_limits_are_told() -> None:
    page = manual.source("operator-feed")
    assert all(f"`{word}`" in page for word in (*TOPICS, *CODES))
    closes = {int(code) for code in rows("How it ends") if code.isdigit()}
    assert closes == {CloseCode.NOT_UTF8, CloseCode.PROTOCOL_ERROR, CloseCode.REVOKED, CloseCode.FLOODING,
                      CloseCode.TOO_SLOW, CloseCode.DRAIN}  # fmt: skip
    assert f"{connection.UNREAD_A_MINUTE} messages in a minute" in page
    assert f"more than {connection.MESSAGES_A_MINUTE} messages" in page
    assert f"{OperatorSocket.FRAMES_A_MINUTE:,}, {OperatorSocket.BYTES_A_MINUTE // 2**20} MiB" in page
    assert f"{CONTROL_A_MINUTE} pings and pongs, {PIECES:,} pieces of one message" in page
