"""The composition root: what a hub is made of, where its faces are mounted, in which order it starts and stops."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, partial
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from hub.api import health
from hub.api.adcast.routes import ENTRIES as ADCAST
from hub.api.docs import manual, openapi
from hub.api.hangar.routes import ENTRIES as HANGAR
from hub.api.hangar_media.routes import ENTRIES as HANGAR_MEDIA
from hub.api.http.errors import HANDLERS
from hub.api.http.paths import PlainPaths
from hub.api.http.rate_limits import RateClass, RateLimiter
from hub.api.http.responses import Answer, as_response
from hub.api.http.routing import RouteTable
from hub.api.oauth.routes import ENTRIES as OAUTH
from hub.api.oauth.routes import PAGES
from hub.api.v1.routes import ENTRIES as V1
from hub.bus.local import LocalBus
from hub.config import Settings
from hub.domain.access import Actor
from hub.domain.errors import HubError
from hub.domain.presence import Graces
from hub.domain.times import SECOND, now_ms
from hub.jobs import Job, Jobs
from hub.metrics import CONTENT_TYPE, Metrics
from hub.protocol.session import Limits
from hub.services.access import Access
from hub.services.accounts import Accounts
from hub.services.alert_rules import AlertRules
from hub.services.alerts import Alerts
from hub.services.analytics import BEAT_S, Analytics
from hub.services.batches import Batches
from hub.services.campaigns import Campaigns
from hub.services.cap import Cap
from hub.services.clock import Age, ClockWatch, Steady
from hub.services.commands import Commands
from hub.services.container import Services
from hub.services.content import Content
from hub.services.direct_uploads import DirectUploads
from hub.services.downloads import Downloads
from hub.services.events import Events
from hub.services.exports import Exports
from hub.services.feed import Feed
from hub.services.folders import Folders
from hub.services.incident_monitor import IncidentMonitor
from hub.services.incidents import Incidents
from hub.services.jwt import Tokens
from hub.services.layouts import Layouts
from hub.services.licences import Licences
from hub.services.locations import Locations
from hub.services.mailer import Mailer
from hub.services.media_probe import Prober
from hub.services.members import Members
from hub.services.oauth import OAuth
from hub.services.oauth_clients import OAuthClients
from hub.services.outgoing import Outgoing
from hub.services.pairing import PairingService
from hub.services.player_uploads import Uploads
from hub.services.players import Players
from hub.services.playlists import Playlists
from hub.services.polling_players import Polling
from hub.services.presence import PresenceService
from hub.services.programs import Programs
from hub.services.quotas import Places, TeamQuotas
from hub.services.releases import Releases
from hub.services.retention import Retention
from hub.services.schedules import Schedules
from hub.services.screenshots import Screenshots
from hub.services.spool import Spool
from hub.services.teams import Teams, has_team, prepare, url_secret
from hub.services.waiting import Patience
from hub.services.weather import Weather
from hub.services.webhook_dispatcher import WebhookDispatcher, delivery_places
from hub.services.webhooks import Webhooks
from hub.sockets.operator.registry import MOST as OPERATORS
from hub.sockets.operator.registry import SWEEP_S as OPERATORS_SWEEP_S
from hub.sockets.operator.registry import Operators
from hub.sockets.player.manifest_sync import SYNC_S
from hub.sockets.player.registry import SWEEP_S, Registry
from hub.sockets.player.settings import SocketSettings
from hub.store.belonging import claim, names_files
from hub.store.blobs import Blobs
from hub.store.database import Database
from hub.store.private import has_run, open_data_folder
from hub.store.renewal import LogMark

VERSION = "0.1.0"
NODE = "hub"
"""The name of this process in presence rows: one hub, one process."""

DESCRIPTION = (
    "All calls of a Signalbox hub: its own, and those of the APIs that it speaks besides. The manual is at /docs."
)

ENTRIES = (*V1, *HANGAR, *HANGAR_MEDIA, *ADCAST, *OAUTH)
"""Every call of every face."""

STREAMS = 1_000  # event streams at one time; each costs a write for every event of its team
SOCKET_RATE: Final[RateClass] = "spot.plan"  # of POST .../commands and GET /api/v1/players
WAITS = 2_000  # requests that wait at one time; each costs a question for every event of its team

Probe = Callable[[str], None]

log = logging.getLogger(__name__)


@cache
def openapi_document() -> dict[str, Any]:
    """What /openapi.json serves. Not to be changed: it takes a quarter of a second to make, and is made once."""
    return openapi.document(ENTRIES, title="Signalbox", version=VERSION, description=DESCRIPTION)


def create_app(settings: Settings, *, probe: Probe | None = None) -> Starlette:
    """The whole hub as one ASGI application. Players connect to `/ws/player`, which `hub.server` serves beside it.

    `state.metrics` is another application, for an address of /metrics alone. `probe` is told before and after each
    commit and each frame; fault tests end the process there.
    """
    metrics = Metrics()
    checks: dict[str, health.Check] = {}
    limits = settings.rate_limits
    pacing = RateLimiter(limits.rules) if limits.enabled else None
    table = RouteTable(
        ENTRIES,
        proxies=settings.server.proxies,
        pacing=pacing,
        observe=metrics.observe_request,
    )
    token = settings.metrics.token
    figures = health.metrics(metrics.render, CONTENT_TYPE, token.get_secret_value() if token else None)
    routes: list[Any] = [
        table,  # first: it finds its own at once, and nearly every request is one of those
        *health.routes(checks),
        *([] if settings.metrics.listen else [figures]),
        openapi.route(openapi_document),
        *manual.routes(openapi_document),
        *PAGES,
        Route("/ws/player", _no_upgrade("signalbox.v1")),
        Route("/ws/operator", _no_upgrade("signalbox.operator.v1")),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with running(settings, metrics, checks, probe, pacing) as state:
            yield state

    plain = [Middleware(PlainPaths)]
    app = Starlette(routes=routes, middleware=plain, exception_handlers=HANDLERS, lifespan=lifespan)
    app.state.metrics = Starlette(routes=[figures], middleware=plain, exception_handlers=HANDLERS)
    return app


@asynccontextmanager
async def running(
    settings: Settings,
    metrics: Metrics,
    checks: dict[str, health.Check],
    probe: Probe | None = None,
    pacing: RateLimiter | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Start: database, blobs, services, recovery, jobs. Stop: the other way round, what is in memory written first."""
    players = settings.players
    graces = Graces(
        unclean=int(players.unclean_grace_s * SECOND),
        drain=int(players.drain_grace_s * SECOND),
        crash=int(players.crash_grace_s * SECOND),
        polling=int(settings.polling.grace_s * SECOND),
    )
    data = settings.server.data
    await asyncio.to_thread(open_data_folder, data)
    async with AsyncExitStack() as stack:
        db = Database(
            settings.database_url,
            wait_s=settings.database.wait_s,
            alone=True,
            probe=probe,
            observe=metrics.observe_commit,
        )
        await db.start(make=bool(settings.database.url) or not has_run(data))
        stack.push_async_callback(db.stop)
        await prepare(db)
        mark = LogMark(db, data)
        await mark.check(now_ms())
        age = Age(db)
        await age.start()
        steady = Steady(unsure=age.parted())
        attentive = Steady(unsure=age.parted(), pauses=True)  # for what players say in time
        blobs = _blobs(settings, make=not await names_files(db))
        stack.callback(blobs.close)
        await claim(db, blobs)

        bus = LocalBus()
        quotas = settings.quotas.limits
        presence = PresenceService(
            db,
            bus,
            NODE,
            graces,
            lambda outcome: metrics.device_events.labels(outcome).inc(),
            quotas=quotas,
        )
        patience = Patience()
        commands = Commands(
            db,
            bus,
            lambda state: metrics.command_transitions.labels(state).inc(),
            patience=patience,
            steady=attentive,
            quotas=quotas,
        )
        secret = await url_secret(db)
        screenshots = Screenshots(db, blobs, secret, settings.server.public_url)
        downloads = Downloads(db, blobs, secret, settings.server.public_url)
        spool = Spool(data / "incoming", max_bytes=settings.content.max_upload_bytes, quotas=quotas)
        content = Content(db, bus, blobs, spool, Prober(settings.content.max_pixels), downloads, quotas=quotas)
        alerts, releases = Alerts(db, bus, steady=steady, quotas=quotas), Releases(db, bus, quotas=quotas)
        licences = Licences(db, bus, quotas=quotas)
        uploads = Uploads(
            db,
            bus,
            blobs,
            data / "uploads",
            screenshots.url_of,
            keep_per_player=settings.screenshots.keep_per_player,
            retention_days=settings.screenshots.retention_days,
            quotas=quotas,
        )
        access = Access(db, bus, quotas=quotas, reached=age.reached)
        accounts = Accounts(
            db,
            bus,
            access,
            open_registration=settings.accounts.open_registration,
            idle_days=settings.accounts.login_idle_days,
            reached=age.reached,
            longest_days=settings.accounts.login_days,
        )
        analytics = Analytics(
            db,
            NODE,
            settings.analytics.plays_retention_days,
            lambda outcome, number: metrics.plays.labels(outcome).inc(number),
            quotas=quotas,
        )
        weather = _weather(settings, bus)
        programs = Programs(db, bus, weather, settings.server.public_url)
        events = Events(db, bus, patience=patience)
        streams = Places("event_streams", STREAMS, quotas)
        waits = Places("waiting_requests", WAITS, quotas)
        deliveries = delivery_places(quotas)
        outgoing = Outgoing(db, quotas)
        operator_places = Places("operator_sockets", OPERATORS, quotas)
        shared = (spool.places, uploads.places, streams, waits, deliveries, operator_places, outgoing.places)
        services = Services(
            access=access,
            accounts=accounts,
            members=Members(db, bus, accounts, quotas=quotas),
            teams=Teams(db, bus),
            tokens=Tokens(db, access),
            players=Players(db, bus, presence, programs, quotas=quotas),
            presence=presence,
            programs=programs,
            commands=commands,
            batches=Batches(db, bus, commands, quotas=quotas, steady=steady),
            uploads=uploads,
            screenshots=screenshots,
            pairing=PairingService(
                db,
                bus,
                licences,
                settings.server.public_url,
                quotas=quotas,
                polling_grace=graces.polling,
                reached=age.reached,
            ),
            events=events,
            feed=Feed(db, bus, events),
            webhooks=Webhooks(
                db, bus, allow_networks=settings.webhooks.allow_networks, quotas=quotas, patience=patience
            ),
            polling=Polling(
                db,
                bus,
                presence,
                commands,
                alerts,
                releases,
                licences,
                programs,
                content,
                downloads,
                settings.server.public_url,
                enabled=settings.polling.enabled,
                grace=graces.polling,
            ),
            alerts=alerts,
            cap=Cap(db, alerts),
            alert_rules=AlertRules(db, bus, has_mail=bool(settings.smtp.host), quotas=quotas),
            incidents=Incidents(db, bus),
            releases=releases,
            licences=licences,
            oauth=OAuth(db, bus, access, accounts, secret, settings.server.public_url, reached=age.reached),
            oauth_clients=OAuthClients(db, bus, quotas=quotas),
            content=content,
            downloads=downloads,
            outgoing=outgoing,
            folders=Folders(db, bus, content, quotas=quotas),
            direct_uploads=DirectUploads(
                db,
                content,
                secret,
                settings.server.public_url,
                lifetime_s=settings.content.ticket_s,
                quotas=quotas,
                reached=age.reached,
            ),
            playlists=Playlists(db, bus, downloads, quotas=quotas),
            layouts=Layouts(db, bus, quotas=quotas),
            schedules=Schedules(db, bus, quotas=quotas),
            locations=Locations(db, bus, quotas=quotas),
            campaigns=Campaigns(db, bus, quotas=quotas),
            analytics=analytics,
            exports=Exports(
                db, blobs, data / "exports", secret, settings.server.public_url, quotas=quotas, patience=patience
            ),
            quotas=TeamQuotas(db, quotas, {places.name: places.held for places in shared}),
            streams=streams,
            waits=waits,
            patience=patience,
        )
        registry = Registry(
            services,
            bus,
            SocketSettings(
                limits=Limits(
                    hello_timeout_s=players.hello_timeout_s,
                    heartbeat_s=players.heartbeat_s,
                    suspect_after_s=players.heartbeat_s / 2,
                    silence_s=players.silence_s,
                ),
                telemetry_s=players.telemetry_s,
                screenshot_s=players.screenshot_s,
                outbox_bytes=players.outbox_bytes,
                admissions_per_s=players.admissions_per_s,
                proxies=settings.server.proxies,
            ),
            metrics=metrics,
            probe=probe,
        )
        operators = Operators(
            services,
            bus,
            heartbeat_s=players.heartbeat_s,
            silence_s=players.silence_s,
            proxies=settings.server.proxies,
            metrics=metrics,
            places=operator_places,
            pace=partial(_pace_of_operators, pacing),
        )
        metrics.players_connected.set_function(lambda: len(registry))
        metrics.operators_connected.set_function(lambda: len(operators))
        await analytics.beat()
        recovered = await presence.recover()
        if not await has_team(db) and not settings.accounts.open_registration:
            log.warning("there is no team yet, and nobody can log in; in another terminal: hub init --data %s", data)
        if recovered:
            log.warning("the last run ended without goodbye; %d players have time to come back", recovered)

        dispatcher = WebhookDispatcher(db, bus, settings.webhooks, metrics, node=NODE, places=deliveries, steady=steady)
        await dispatcher.start()
        stack.push_async_callback(dispatcher.stop)
        monitor = IncidentMonitor(db, bus, graces.crash, steady=attentive)
        clock = ClockWatch(db, webhooks=settings.webhooks, smtp=settings.smtp, graces=graces, steady=steady)
        jobs = Jobs(_jobs(settings, db, services, registry, operators, dispatcher, monitor, clock, age, mark))
        jobs.start()
        stack.push_async_callback(_at_last, analytics.beat)
        stack.push_async_callback(_at_last, age.keep)
        stack.push_async_callback(_at_last, mark.keep)
        stack.push_async_callback(_at_last, services.access.flush)
        stack.push_async_callback(_at_last, partial(presence.flush, everything=True))
        stack.push_async_callback(services.programs.stop)
        stack.push_async_callback(registry.syncing.stop)
        stack.push_async_callback(jobs.stop)
        stack.push_async_callback(_finish, registry)
        stack.callback(services.feed.close)
        stack.callback(patience.end)
        stack.callback(operators.drain)
        checks.update(database=db.check, blobs=blobs.check)
        assert db.sole is not None
        yield {
            "services": services,
            "registry": registry,
            "operators": operators,
            "superseded": db.sole.superseded,
        }


