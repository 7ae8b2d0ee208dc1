"""CAP messages over the API: what they raise, change and clear."""

import asyncio
from typing import Any

import httpx2
import pytest

from hub.services.cap import NOT_PLACED, UNREAD
from tests.cap import info, key, message

Client = httpx2.AsyncClient
BERLIN = {"name": "Berlin", "timezone": "Europe/Berlin", "latitude": 52.52, "longitude": 13.405}
HAMBURG = {"name": "Hamburg", "timezone": "Europe/Berlin", "latitude": 53.55, "longitude": 9.99}
XML = {"content-type": "application/cap+xml"}
LATER = "2026-11-29T11:00:00+01:00"


async def send(client: Client, text: bytes, status: int = 200, **query: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/alerts/cap", content=text, headers=XML, params=query)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body.get("data", body)


async def events(client: Client) -> list[str]:
    page = (await client.get("/api/v1/events", params={"limit": 1000})).json()
    return [event["event"] for event in page["data"] if event["event"].startswith("alert.")]


@pytest.fixture
async def places(owner: Client) -> list[int]:
    return [(await owner.post("/api/v1/locations", json=place)).json()["data"]["id"] for place in (BERLIN, HAMBURG)]


async def test_a_warning_is_shown_where_it_is_for(owner: Client, places: list[int]) -> None:
    received = await send(owner, message(info()), 201)

    assert received["result"] == "raised"
    alert = received["alert"]
    assert (alert["title"], alert["severity"], alert["status"]) == ("Severe gale", "severe", "live")
    assert (alert["location_ids"], alert["everyone"]) == (places[:1], False)
    assert alert["ends_at"] == "2099-11-29T21:00:00Z"
    assert await events(owner) == ["alert.created", "alert.triggered"]


async def test_the_same_message_is_done_once_also_when_it_comes_twice_at_once(owner: Client, places: list[int]) -> None:
    answers = await asyncio.gather(
        *(owner.post("/api/v1/alerts/cap", content=message(info()), headers=XML) for _ in range(5))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["data"]["alert"]["id"] for answer in answers}) == 1
    assert await events(owner) == ["alert.created", "alert.triggered"]


async def test_an_update_changes_the_alert_and_a_cancel_clears_it(owner: Client, places: list[int]) -> None:
    first = (await send(owner, message(info()), 201))["alert"]
    text = message(info(headline="Gale is over soon"), identifier="storm-2", msgType="Update", references=key())
    updated = await send(owner, text)
    assert (updated["result"], updated["alert"]["id"]) == ("updated", first["id"])
    assert updated["alert"]["title"] == "Gale is over soon"
    assert (await send(owner, message(info())))["result"] == "known"  # the old one, late: the new one stays

    cancel = message(identifier="storm-3", msgType="Cancel", references=f"{key()} {key('storm-2')}")
    cleared = await send(owner, cancel)
    assert (cleared["result"], cleared["alert"]["status"]) == ("cleared", "over")
    assert (await send(owner, cancel))["result"] == "known"
    assert await events(owner) == ["alert.created", "alert.triggered", "alert.updated", "alert.cleared"]


async def test_an_update_of_what_was_never_heard_is_shown_and_a_cancel_of_it_refused(
    owner: Client, places: list[int]
) -> None:
    unknown = key("never", LATER)
    assert (await send(owner, message(info(), msgType="Update", references=unknown), 201))["result"] == "raised"
    refused = await send(owner, message(identifier="c", msgType="Cancel", references=unknown), 404)
    assert refused["code"] == "unknown_reference"


@pytest.mark.parametrize("root", [{"status": "Exercise"}, {"status": "Test"}, {"msgType": "Ack"}, {"msgType": "Error"}])
async def test_what_is_not_for_the_public_is_not_shown(owner: Client, root: dict[str, str]) -> None:
    received = await send(owner, message(info(), **root), everyone=True)
    assert received["result"] == "ignored"
    assert received["reason"]
    assert await events(owner) == []


async def test_what_is_over_or_elsewhere_is_not_shown(owner: Client, places: list[int]) -> None:
    over = await send(owner, message(info(expires="2020-01-01T00:00:00Z")))
    elsewhere = await send(owner, message(info(area="<circle>0,0 10</circle>")))
    assert [over["result"], elsewhere["result"]] == ["ignored", "ignored"]
    assert await events(owner) == []


