"""The e-mail about an incident: its words, its headers, and when it is tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, Literal

from hub.domain.errors import Invalid
from hub.domain.hosts import host_name
from hub.domain.text import one_line
from hub.domain.times import SECOND, rfc3339

MAX_ERROR: Final = 500  # characters of a server's words that are kept

ENDINGS: Final = {
    "recovered": "It is over.",
    "resolved": "It was resolved by {who}.",
    "withdrawn": "It is not watched any more: the rule or the player is gone, or the rule is disabled.",
}


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
    """An address that a header takes, in ASCII: not every mail server knows more. Raises Invalid."""
    person, at, domain = address.rpartition("@")
    try:
        if not domain.isascii():
            address = f"{person}{at}{host_name(domain)}"
        if address.isascii():
            return Address(addr_spec=address).addr_spec
    except (ValueError, IndexError, MessageError):  # what its parser says to texts that are no address
        pass
    raise Invalid.field(field, "This is not an e-mail address.")


def compose(mail: Mail, sender: str, database: str) -> EmailMessage:
    """`database` is its name (`Log.name`), so that no other hub makes the same Message-ID; a repeat of a mail has the
    same, and both mails about an incident are one conversation."""
    domain = sender.rpartition("@")[2]
    begins = "Resolved: " if mail.about == "resolved" else ""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(addr_spec=sender)
    message["To"] = Address(addr_spec=mail.address)
    message["Subject"] = one_line(f"{begins}{mail.title}")
    message["Date"] = format_datetime(datetime.fromtimestamp(mail.created_at // SECOND, UTC))
    message["Message-ID"] = f"<mail-{mail.id}.{database}@{domain}>"
    message["References"] = f"<incident-{mail.incident_id}.{database}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_lines(mail)) + "\n")
    return message


def _lines(mail: Mail) -> list[str]:
    lines = [mail.title, "", mail.message]
    if mail.about == "resolved":
        lines += ["", ENDINGS[mail.reason or "recovered"].format(who=mail.resolved_by)]
        if mail.resolved_note:
            lines.append(mail.resolved_note)
    facts = [("Severity", mail.severity), ("Rule", mail.rule_name)]
    if mail.player_id is not None:
        facts.append(("Player", f"{mail.name} ({mail.player_id})"))
    facts.append(("Opened", rfc3339(mail.opened_at)))
    if mail.about == "resolved" and mail.resolved_at is not None:
        facts.append(("Resolved", rfc3339(mail.resolved_at)))
    facts.append(("Incident", str(mail.incident_id)))
    return [*lines, "", *(f"{name}: {value}" for name, value in facts)]


def after_failure(attempts: int, final: bool, now: int, retry_s: Sequence[int]) -> tuple[str, int | None]:
    """(state, when it is tried again) after a failed attempt, `attempts` with this one. `final`: the address will not
    be better next time."""
    if final or attempts > len(retry_s):
        return "failed", None
    return "pending", now + retry_s[attempts - 1] * SECOND
