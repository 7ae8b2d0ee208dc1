import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain import cap
from hub.domain.errors import Invalid
from hub.domain.geo import Area, Effort, reached
from hub.domain.times import parse
from tests.cap import NAMESPACE, SQUARE, info, key, message
from tests.texts import REAL

NOW = parse("2026-11-29T09:30:00Z")
BERLIN, HAMBURG = (1, (52.52, 13.405)), (2, (53.55, 9.99))


def refused(text: bytes) -> str:
    """The element that is blamed."""
    with pytest.raises(Invalid) as error:
        cap.read(text)
    assert error.value.errors is not None
    [name] = error.value.errors
    return name


def test_a_warning_is_read_with_all_that_a_screen_needs() -> None:
    read = cap.read(message(info()))
    assert (read.key, read.status, read.type, read.references) == (key(), "Actual", "Alert", ())
    [said] = read.infos
    assert (said.title, said.severity) == ("Severe gale", "severe")
    assert said.message == "Gusts of 110 km/h.\nTrees may fall.\nStay inside."
    assert said.ends_at == parse("2099-11-29T21:00:00Z")
    assert said.has_places
    assert not said.is_over


@pytest.mark.parametrize(
    ("wanted", "title"),
    [(None, "Severe gale"), ("de", "Sturm"), ("de-AT", "Severe gale"), ("DE-de", "Sturm"), ("fr", "Severe gale")],
)
def test_one_language_of_several_is_shown(wanted: str | None, title: str) -> None:
    read = cap.read(message(info(), info(language="de-DE", headline="Sturm")))
    assert [warned.title for warned in read.warnings(wanted, NOW)] == [title]
    assert [warned.title for warned in read.warnings_at([BERLIN], wanted, NOW)] == [title]


def test_long_texts_are_cut_at_a_word_and_strange_characters_left_out() -> None:
    [said] = cap.read(message(info(headline="word " * 50, description="x&#9;y &#x200b;" + "long " * 400))).infos
    assert len(said.title) <= cap.TITLE_CHARACTERS
    assert said.title.endswith("word…")
    assert len(said.message) <= cap.MESSAGE_CHARACTERS
    assert said.message.startswith("x y long")


@pytest.mark.parametrize("said", REAL)
def test_texts_are_raised_as_they_were_written(said: str) -> None:
    text = said.replace("&", "&amp;").replace("<", "&lt;")
    read = cap.read(message(info(headline=f"\n  {text}\n", description=f"{text}\n\n  {text}", instruction=""))).infos[0]
    assert (read.title, read.message) == (said, f"{said}\n{said}")


def test_what_no_text_has_is_left_out() -> None:
    head = "&#x202e;evil&#x202c;&#x85;a&#x2028;b&#x9b;"
    read = cap.read(message(info(headline=head, description="&#x3164;\n&#x2800;", instruction=""))).infos[0]
    assert (read.title, read.message) == ("evil a b", "evil a b")
    assert refused(message(info(headline="&#x3164;", event="&#x200b;"))) == "event"


def test_an_update_says_what_it_is_about() -> None:
    read = cap.read(message(info(), msgType="Update", references=f"{key()} {key('storm-2')}"))
    assert read.references == (key(), key("storm-2"))
    assert refused(message(info(), msgType="Update")) == "references"
    assert refused(message(msgType="Cancel", references="nonsense")) == "references"


@pytest.mark.parametrize(
    ("text", "element"),
    [
        (b"", "alert"),
        (b"not xml", "alert"),
        (b"<alert/>", "alert"),
        (message(info()).replace(b"cap:1.2", b"cap:1.1"), "alert"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]>' + message(info()).partition(b"?>")[2], "alert"),
        (b"<a>" * 200, "alert"),
        (message(info(), identifier="two words"), "identifier"),
        (message(info(), sender=""), "sender"),
        (message(info(), sent="yesterday"), "sent"),
        (message(info(), status="Secret"), "status"),
        (message(info(), msgType="Rumour"), "msgType"),
        (message(info(), scope="Everywhere"), "scope"),
        (message(), "info"),
        (message(info(severity="Awful")), "severity"),
        (message(info(expires="2099-11-29")), "expires"),
        (message(info(expires="2099-13-29T22:00:00+01:00")), "expires"),
        (message(info(expires="9999-12-31T23:59:59-14:00")), "expires"),  # in UTC in the year 10000
        (message(info(onset="9999-12-31T23:59:59-14:00")), "onset"),
        (message(info(effective="0001-01-01T00:00:00+14:00")), "effective"),
        (message(info(), sent="9999-12-31T23:59:59-00:01"), "sent"),
        (message(info(headline="", event="")), "event"),
    ],
)
def test_what_is_no_such_message_is_refused_and_the_element_named(text: bytes, element: str) -> None:
    assert refused(text) == element


def test_signatures_and_unknown_elements_are_passed_over() -> None:
    extra = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><alert>no</alert></Signature></alert>'
    read = cap.read(message(info()).replace(b"</alert>", extra))
    assert [said.title for said in read.infos] == ["Severe gale"]