def _jobs(
    settings: Settings,
    db: Database,
    services: Services,
    registry: Registry,
    operators: Operators,
    dispatcher: WebhookDispatcher,
    monitor: IncidentMonitor,
    clock: ClockWatch,
    age: Age,
    mark: LogMark,
) -> list[Job]:
    retention = Retention(
        db,
        {
            "commands": settings.commands.retention_days,
            "batches": settings.commands.retention_days,
            "events": settings.events.retention_days,
            "sessions": settings.players.sessions_retention_days,
            "downtimes": settings.players.sessions_retention_days,
            "plays": settings.analytics.plays_retention_days + 1,  # of a fast clock's, as long as they are taken
            "play sums": settings.analytics.sums_retention_days,
            "incidents": settings.incidents.retention_days,
            "cap messages": settings.events.retention_days,
        },
    )

    async def postpone() -> None:
        if registry.pacing:
            await services.presence.postpone()

    return [
        Job("sockets", SWEEP_S, registry.sweep),
        Job("operators", OPERATORS_SWEEP_S, operators.sweep),
        Job("credentials of operators", 60.0, operators.check),
        Job("presence", 0.5, services.presence.sweep, wake=services.presence.due),
        Job("deadlines", 0.5, services.commands.sweep),
        Job("pace", 0.5, services.batches.release),
        Job("batches", 1.0, services.batches.check),
        Job("alerts", 1.0, services.alerts.sweep),
        Job("incidents", 2.0, monitor.look),
        Job("mail", 2.0, Mailer(db, settings.smtp, quotas=settings.quotas.limits).work),
        Job("alerts on screens", 30.0, registry.refresh_alerts),
        Job("manifests", SYNC_S, registry.syncing.sweep),
        Job("weather", 5.0, services.programs.weather.refresh),
        Job("activations", 1.0, services.programs.activate_when_due),
        Job("revocations", 1.0, services.events.follow),
        Job("status", 5.0, services.presence.flush),
        Job("clock", 60.0, clock.set_right),
        Job("mark of the clock", 60.0, age.keep),
        Job("mark of the log", 10.0, mark.keep),
        Job("connections", 60.0, registry.audit, wake=db.sole.returned if db.sole is not None else None),
        Job("keys", 4.0, services.access.flush),
        Job("logins", 600.0, lambda: services.accounts.sweep(age.now())),
        Job("postpone", 5.0, postpone),
        Job("pairing", 600.0, lambda: services.pairing.sweep(age.now())),
        Job("oauth", 600.0, lambda: services.oauth.sweep(age.now())),
        Job("polling", 600.0, lambda: services.polling.sweep(age.now())),
        Job("content", 600.0, lambda: services.content.sweep(age.now())),
        Job("direct uploads", 600.0, lambda: services.direct_uploads.sweep(age.now())),
        Job("uploads", 600.0, lambda: services.uploads.sweep(age.now())),
        Job("alive", BEAT_S, services.analytics.beat),
        Job("exports", 0.5, services.exports.work),
        Job("expired exports", 600.0, lambda: services.exports.sweep(age.now())),
        Job("retention", 600.0, lambda: retention.run(age.now())),
        Job("deliveries", 600.0, lambda: dispatcher.prune(age.now())),
        Job("redeliveries", 1.0, dispatcher.replay, wake=dispatcher.replays),
    ]