async def test_the_caller_may_say_whom_it_is_for(owner: Client, places: list[int]) -> None:
    codes = info(area="<geocode><valueName>UGC</valueName><value>1</value></geocode>")
    nobody = await send(owner, message(codes), 422)
    assert list(nobody["errors"]) == ["everyone"]
    everyone = await send(owner, message(codes), 201, everyone=True)
    assert everyone["alert"]["everyone"] is True
    chosen = await send(owner, message(info(), identifier="b"), 201, location_ids=[places[1]])
    assert chosen["alert"]["location_ids"] == [places[1]]
    unknown = await send(owner, message(info(), identifier="c"), 422, location_ids=[999])
    assert list(unknown["errors"]) == ["location_ids"]
    both = await send(owner, message(info(), identifier="d"), 422, location_ids=[places[1]], everyone=True)
    assert list(both["errors"]) == ["everyone"]


async def test_it_begins_when_it_says(owner: Client, places: list[int]) -> None:
    onset = "2098-01-01T00:00:00Z"
    later = (await send(owner, message(info(onset=onset, urgency="Future")), 201))["alert"]
    assert (later["status"], later["starts_at"]) == ("scheduled", onset)
    soon = (await send(owner, message(info(onset=onset, urgency="Immediate"), identifier="b"), 201))["alert"]
    assert soon["status"] == "live"
    effective = (await send(owner, message(info(effective=onset), identifier="c"), 201))["alert"]
    assert (effective["status"], effective["starts_at"]) == ("scheduled", onset)


FLOOD = {"headline": "Flood", "area": "<circle>53.55,9.99 20</circle>"}


async def standing(client: Client) -> dict[str, list[int]]:
    """Titles and locations of what is not over."""
    alerts = (await client.get("/api/v1/alerts")).json()["data"]
    return {alert["title"]: alert["location_ids"] for alert in alerts if alert["status"] != "over"}


async def test_a_message_may_say_different_things_in_different_places(owner: Client, places: list[int]) -> None:
    text = message(info(headline="Elsewhere", area="<circle>0,0 10</circle>"), info(**FLOOD), info())
    received = await send(owner, text, 201)
    assert received["result"] == "raised"
    assert {alert["title"]: alert["location_ids"] for alert in received["alerts"]} == await standing(owner)
    assert await standing(owner) == {"Severe gale": places[:1], "Flood": places[1:]}
    again = await send(owner, text)
    assert (again["result"], len(again["alerts"])) == ("known", 2)


async def test_an_update_that_leaves_a_place_or_gives_the_all_clear_there_clears_its_alert(
    owner: Client, places: list[int]
) -> None:
    await send(owner, message(info(), info(**FLOOD)), 201)
    leaves = message(info(**FLOOD), identifier="b", msgType="Update", references=key())
    assert (await send(owner, leaves))["result"] == "updated"
    assert await standing(owner) == {"Flood": places[1:]}
    clear = message(info(**FLOOD, responseType="AllClear"), identifier="c", msgType="Update", references=key("b"))
    cleared = await send(owner, clear)
    assert (cleared["result"], [alert["status"] for alert in cleared["alerts"]]) == ("cleared", ["over"])
    assert await standing(owner) == {}
    assert (await send(owner, clear))["result"] == "known"


@pytest.mark.parametrize(
    "more", [{"expires": "2020-01-01T00:00:00Z"}, {"urgency": "Past"}, {"area": "<circle>0,0 10</circle>"}]
)
async def test_an_update_that_is_over_or_elsewhere_leaves_nothing_of_the_old_alert(
    owner: Client, places: list[int], more: dict[str, str]
) -> None:
    await send(owner, message(info()), 201)
    cleared = await send(owner, message(info(**more), identifier="b", msgType="Update", references=key()))
    assert (cleared["result"], cleared["alert"]["status"]) == ("cleared", "over")
    assert await events(owner) == ["alert.created", "alert.triggered", "alert.cleared"]


async def test_what_was_replaced_before_it_came_is_not_shown(owner: Client, places: list[int]) -> None:
    elsewhere = info(area="<circle>0,0 10</circle>")
    gone = await send(owner, message(elsewhere, identifier="b", msgType="Update", references=key()))
    assert gone["result"] == "ignored"
    late = await send(owner, message(info()))
    assert (late["result"], bool(late["reason"]), late["alerts"]) == ("known", True, [])
    await send(owner, message(info(), identifier="d", msgType="Update", references=key("c")), 201)
    assert (await send(owner, message(info(), identifier="c")))["result"] == "known"
    assert await standing(owner) == {"Severe gale": places[:1]}