def test_whom_a_warning_reaches() -> None:
    def reach(area: str, *points: tuple[float, float]) -> list[int]:
        [said] = cap.read(message(info(area=area))).infos
        return reached(said.areas, list(enumerate(points)), Effort(1_000_000))

    square = f"<polygon>{SQUARE}</polygon>"
    assert reach(square, (52.5, 13.5), (52.0, 13.5), (53.0, 14.0), (51.9, 13.5), (52.5, 14.1)) == [0, 1, 2]
    hollow = "<polygon>0,0 10,0 10,10 5,5 0,10 0,0</polygon>"
    assert reach(hollow, (5.0, 2.0), (5.0, 8.0), (9.0, 8.0)) == [0, 2]
    berlin, potsdam, hamburg = (52.52, 13.405), (52.39, 13.06), (53.55, 9.99)
    assert reach("<circle>52.52,13.405 40</circle>", berlin, potsdam, hamburg) == [0, 1]
    assert reach("<circle>52.52,13.405 0</circle>", berlin, potsdam) == [0]
    assert reach("<geocode><valueName>FIPS</valueName><value>1</value></geocode>", berlin) == []


@pytest.mark.parametrize("empty", ["<polygon/>", "<polygon>\n </polygon>", "<circle/>", "<circle> </circle>"])
def test_an_element_without_content_is_no_area_and_no_reason_to_refuse(empty: str) -> None:
    [said] = cap.read(message(info(area=empty))).infos
    assert not said.has_places
    [beside] = cap.read(message(info(area=f"{empty}<polygon>{SQUARE}</polygon>"))).infos
    assert reached(beside.areas, [BERLIN], Effort(1_000)) == [1]


@pytest.mark.parametrize("gap", [" ", "\n", "\t", " \r\n\t "])
def test_any_white_space_parts_the_centre_of_a_circle_from_its_radius(gap: str) -> None:
    [said] = cap.read(message(info(area=f"<circle>{gap}52.5,13.4{gap}10{gap}</circle>"))).infos
    assert said.areas == (Area(circles=(((52.5, 13.4), 10.0),)),)
    assert said.unread == ()


@pytest.mark.parametrize(
    ("unreadable", "element"),
    [
        ("<polygon>52,13 52,13</polygon>", "polygon"),
        ("<polygon>52,13 53,13 52,13</polygon>", "polygon"),
        ("<polygon>52,13 53,13 53,14 52,14</polygon>", "polygon"),
        ("<polygon>nan,1 inf,2 1,1 nan,1</polygon>", "polygon"),
        ("<circle>52.5,13.4</circle>", "circle"),
        ("<circle>52.5,13.4 -1</circle>", "circle"),
        ("<circle>52.5,13.4 10 20</circle>", "circle"),
    ],
)
@pytest.mark.parametrize("good", [f"<polygon>{SQUARE}</polygon>", "<circle>52.5,13.4 10</circle>"])
def test_an_area_that_cannot_be_read_is_passed_over_and_told(unreadable: str, element: str, good: str) -> None:
    alone, first, last = cap.read(
        message(*(info(area=one) for one in (unreadable, unreadable + good, good + unreadable)))
    ).infos
    assert not alone.has_places
    for said in (alone, first, last):
        assert [list(error.errors or ()) for error in said.unread] == [[element]]
    for said in (first, last):
        assert reached(said.areas, [BERLIN, HAMBURG], Effort(1_000)) == [1]


@pytest.mark.parametrize(
    ("urgency", "responses", "is_over"),
    [
        ("Immediate", ("AllClear",), True),
        ("Immediate", ("AllClear", "None"), True),
        ("Immediate", ("Shelter", "AllClear"), False),
        ("Immediate", ("AllClear", "Evacuate"), False),
        ("Immediate", ("AllClear", "Monitor"), False),
        ("Immediate", (), False),
        ("Past", (), True),
        ("Past", ("Monitor",), True),
        ("Past", ("AllClear",), True),
        ("Past", ("Shelter",), False),
        ("Past", ("Avoid", "AllClear"), False),
    ],
)
def test_words_that_contradict_each_other_are_a_warning(
    urgency: str, responses: tuple[str, ...], is_over: bool
) -> None:
    asked = "".join(f"<responseType>{one}</responseType>" for one in responses)
    [said] = cap.read(message(info(urgency=urgency).replace("<area>", f"{asked}<area>"))).infos
    assert said.is_over is is_over


def test_every_block_of_a_language_is_read() -> None:
    north = info(headline="Flood", area="<circle>53.55,9.99 20</circle>")
    read = cap.read(message(north, info(), info(language="de", headline="Flut", area="<circle>53.55,9.99 20</circle>")))
    found = {warned.title: warned.places for warned in read.warnings_at([BERLIN, HAMBURG], None, NOW)}
    assert found == {"Flood": (2,), "Severe gale": (1,)}


