"""Whose request it is: every form in which proxies tell it, and nothing that a client could make up."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.client_address import TrustedProxies
from tests.harness import running_hub, settings

NETWORKS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
FOR = TrustedProxies(NETWORKS)
FORWARDED = TrustedProxies(NETWORKS, "forwarded")

TOLD = [
    ("198.51.100.7", "198.51.100.7"),
    ("198.51.100.7:4711", "198.51.100.7"),
    ("198.51.100.7:_hidden", "198.51.100.7"),
    ('"198.51.100.7:4711"', "198.51.100.7"),
    ("2001:db8::7", "2001:db8::7"),
    ("[2001:db8::7]", "2001:db8::7"),
    ("[2001:db8::7]:4711", "2001:db8::7"),
    ('"[2001:DB8::7]:4711"', "2001:db8::7"),
    ("2001:db8:0:0:0:0:0:7:4711", "2001:db8::7"),
    ("fe80::7%eth0", "fe80::7"),
    ("[fe80::7%25eth0]:4711", "fe80::7"),
    ("::ffff:198.51.100.7", "198.51.100.7"),
    ("[::ffff:198.51.100.7]:4711", "198.51.100.7"),
]
UNTOLD = ["unknown", "_hidden", "_SEVKISEK:80", "nonsense", "hub.example", "198.51.100", "198.51.100.07",
          "198.51.100.7:http", "198.51.100.7:", "[198.51.100.7", "[2001:db8::7", "2001:db8::7]:1",
          "<script>", "1", "unix:", "\u0661.2.3.4"]  # fmt: skip


@pytest.mark.parametrize(("hop", "address"), [*TOLD, *((hop, "10.0.0.1") for hop in UNTOLD)])
def test_a_hop_is_an_address_in_any_form_or_nothing(hop, address):
    assert FOR.client("10.0.0.1", [hop]) == address
    assert FOR.client("10.0.0.1", [f"192.0.2.1,\t{hop} "]) == address
    assert FOR.client("10.0.0.1", ["192.0.2.1", hop]) == address
    if '"' not in hop:
        assert FORWARDED.client("10.0.0.1", [f'for=192.0.2.1, proto=https;For="{hop}";by=_x']) == address


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9,198.51.100.7,10.0.0.2,10.0.0.3"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.7, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7:1", "10.0.0.2:2"], "198.51.100.7"),  # each proxy a line of its own
        ("10.0.0.1", ["203.0.113.9", "", "10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9,"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9", " \t"], "203.0.113.9"),
        ("10.0.0.1", ["192.0.2.1, ,203.0.113.9,\t, ,10.0.0.2, "], "203.0.113.9"),
        ("10.0.0.1", ['203.0.113.9, ""'], "10.0.0.1"),  # not empty: a hop without a name
        ("10.0.0.1", [" , ,"], "10.0.0.1"),
        ("10.0.0.1", ['"203.0.113.9, 198.51.100.7'], "198.51.100.7"),  # an open quote takes nobody's word
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("fd00::1%eth0", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("::ffff:198.51.100.7", [], "198.51.100.7"),  # one address, whichever socket it came to
        ("a name", ["198.51.100.7"], "a name"),
        (None, ["198.51.100.7"], None),  # a Unix socket
    ],
)
def test_the_client_is_the_last_that_no_trusted_proxy_vouches_for(peer, lines, address):
    assert FOR.client(peer, lines) == address


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["for=198.51.100.7"], "198.51.100.7"),
        (["FOR=198.51.100.7:4711;proto=http"], "198.51.100.7"),
        (['for="[2001:db8::7]:4711"'], "2001:db8::7"),
        (["for=2001:db8::7"], "2001:db8::7"),
        (['by="a,b;for=192.0.2.1";for=198.51.100.7'], "198.51.100.7"),
        (['for="198.51.100\\.7"'], "198.51.100.7"),
        (["for=192.0.2.1 , for=198.51.100.7 ; by=10.0.0.1 , for=10.0.0.2"], "198.51.100.7"),
        (["for=192.0.2.1", "for=198.51.100.7", "for=10.0.0.2"], "198.51.100.7"),
        ([", for=198.51.100.7;"], "198.51.100.7"),
        (["for=192.0.2.1, proto=http"], "10.0.0.1"),  # the last proxy does not tell
        (["for=192.0.2.1, for=unknown"], "10.0.0.1"),
        (["for=192.0.2.1,"], "10.0.0.1"),
        (["for=192.0.2.1;for=198.51.100.7"], "10.0.0.1"),
        (['for="192.0.2.1, for=198.51.100.7'], "10.0.0.1"),
        (['for=192.0.2.1;x=", for="198.51.100.7"'], "10.0.0.1"),
        (['for="192.0.2.1', "for=198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7"], "10.0.0.1"),
        (["for 198.51.100.7"], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["for=198.51.100.7" + " " * 4_000], "198.51.100.7"),
        (["for=198.51.100.7" + " " * 5_000], "10.0.0.1"),  # longer than any that is read
        (["for=198.51.100.7;" + " " * 60_000 + "x"], "10.0.0.1"),
        (["for=198.51.100.7", "for=10.0.0.2" + " " * 5_000], "10.0.0.1"),
    ],
)
def test_elements_of_forwarded(lines, address):
    assert FORWARDED.client("10.0.0.1", lines) == address


addresses = st.ip_addresses()
outside = addresses.filter(lambda address: not any(address in network for network in NETWORKS))
proxies = st.one_of(st.ip_addresses(network=network) for network in NETWORKS)


@st.composite
def forms(draw: st.DrawFn, address: object) -> str:
    text = f"[{address}]" if ":" in str(address) else str(address)
    ports = ["", ":4711", ":_p"] if text.startswith("[") or "." in text else [""]
    return draw(st.sampled_from([str(address), *(text + port for port in ports)]))


@given(data=st.data(), client=outside, chain=st.lists(proxies, min_size=1, max_size=4), claim=st.text(max_size=40))
def test_whatever_the_client_writes_first_the_proxies_are_believed(data, client, chain, claim):
    """Each proxy adds whom it heard, in a form of its own, behind the others or in a line of its own."""
    client = getattr(client, "ipv4_mapped", None) or client
    plain, rfc = [claim], [claim.replace('"', "")]  # a quote in front of a Forwarded in the same line spoils all of it
    for hop in [client, *chain[:-1]]:
        form = data.draw(forms(hop))
        if data.draw(st.booleans()):
            plain[-1] += f",{form}"
        else:
            plain.append(f" {form}\t")
        rfc.append(f'for="{form}";proto=http')
    assert FOR.client(str(chain[-1]), plain) == str(client)
    assert FORWARDED.client(str(chain[-1]), rfc) == str(client)


@given(peer=st.one_of(addresses.map(str), st.text(max_size=20)), lines=st.lists(st.text(max_size=60), max_size=4))
def test_any_text_is_read_to_an_address_or_to_the_peer(peer, lines):
    for rule in (FOR, FORWARDED):
        found = rule.client(peer, lines)
        assert found == peer or str(ip_address(found)) == found


@given(peer=outside, lines=st.lists(st.text(max_size=60), max_size=3))
def test_nobody_else_is_believed(peer, lines):
    assert FOR.client(str(peer), lines) == FORWARDED.client(str(peer), lines) == FOR.client(str(peer), [])


# Through the hub: calls and sockets


async def test_a_fleet_behind_a_proxy_that_tells_ports_pairs_one_by_one(tmp_path: Path) -> None:
    async with running_hub(settings(tmp_path, server={"trusted_proxies": ["127.0.0.0/8"]})) as hub:
        for number in range(12):
            headers = {"X-Forwarded-For": f"203.0.113.{number}:4711"}
            form = {"client_id": "player", "hardware_id": f"device {number}"}
            answer = await hub.client.post("/oauth/device_authorization", data=form, headers=headers)
            assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("header", "lines", "believed"),
    [
        ("x-forwarded-for", ["192.0.2.9", "203.0.113.7:4711", "127.0.0.9:80"], "203.0.113.7"),
        ("x-forwarded-for", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("x-forwarded-for", ["for=203.0.113.7"], "127.0.0.1"),
        ("forwarded", ["for=192.0.2.9", 'for="[2001:db8::7]:4711";by=_a, for=127.0.0.9'], "2001:db8::7"),
    ],
)
async def test_calls_and_sockets_believe_the_same(tmp_path: Path, header: str, lines: list[str], believed: str) -> None:
    server = {"trusted_proxies": ["127.0.0.0/8"], "forwarded_header": header}
    other = "forwarded" if header == "x-forwarded-for" else "x-forwarded-for"
    async with running_hub(settings(tmp_path, server=server)) as hub:
        player_id, token = await hub.player()
        told = [*((header, line) for line in lines), (other, "192.0.2.66"), (other, "for=192.0.2.66")]
        async with hub.socket(None, additional_headers=[("Authorization", f"Bearer {token}"), *told]) as player:
            await player.hello()
            found = (await hub.client.get(f"/api/v1/players/{player_id}")).json()["data"]
            assert found["ip_address"] == believed
        form = {"client_id": "player", "hardware_id": "device"}
        code = (await hub.client.post("/oauth/device_authorization", data=form, headers=told)).json()["user_code"]
        asked = (await hub.client.get(f"/api/v1/players/pair/{code}")).json()["data"]
        assert asked["address"] == believed
