"""Hosts: how a name is written in the DNS, which address a text stands for, and which addresses are public.

Names are those of IDNA 2008 with the mapping of UTS 46, as browsers read them: `straße.example` is
`xn--strae-oqa.example`, and `１２７.０.０.１` is 127.0.0.1.
"""

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import idna

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAME_LIMIT: Final = 253  # characters of a name in the DNS

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")  # underscores are in names that people use
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

_GLOBAL_V6 = IPv6Network("2000::/3")  # all that is given to anybody; nothing else is routed
_NAT64 = IPv6Network("64:ff9b::/96")

# IANA's registries of special-purpose addresses, those for the whole world (anycast of AS112 and of relays) among them:
# no receiver lives there. What the standard library says of them differs between versions of Python.
_SPECIAL_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
_SPECIAL_V6: Final = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")))


def host_name(text: str) -> str:
    """The host as it is kept, shown and asked for: an address (of IPv6 without brackets), or a
    name in ASCII, in small letters and without the dot at its end. Raises ValueError."""
    if ":" in text:
        if IPv6Address(text).scope_id is not None:  # a zone means something on one machine alone
            raise ValueError(text)
        return text.lower()
    name = idna.uts46_remap(text, std3_rules=False).removesuffix(".")
    labels = name.split(".")
    if all(label.isascii() for label in labels) and _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(socket.inet_aton(name)))  # 127.1, 0x7f000001 and 2130706433 are 127.0.0.1
        except OSError as error:
            raise ValueError(text) from error
    name = ".".join(_label(label) for label in labels)
    if len(name) > NAME_LIMIT:
        raise ValueError(text)
    return name


def _label(label: str) -> str:
    if not label.isascii():
        return idna.alabel(label).decode()
    if not _LABEL.fullmatch(label):
        raise ValueError(label)
    if label.startswith("xn--"):
        idna.ulabel(label)
    return label


def address_of(host: str) -> Address | None:
    """The address that a host (as `host_name` gives it) is by itself; None: that is for a look-up to say."""
    if host == "localhost" or host.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return parse_address(host)
    except ValueError:
        return None


def parse_address(text: str) -> Address:
    """An address as the resolver gives it, possibly with a zone (`fe80::1%eth0`). Raises ValueError."""
    return ip_address(text.partition("%")[0])


def behind(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to, when it does: mapped, NAT64 or 6to4."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_public(address: Address) -> bool:
    """Whether the address, and what it leads to, is somebody's on the internet."""
    target = behind(address)
    if isinstance(target, IPv4Address):
        return not any(target in network for network in _SPECIAL_V4)
    return target in _GLOBAL_V6 and not any(target in network for network in _SPECIAL_V6)