def test_blocks_that_have_expired_or_are_an_all_clear_hide_no_others() -> None:
    expired = info(headline="Old", expires="2020-01-01T00:00:00Z")
    over = info(headline="Over", responseType="AllClear")
    past = info(headline="Past", urgency="Past")
    read = cap.read(message(expired, over, past, info()))
    assert [warned.title for warned in read.warnings_at([BERLIN], None, NOW)] == ["Severe gale"]
    assert [warned.title for warned in read.warnings(None, NOW)] == ["Severe gale"]
    assert cap.read(message(expired, over, past)).warnings_at([BERLIN], None, NOW) == []


def test_a_place_hears_the_language_that_the_message_has_for_it() -> None:
    flemish = info(language="nl", headline="Storm")
    french = info(language="fr", headline="Tempete", area="<circle>53.55,9.99 20</circle>")
    read = cap.read(message(flemish, french))
    for wanted in (None, "nl", "fr"):
        found = {warned.title: warned.places for warned in read.warnings_at([BERLIN, HAMBURG], wanted, NOW)}
        assert found == {"Storm": (1,), "Tempete": (2,)}


def test_a_ring_that_goes_to_and_fro_over_very_many_places_is_refused() -> None:
    places = [(number, (50 + number / 1_000, 5.0)) for number in range(1_000)]
    points = " ".join(f"{50 + number % 2},{number / 1000}" for number in range(9_000))
    read = cap.read(message(info(area=f"<polygon>{points} 50,0</polygon>")))
    with pytest.raises(Invalid) as error:
        read.warnings_at(places, None, NOW)
    assert (list(error.value.errors or ()), error.value.code) == (["polygon"], "bad_cap")


def test_a_key_names_a_message_however_its_time_is_written() -> None:
    one, same, later = "a@b,1,2026-11-29T10:00:00+01:00", "a@b,1,2026-11-29T09:00:00Z", "a@b,1,2026-11-29T10:00:00Z"
    assert cap.name_of(one) == cap.name_of(same) == cap.name_of("a@b,1,2026-11-29T09:00:00+00:00")
    assert len({cap.name_of(key) for key in (one, later, "a@c,1,2026-11-29T09:00:00Z", "a@b,1,soon")}) == 4


def test_the_same_words_for_two_areas_are_one_warning() -> None:
    read = cap.read(message(info(), info(area="<circle>53.55,9.99 20</circle>")))
    [warned] = read.warnings_at([BERLIN, HAMBURG], None, NOW)
    assert warned.places == (1, 2)


@pytest.mark.parametrize(
    ("more", "starts_at"),
    [
        ({}, "2026-11-29T09:00:00Z"),  # when it was sent
        ({"effective": "2026-11-29T12:00:00Z"}, "2026-11-29T12:00:00Z"),
        ({"onset": "2026-11-30T12:00:00Z", "urgency": "Future"}, "2026-11-30T12:00:00Z"),
        ({"onset": "2026-11-30T12:00:00Z", "urgency": "Immediate"}, "2026-11-29T09:00:00Z"),
        ({"onset": "2026-11-30T12:00:00Z", "urgency": "Expected"}, "2026-11-29T09:00:00Z"),
        (
            {"onset": "2026-11-30T12:00:00Z", "urgency": "Future", "expires": "2026-11-30T06:00:00Z"},
            "2026-11-29T09:00:00Z",  # the words expire before the event begins: the next ones come before that
        ),
    ],
)
def test_what_asks_for_action_soon_does_not_wait_for_the_event(more: dict[str, str], starts_at: str) -> None:
    [said] = cap.read(message(info(**more))).infos
    assert said.starts_at == parse(starts_at)


def test_all_polygons_of_a_message_count_together() -> None:
    ring = " ".join(["52.0,13.0", *(f"{52 + i / 2_000:.4f},13.5" for i in range(1_500)), "52.0,13.0"])
    area = f"<polygon>{ring}</polygon>"
    assert refused(message(*(info(area=area) for _ in range(7)))) == "polygon"


def test_all_circles_of_a_message_count_together() -> None:
    area = "<circle>52.5,13.4 1</circle>" * 500
    assert len(cap.read(message(info(area=area), info(area=area))).infos) == 2
    assert refused(message(info(area=area), info(area=area), info(area="<circle>52.5,13.4 1</circle>"))) == "circle"


WORDS = st.sampled_from([b"<alert", b"<info>", b"</info>", b"<polygon>", b"1,1 ", b"&lt;", b"<![CDATA[", b"]]>", b'"',
                         f"xmlns='{NAMESPACE}'".encode(), b"<?xml version='1.1'?>", b"\x00", b"\xff"])  # fmt: skip


@given(st.binary(max_size=200) | st.lists(WORDS, max_size=20).map(b"".join))
def test_nothing_but_a_refusal_comes_of_nonsense(text: bytes) -> None:
    with pytest.raises(Invalid):
        cap.read(text)


@given(st.integers(0, 900), st.binary(min_size=1, max_size=3))
def test_a_broken_message_is_read_or_refused(at: int, noise: bytes) -> None:
    whole = message(info(), info(language="de"))
    try:
        cap.read(whole[:at] + noise + whole[at + len(noise) :])
    except Invalid:
        pass
