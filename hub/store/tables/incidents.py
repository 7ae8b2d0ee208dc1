"""Rules that watch players, what they found, and the mail about it."""

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from hub.store.tables import columns as c


class AlertRule(SQLModel, table=True):
    """`thresholds` are those of its kind. `watches_since`: what devices said before does not count."""

    __tablename__ = "alert_rule"
    id: int | None = c.key()
    team_id: int = c.ref("team.id", index=True)
    name: str
    kind: str
    severity: str
    thresholds: str = c.json()
    for_minutes: int = 0
    everyone: bool = False
    emails: str = c.json("[]")
    enabled: bool = True
    watches_since: int = c.time()
    created_at: int = c.time()
    version: int = 1


class AlertRuleTarget(SQLModel, table=True):
    """`kind` is player, group or location."""

    __tablename__ = "alert_rule_target"
    rule_id: int = c.key_of("alert_rule.id")
    kind: str = Field(primary_key=True)
    target_id: int = Field(sa_column=Column(c.Id, primary_key=True))


class Incident(SQLModel, table=True):
    """A condition that a rule found, see `hub.domain.incidents` for its life. It outlives its rule and its player and
    so has copies of their words. `player_id` is 0 for what concerns the whole team. `over_at` is when the condition
    itself was over: until then no second one of this rule and player can be, whatever became of the incident."""

    __tablename__ = "incident"
    id: int | None = c.key()
    team_id: int = c.ref("team.id")
    rule_id: int = c.number()
    player_id: int = c.number()
    rule_name: str
    kind: str
    severity: str
    name: str | None = None
    screen_id: str | None = None
    title: str
    message: str = c.long_text()
    measured: str = c.json()
    status: str
    began_at: int = c.time()
    due_at: int | None = c.maybe_time()
    opened_at: int | None = c.maybe_time()
    acknowledged_at: int | None = c.maybe_time()
    acknowledged_by: str | None = None
    acknowledged_note: str | None = c.long_text(nullable=True)
    resolved_at: int | None = c.maybe_time()
    resolved_by: str | None = None
    resolved_note: str | None = c.long_text(nullable=True)
    reason: str | None = None
    over_at: int | None = c.maybe_time()
    __table_args__ = (
        c.index_where("ux_incident_ongoing", "player_id", "rule_id", where="over_at IS NULL", unique=True),
        c.index_where("ix_incident_due", "due_at", where="due_at IS NOT NULL"),
        c.index_where("ix_incident_over", "over_at", where="over_at IS NOT NULL"),
        Index("ix_incident_team", "team_id", "id"),
        Index("ix_incident_player", "player_id", "id"),
    )


class IncidentMail(SQLModel, table=True):
    """One message to one address, written with the change that it tells of (`about`: opened or resolved). `next_at` is
    when it is due: for one under way the end of its lease, null once it is over."""

    __tablename__ = "incident_mail"
    id: int | None = c.key()
    incident_id: int = c.ref("incident.id", index=True)
    rule_id: int = c.number()
    address: str
    about: str
    state: str
    attempts: int = 0
    created_at: int = c.time()
    next_at: int | None = c.maybe_time()
    sent_at: int | None = c.maybe_time()
    last_error: str | None = c.long_text(nullable=True)
    __table_args__ = (
        c.index_where("ix_mail_next", "next_at", "id", where="next_at IS NOT NULL"),
        Index("ix_mail_rule", "rule_id", "created_at"),
    )
