"""The e-mail about an incident: its words, its headers, and when it is tried again.

Names, titles and notes are written by people and by devices of which nothing is known yet. In a header they are text
that is encoded here and never parsed (the policies of `email.policy` decode encoded words that they find in a text, and
write what was in them as it is). In the body they stand behind `> ` or in quotation marks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.header import Header
from email.message import Message
from email.utils import format_datetime
from typing import Final, Literal

from hub.domain.errors import Invalid
from hub.domain.hosts import host_name
from hub.domain.text import cut, one_line, some_lines
from hub.domain.times import SECOND, rfc3339

MAX_ERROR: Final = 500  # characters of a server's words that are kept
MAX_SUBJECT: Final = 200  # characters: what lists of mail show, and more
MAX_PERSON: Final = 64  # characters before the @ of an address (RFC 5321, 4.5.3.1.1)

# Dot-atoms alone: comments, quoted parts and addresses in brackets are read in several ways by what a mail passes.
_PERSON = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PRINTABLE = re.compile(r"[ -~]*")

ENDINGS: Final = {
    "recovered": "It is over.",
    "resolved": "It was resolved by {who}.",
    "withdrawn": "It is not watched any more: the rule or the player is gone, or the rule is disabled.",
}
CITED: Final = "Names, and lines that begin with >, are words of your team and of its devices."


@dataclass(frozen=True, slots=True)
class Mail:
    """One message to one address. The rest is of its incident; `player_id` is None for what concerns the team."""

    id: int
    address: str
    about: Literal["opened", "resolved"]
    created_at: int
    incident_id: int
    rule_name: str
    severity: str
    title: str
    message: str
    player_id: int | None
    name: str | None
    opened_at: int
    resolved_at: int | None
    resolved_by: str | None
    resolved_note: str | None
    reason: str | None


def checked_address(field: str, address: str) -> str:
    """An address that every mail server reads in one way, in ASCII. Raises Invalid."""
    person, at, domain = address.rpartition("@")
    if at and len(person) <= MAX_PERSON and _PERSON.fullmatch(person) and "=?" not in person and ":" not in domain:
        try:
            ascii_domain = host_name(domain)
        except ValueError:
            pass
        else:
            return f"{person}@{domain if domain.isascii() else ascii_domain}"
    raise Invalid.field(field, "must be an e-mail address")


def compose(mail: Mail, sender: str, database: str) -> "Message[str, str | Header]":
    """`database` is its name (`Log.name`), so that no other hub makes the same Message-ID; a repeat of a mail has the
    same, and both mails about an incident are one conversation. Raises ValueError for an address that is none."""
    domain = sender.rpartition("@")[2]
    begins = "Resolved: " if mail.about == "resolved" else ""
    headers: dict[str, str | Header] = {
        "From": _ascii(sender),
        "To": _ascii(mail.address),
        "Subject": _encoded("Subject", cut(one_line(f"{begins}{mail.title}"), MAX_SUBJECT)),
        "Date": format_datetime(datetime.fromtimestamp(mail.created_at // SECOND, UTC)),
        "Message-ID": _ascii(f"<mail-{mail.id}.{database}@{domain}>"),
        "References": _ascii(f"<incident-{mail.incident_id}.{database}@{domain}>"),
        "Auto-Submitted": "auto-generated",
    }
    message: Message[str, str | Header] = Message()
    for name, value in headers.items():
        message[name] = value
    charset = Charset("utf-8")
    charset.body_encoding = QP
    message.set_payload("\n".join(_lines(mail)) + "\n", charset)
    return message


def _encoded(name: str, text: str) -> Header:
    """A text in a header: as it is where nobody can take it for anything else, and otherwise in encoded words."""
    plain = _PRINTABLE.fullmatch(text) and "=?" not in text
    return Header(text, "us-ascii" if plain else "utf-8", header_name=name)


def _ascii(value: str) -> str:
    """Raises ValueError where a header cannot have it as it is."""
    if not _PRINTABLE.fullmatch(value) or "=?" in value:
        raise ValueError(f"{value!r} cannot stand in a header")
    return value


def _lines(mail: Mail) -> list[str]:
    lines = [*_cited(mail.title), "", one_line(mail.message)]
    if mail.about == "resolved":
        lines += ["", ENDINGS[mail.reason or "recovered"].format(who=_quoted(mail.resolved_by or ""))]
        if mail.resolved_note:
            lines += _cited(mail.resolved_note)
    facts = [("Severity", mail.severity), ("Rule", _quoted(mail.rule_name))]
    if mail.player_id is not None:
        facts.append(("Player", f"{_quoted(mail.name or '')} ({mail.player_id})"))
    facts.append(("Opened", rfc3339(mail.opened_at)))
    if mail.about == "resolved" and mail.resolved_at is not None:
        facts.append(("Resolved", rfc3339(mail.resolved_at)))
    facts.append(("Incident", str(mail.incident_id)))
    return [*lines, "", *(f"{name}: {value}" for name, value in facts), "", CITED]


def _cited(text: str) -> list[str]:
    return [f"> {line}" for line in some_lines(text).split("\n")]


def _quoted(text: str) -> str:
    """Between quotation marks that it cannot close."""
    return f'"{one_line(text).replace(chr(34), chr(39))}"'


def after_failure(attempts: int, final: bool, now: int, retry_s: Sequence[int]) -> tuple[str, int | None]:
    """(state, when it is tried again) after a failed attempt, `attempts` with this one. `final`: the address will not
    be better next time."""
    if final or attempts > len(retry_s):
        return "failed", None
    return "pending", now + retry_s[attempts - 1] * SECOND
