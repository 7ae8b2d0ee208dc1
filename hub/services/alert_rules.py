"""Rules that open incidents by themselves: what they watch, whom, and who gets mail."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from hub.bus.base import Bus
from hub.domain import alert_rules as rules
from hub.domain.access import Actor
from hub.domain.errors import Invalid
from hub.domain.mails import checked_address
from hub.domain.quotas import Quotas
from hub.domain.targets import Targets, after_changes
from hub.domain.times import now_ms, rfc3339
from hub.services.recorded_change import change, check_version
from hub.services.targets import aim
from hub.store import alert_rules as store
from hub.store.database import Database
from hub.store.tables import AlertRule
from hub.store.targets import OF_RULES

NO_MAIL = "needs a mail server. Whoever runs this hub can name one in the setting smtp.host"


class AlertRules:
    """`has_mail`: whether there is a mail server. Without one no rule may have addresses: it would look as if somebody
    were told."""

    def __init__(
        self, db: Database, bus: Bus, *, has_mail: bool, clock: Callable[[], int] = now_ms, quotas: Quotas | None = None
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._bus = bus
        self._has_mail = has_mail
        self._clock = clock

    async def listing(
        self, actor: Actor, *, page: int = 1, per_page: int | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """(rules, how many there are in all). Without `per_page` all of them."""
        actor.require("read:players")
        offset = (page - 1) * per_page if per_page else 0
        async with self._db.session() as session:
            found = await store.find(session, actor.team_id, offset=offset, limit=per_page)
            total = await store.count(session, actor.team_id) if per_page else len(found)
            aims = await OF_RULES.read(session, [rule.id or 0 for rule in found])
        return [_describe(rule, aims[rule.id or 0]) for rule in found], total

    async def get(self, actor: Actor, rule_id: int) -> dict[str, Any]:
        """Raises NotFound."""
        actor.require("read:players")
        async with self._db.session() as session:
            rule = await store.get(session, actor.team_id, rule_id)
            return _describe(rule, (await OF_RULES.read(session, [rule_id]))[rule_id])

    async def create(
        self,
        actor: Actor,
        *,
        name: str,
        kind: str,
        severity: str,
        thresholds: Mapping[str, float],
        for_minutes: int = 0,
        everyone: bool,
        targets: Targets,
        emails: Sequence[str] = (),
        enabled: bool = True,
        face: str,
    ) -> dict[str, Any]:
        """A new rule, which watches from now on. Raises Invalid, Conflict (too many)."""
        actor.require("write:players")
        rules.check_rule(kind, for_minutes=for_minutes, everyone=everyone, targets=targets)
        kept = rules.checked_thresholds(kind, thresholds)
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            await made.check(self._quotas, "alert_rules")
            now = self._clock()
            rule = AlertRule(
                team_id=actor.team_id,
                name=name,
                kind=kind,
                severity=severity,
                thresholds=orjson.dumps(kept).decode(),
                for_minutes=for_minutes,
                everyone=everyone,
                emails=orjson.dumps(self._checked_emails(emails)).decode(),
                enabled=enabled,
                watches_since=now,
                created_at=now,
            )
            made.session.add(rule)
            await made.session.flush()
            await aim(made.session, OF_RULES, rule.id or 0, actor.team_id, targets, given=targets)
            await made.say("rule.created", **_named(rule))
        return await self.get(actor, rule.id or 0)

    async def update(
        self, actor: Actor, rule_id: int, changes: dict[str, Any], *, version: int | None = None, face: str
    ) -> dict[str, Any]:
        """Change `name`, `severity`, `thresholds` (those that are absent stay), `for_minutes`, `everyone`, `targets`
        (by kind; kinds that are absent stay), `emails`, `enabled`. Incidents that the rule as it is now would not have
        opened are resolved.

        Raises NotFound, Invalid, PreconditionFailed.
        """
        actor.require("write:players")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            rule = await store.get(made.session, actor.team_id, rule_id)
            check_version(rule, version)
            given: Targets = changes.get("targets", {})
            aimed = after_changes((await OF_RULES.read(made.session, [rule_id]))[rule_id], changes)
            if given:
                rule.everyone = False
            if changes.get("enabled") and not rule.enabled:
                rule.watches_since = self._clock()
            for name in ("name", "severity", "for_minutes", "everyone", "enabled"):
                setattr(rule, name, changes.get(name, getattr(rule, name)))
            if "targets" in changes or "everyone" in changes or "for_minutes" in changes:
                rules.check_rule(rule.kind, for_minutes=rule.for_minutes, everyone=rule.everyone, targets=aimed)
            if "thresholds" in changes:
                kept = rules.checked_thresholds(rule.kind, changes["thresholds"], orjson.loads(rule.thresholds))
                rule.thresholds = orjson.dumps(kept).decode()
            if "emails" in changes:
                rule.emails = orjson.dumps(self._checked_emails(changes["emails"])).decode()
            rule.version += 1
            made.session.add(rule)
            await made.session.flush()
            await aim(made.session, OF_RULES, rule_id, actor.team_id, aimed, given=given)
            await made.say("rule.updated", **_named(rule), changed=sorted(changes))
        return await self.get(actor, rule_id)

    async def delete(self, actor: Actor, rule_id: int, *, face: str) -> None:
        """The rule is gone; its incidents that are not resolved are withdrawn. Raises NotFound."""
        actor.require("write:players")
        async with change(self._db, self._bus, actor, face, shown=False) as made:
            rule = await store.get(made.session, actor.team_id, rule_id)
            await made.session.delete(rule)
            await made.say("rule.deleted", **_named(rule))

    def _checked_emails(self, emails: Sequence[str]) -> list[str]:
        if emails and not self._has_mail:
            raise Invalid.field("emails", NO_MAIL, code="no_mail_server")
        if len(emails) > rules.MAX_EMAILS:
            raise Invalid.field("emails", f"must have at most {rules.MAX_EMAILS} entries")
        return list(dict.fromkeys(checked_address(f"emails.{index}", one) for index, one in enumerate(emails)))


def _named(rule: AlertRule) -> dict[str, Any]:
    return {"rule_id": rule.id, "name": rule.name, "kind": rule.kind, "enabled": rule.enabled}


def _describe(rule: AlertRule, targets: Targets) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "kind": rule.kind,
        "severity": rule.severity,
        **dict.fromkeys(rules.NAMES),
        **orjson.loads(rule.thresholds),
        "for_minutes": rule.for_minutes,
        "everyone": rule.everyone,
        **{f"{kind}_ids": list(ids) for kind, ids in targets.items()},
        "emails": orjson.loads(rule.emails),
        "enabled": rule.enabled,
        "created_at": rfc3339(rule.created_at),
        "version": rule.version,
    }