async def test_an_update_moves_the_beginning_of_what_has_not_begun(owner: Client, places: list[int]) -> None:
    onset = {"urgency": "Future", "onset": "2098-01-01T00:00:00Z"}
    first = (await send(owner, message(info(**onset)), 201))["alert"]
    later = onset | {"onset": "2098-02-01T00:00:00Z"}
    moved = (await send(owner, message(info(**later), identifier="b", msgType="Update", references=key())))["alert"]
    assert (moved["id"], moved["status"], moved["starts_at"]) == (first["id"], "scheduled", later["onset"])
    now = (await send(owner, message(info(), identifier="c", msgType="Update", references=key("b"))))["alert"]
    assert (now["id"], now["status"]) == (first["id"], "live")
    put_off = await send(owner, message(info(**later), identifier="d", msgType="Update", references=key("c")), 201)
    assert [(alert["id"] == first["id"], alert["status"]) for alert in put_off["alerts"]] == [
        (False, "scheduled"),
        (True, "over"),
    ]


async def test_a_message_that_was_cut_off_goes_on_where_it_was(owner: Client, places: list[int]) -> None:
    flood, gale = info(**FLOOD), info()
    for number in range(99):
        alert = {"title": f"Drill {number}", "message": "x", "severity": "minor", "everyone": True}
        assert (await owner.post("/api/v1/alerts", json=alert)).status_code == 201
    full = await send(owner, message(flood, gale), 409)  # there is room for one
    assert full["code"]
    before = await events(owner)
    drill = (await owner.get("/api/v1/alerts", params={"per_page": 2})).json()["data"][-1]
    await owner.post(f"/api/v1/alerts/{drill['id']}/clear")
    rest = await send(owner, message(gale, flood), 201)
    assert (rest["result"], len(rest["alerts"])) == ("raised", 1)
    assert (await events(owner))[len(before) :] == ["alert.cleared", "alert.created", "alert.triggered"]
    both = await standing(owner)
    assert (both["Flood"], both["Severe gale"]) == (places[1:], places[:1])


async def test_what_names_no_place_in_part_is_shown_where_it_names_one(owner: Client, places: list[int]) -> None:
    codes = info(headline="Codes", area="<geocode><valueName>UGC</valueName><value>1</value></geocode>")
    received = await send(owner, message(codes, info()), 201)
    assert ([alert["title"] for alert in received["alerts"]], bool(received["reason"])) == (["Severe gale"], True)


async def test_an_area_that_cannot_be_read_takes_the_others_not_away(owner: Client, places: list[int]) -> None:
    bad = "<polygon>52,13 52,13</polygon>"
    shown = await send(owner, message(info(area=f"{bad}<circle>52.5,13.4\n10</circle>")), 201)
    assert (shown["alert"]["location_ids"], shown["reason"]) == (places[:1], UNREAD)
    part = await send(owner, message(info(), info(headline="Flood", area=bad), identifier="part"), 201)
    assert ([alert["title"] for alert in part["alerts"]], part["reason"]) == (["Severe gale"], f"{NOT_PLACED} {UNREAD}")

    alone = message(info(area=bad), identifier="alone")
    refused = await send(owner, alone, 422)
    assert (refused["code"], list(refused["errors"])) == ("bad_cap", ["polygon"])
    assert (await send(owner, alone, 201, everyone=True))["alert"]["everyone"] is True


@pytest.mark.parametrize("scope", ["Restricted", "Private"])
async def test_what_is_for_some_only_is_on_no_public_screen(owner: Client, places: list[int], scope: str) -> None:
    assert (await send(owner, message(info(), scope=scope), everyone=True))["result"] == "ignored"
    assert await standing(owner) == {}


async def test_bad_input_is_refused_and_changes_nothing(owner: Client) -> None:
    assert list((await send(owner, b"nonsense", 422))["errors"]) == ["alert"]
    too_large = await owner.post("/api/v1/alerts/cap", content=b"x" * 300_000, headers=XML)
    assert too_large.status_code == 413
    wrong = await owner.post("/api/v1/alerts/cap", json={})
    assert wrong.status_code == 415
    assert await events(owner) == []


async def test_another_teams_messages_are_its_own(owner: Client, stranger: Client, places: list[int]) -> None:
    await send(owner, message(info()), 201)
    assert (await send(stranger, message(info()), 201, everyone=True))["result"] == "raised"
    await send(owner, message(info(), identifier="own"), 201)
    refused = await send(stranger, message(identifier="c", msgType="Cancel", references=key("own")), 404)
    assert refused["code"] == "unknown_reference"
