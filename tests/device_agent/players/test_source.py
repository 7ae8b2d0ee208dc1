from pathlib import Path

import pytest

from device_agent.players.base import PlayerError
from device_agent.players.source import check_source


def test_files_and_streams_may_be_opened(tmp_path: Path) -> None:
    file = tmp_path / "a b#c.png"
    file.touch()
    for uri in (str(file), "https://example.org/a.mp4", "RTSP://camera.local/1", "udp://@239.0.0.1:5000"):
        check_source(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "picture.png",
        "../picture.png",
        "--script=x",
        "http://",
        "http:///etc/passwd",
        "archive:///etc/x.zip|/y",
        "slice://0@/etc/passwd",
        "concat:/etc/passwd",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "appending:///etc/passwd",
        "http:/etc/passwd",
        " http://example.org/",
        "file:///etc/passwd",
        "edl:///a;/b",
        "av://v4l2:/dev/video0",
        "lavfi://testsrc",
        "fd://0",
        "memory://x",
        "https://example.org/\nquit",
        "https://example.org/\udc80",
        "https://example.org/" + "x" * 5000,
    ],
)
def test_everything_else_is_refused(uri: str) -> None:
    with pytest.raises(PlayerError) as refused:
        check_source(uri)
    assert refused.value.code == "unsupported_uri"


@pytest.mark.parametrize("path", ["/no/such/file", "/dev/null", "/etc"])
def test_a_path_must_be_a_file(path: str) -> None:
    with pytest.raises(PlayerError) as refused:
        check_source(path)
    assert refused.value.code == "not_found"