def _pace_of_operators(pacing: RateLimiter | None, actor: Actor, address: str | None) -> int:
    """Count one request of an operator's socket in the pace of the calls that ask for the same. Answers the seconds to
    wait; 0: it is let in."""
    return pacing.take(SOCKET_RATE, actor, address, now_ms()).retry_after if pacing else 0


def _weather(settings: Settings, bus: LocalBus) -> Weather:
    weather = settings.weather
    url = weather.url if weather.provider == "http" else ""
    return Weather(bus, url, every_s=weather.cache_s, timeout_s=weather.timeout_s)


def _blobs(settings: Settings, *, make: bool) -> Blobs:
    blobs = settings.blobs
    return Blobs(
        settings.blobs_url,
        endpoint=blobs.endpoint,
        region=blobs.region,
        access_key_id=blobs.access_key_id,
        secret_access_key=blobs.secret_access_key.get_secret_value() if blobs.secret_access_key else None,
        allow_http=blobs.allow_http,
        make=make,
    )


async def _at_last(write: Callable[[], Awaitable[Any]]) -> None:
    """What is in memory is written, where that can be; what is lost are latest values."""
    try:
        await write()
    except HubError as error:
        log.warning("what was in memory at the end is not stored: %s", error)


async def _finish(registry: Registry) -> None:
    """What connections still have under way is written before the database closes."""
    await registry.drain()
    if registry.tasks:
        await asyncio.wait(registry.tasks, timeout=5)


def _no_upgrade(subprotocol: str) -> Callable[[Any], Awaitable[Any]]:
    """A WebSocket asked for without an upgrade."""

    async def answer(_request: Any) -> Any:
        message = f"This is a WebSocket; connect with the subprotocol {subprotocol}."
        headers = {"upgrade": "websocket", "connection": "Upgrade"}
        return as_response(Answer(426, {"message": message, "code": "upgrade_required"}, headers))

    return answer
