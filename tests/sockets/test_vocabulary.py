"""Words that two layers must share, though neither may import the other."""

from typing import get_args

from hub.domain.commands import RESULTS
from hub.domain.events import DEVICE_TYPES
from hub.protocol import messages
from hub.protocol.upload import MAX_UPLOAD_BYTES
from hub.services.player_uploads import SIZE_LIMITS


def test_what_devices_notice_is_the_same_on_the_wire_and_in_the_log() -> None:
    assert set(DEVICE_TYPES) == set(messages.EVENT_NAMES)


def test_results_are_the_same_on_the_wire_and_in_the_row() -> None:
    assert set(RESULTS) == set(get_args(messages.Status))


def test_uploads_have_one_limit() -> None:
    assert dict(MAX_UPLOAD_BYTES) == SIZE_LIMITS
