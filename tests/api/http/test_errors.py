"""One error shape, whatever goes wrong and wherever."""

import re

import pytest


@pytest.mark.parametrize(
    ("how", "status", "body", "retry_after"),
    [
        ("conflict", 409, {"message": "That name is taken.", "code": "name_taken"}, None),
        ("slow_down", 429, {"message": "Too many requests.", "code": "too_many_requests"}, "7"),
        ("unavailable", 503, {"message": "The hub cannot store this right now.", "code": "unavailable"}, "5"),
    ],
)
async def test_errors_raised_on_purpose_are_told(client, how, status, body, retry_after):
    answer = await client.get(f"/api/v1/failures/{how}")
    assert answer.status_code == status
    assert answer.json() == body
    assert answer.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("path", ["/api/v1/failures/bug", "/api/v1/failures/unsendable", "/plain"])
async def test_a_fault_of_ours_is_logged_with_its_trace_and_told_without(client, caplog, path):
    answer = await client.get(path)
    assert answer.status_code == 500
    assert answer.json() == {"message": "Something went wrong on the hub.", "code": "internal"}
    (record,) = [record for record in caplog.records if record.name == "hub.api.http.errors"]
    assert re.fullmatch(r"incident [0-9a-f]{8} at GET .+", record.getMessage())
    assert record.exc_info is not None


async def test_a_log_line_names_the_template_and_never_the_path(client, caplog):
    await client.get("/api/v1/failures/secret?apiKey=hunter2")
    assert "GET /api/v1/failures/{how}" in caplog.text
    assert "apiKey" not in caplog.text


async def test_unknown_paths_and_wrong_methods_of_plain_routes_have_the_shape(client):
    missing = await client.get("/nowhere")
    assert (missing.status_code, missing.json()) == (404, {"message": "Not found.", "code": "not_found"})
    wrong = await client.delete("/healthz")
    assert wrong.status_code == 405
    assert wrong.json() == {"message": "This method is not allowed here.", "code": "method_not_allowed"}
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD"}
