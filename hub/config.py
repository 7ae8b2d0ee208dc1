"""The hub's settings: one typed tree, read once at start and handed to whoever needs a part of it.

Sources, the first that names a value wins: arguments, the environment (`HUB_PLAYERS__HEARTBEAT_S=20`), the TOML file.
The file is the `config` argument, else `HUB_CONFIG`, else `config/hub.toml` where there is one. A key that no setting
answers to is an error that names the key, wherever it stands: a limit with a typing error in it must not pass as set.
"""

import os
import re
import stat
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from hub.client_address import ForwardedHeader, Network, TrustedProxies
from hub.domain import quotas
from hub.domain.hosts import host_name
from hub.domain.ratelimit import SECOND_US, Rule

DEFAULT_FILE = Path("config/hub.toml")
FILE_BYTES = 1 << 20  # of a settings file at most; every setting with a comment takes 30 KB

Days = Annotated[int, Field(ge=1, le=36_500)]
Requests = Annotated[int, Field(ge=1, le=1_000_000)]
Amount = Annotated[int, Field(ge=0, le=2**53)]

HANGAR_REFILL_US = 5 * SECOND_US  # as its document has it


_BEARER = re.compile(r"[A-Za-z0-9._~+/=-]{16,255}")


class ConfigError(ValueError):
    """The settings cannot be used; the text names each wrong key, one a line, and never shows a value."""


def checked_path(text: str) -> Path:
    """Raises ValueError for what no system takes for a path, and for none: it would be the folder that the hub happens
    to be started in."""
    if not text or "\0" in text:
        raise ValueError("a path is not empty and has no character NUL")
    return Path(text)


class Group(BaseModel):
    # Values stay out of messages: a secret under a misspelt key must not end in a terminal's history.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Server(Group):
    host: str = Field("127.0.0.1", description="Address to listen on; loopback until someone decides otherwise.")
    port: int = Field(8080, ge=0, le=65_535, description="TCP port; 0 lets the system choose.")
    data: Path = Field(Path("data"), description="Folder for the database and the blobs, when they are local.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+[^\s?#]*)?$",
        description="Address under which browsers and players reach the hub; empty: taken from each request.",
    )
    trusted_proxies: list[Network] = Field(
        [],
        description="Networks whose forwarded_header is believed; from anywhere else it is a claim anyone could make.",
    )
    forwarded_header: ForwardedHeader = Field(
        "x-forwarded-for",
        description="The header in which those proxies name the client: x-forwarded-for, or forwarded of RFC 7239.",
    )
    loop: Literal["auto", "uvloop", "asyncio"] = Field(
        "auto", description="Event loop; auto: uvloop where it is installed (there is none for Windows), else asyncio."
    )
    tls_cert: Path | None = Field(None, description="PEM certificate chain; together with tls_key, serves HTTPS.")
    tls_key: Path | None = Field(None, description="PEM private key of tls_cert.")

    @field_validator("data", "tls_cert", "tls_key", mode="before")
    @classmethod
    def _a_path_is_one(cls, path: Any) -> Any:
        return checked_path(path) if isinstance(path, str) else path

    @field_validator("public_url")
    @classmethod
    def _an_address_can_be_called(cls, url: str) -> str:
        try:
            good = not url or bool(urlsplit(url).hostname and urlsplit(url).port != 0)
        except ValueError:  # a port of letters, or IPv6 without its brackets
            good = False
        if not good:
            raise ValueError("an address looks like https://hub.example.com, with IPv6 in brackets: http://[::1]:8080")
        return url

    @field_validator("loop")
    @classmethod
    def _the_loop_is_there(cls, loop: str) -> str:
        if loop == "uvloop" and find_spec("uvloop") is None:
            raise ValueError("uvloop is not installed here")
        return loop

    @model_validator(mode="after")
    def _tls_is_a_pair(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key are set together or not at all")
        return self

    @property
    def proxies(self) -> TrustedProxies:
        return TrustedProxies(tuple(self.trusted_proxies), self.forwarded_header)


class Metrics(Group):
    listen: str = Field(
        "",
        pattern=r"^((\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5})?$",
        description="Address and port of /metrics alone, as in 127.0.0.1:9090; empty: the hub's own serves it.",
    )
    token: SecretStr | None = Field(
        None,
        description="Bearer token that /metrics asks for, 16 characters or more; unset: it asks for none.",
    )

    @field_validator("listen")
    @classmethod
    def _a_port_is_one(cls, listen: str) -> str:
        if listen and int(listen.rpartition(":")[2]) > 65_535:
            raise ValueError("a port is at most 65535")
        return listen

    @field_validator("token")
    @classmethod
    def _a_token_can_be_sent(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not _BEARER.fullmatch(token.get_secret_value()):
            raise ValueError("a token has 16 to 255 of A-Z, a-z, 0-9 and -._~+/=")
        return token

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where /metrics is served beside the hub: one (host, port), or none."""
        if not self.listen:
            return []
        host, _, port = self.listen.rpartition(":")
        return [(host.strip("[]"), int(port))]


class Database(Group):
    url: str = Field(
        "",
        repr=False,  # it may hold a password
        pattern=r"^(sqlite:///.+|postgresql(\+[a-z0-9]+)?://.+)?$",
        description="postgresql://user:password@host/name, or sqlite:///path; empty: hub.db in the data folder.",
    )
    wait_s: int = Field(
        60,
        ge=0,
        le=3_600,
        description="Seconds that a start waits for a PostgreSQL server; one that starts with the machine needs ten.",
    )

    @field_validator("url")
    @classmethod
    def _a_database_can_be_there(cls, url: str) -> str:
        try:
            if url.startswith("sqlite:///"):
                checked_path(url.removeprefix("sqlite:///"))
            elif "\0" in urlsplit(url).geturl():  # raises ValueError for half a pair of brackets
                raise ValueError
        except ValueError:
            raise ValueError(
                "an address looks like postgresql://user:password@host:5432/name or sqlite:///path"
            ) from None
        return url


class Blobs(Group):
    url: str = Field(
        "",
        pattern=r"^((s3|file)://.+)?$",
        description="s3://bucket/prefix, or file:///folder; empty: the folder blobs in the data folder.",
    )
    endpoint: str | None = Field(None, description="Address of an S3 service that is not Amazon's.")
    region: str = Field("us-east-1", description="Region of the bucket; services beside Amazon's take any word.")
    access_key_id: str | None = Field(None, description="Key id for the bucket; unset: the machine's own credentials.")
    secret_access_key: SecretStr | None = Field(None, description="Secret of access_key_id; best in the environment.")
    allow_http: bool = Field(False, description="Whether the endpoint may be plain HTTP, as a local MinIO is.")

    @field_validator("url")
    @classmethod
    def _a_store_can_be_there(cls, url: str) -> str:
        try:
            place = urlsplit(url)
            if place.scheme == "s3" and not place.netloc:
                raise ValueError
            if place.scheme == "file":
                if place.netloc not in ("", "localhost"):
                    raise ValueError
                checked_path(url2pathname(place.path))
        except ValueError:
            raise ValueError(
                "an address looks like s3://bucket/prefix or, with three strokes, file:///folder"
            ) from None
        return url


class Players(Group):
    hello_timeout_s: float = Field(
        10,
        gt=0,
        le=300,
        description="Seconds from handshake to hello: a slow link needs two, a probe would wait for ever.",
    )
    heartbeat_s: int = Field(
        10, ge=1, le=3_600, description="Seconds of silence before a ping; a third of silence_s: one may be lost."
    )
    silence_s: int = Field(
        30, ge=3, le=7_200, description="Seconds of silence until a player is offline; raise it for slow links."
    )
    telemetry_s: int = Field(
        60, ge=1, le=86_400, description="Seconds between a player's readings; disks and temperatures move no faster."
    )
    screenshot_s: int = Field(
        300, ge=0, le=86_400, description="Seconds between a player's own screenshots; 0 turns them off."
    )
    unclean_grace_s: float = Field(
        15, ge=0, le=3_600, description="Seconds a lost connection may take to return unnoticed; Wi-Fi roams in five."
    )
    drain_grace_s: float = Field(
        60, ge=0, le=3_600, description="Seconds players sent away by a stopping node may take to return unnoticed."
    )
    crash_grace_s: float = Field(
        90, ge=0, le=3_600, description="Seconds after a crash of the hub; a player's own back-off reaches 60."
    )
    outbox_bytes: int = Field(
        1_048_576,
        ge=262_144,
        le=67_108_864,
        description="Unsent bytes at which a player is too slow and is closed (4130); four of the largest messages.",
    )
    admissions_per_s: int = Field(
        200,
        ge=1,
        le=100_000,
        description="New connections a second: half of what one core lets in, so operators go on.",
    )
    sessions_retention_days: Days = Field(
        400, description="Days sessions are kept: the uptime of a year, and a month more."
    )

    @model_validator(mode="after")
    def _a_ping_fits_into_the_silence(self) -> Self:
        if self.silence_s <= self.heartbeat_s:
            raise ValueError("silence_s must be longer than heartbeat_s, or no ping could ever be answered in time")
        return self


class Accounts(Group):
    open_registration: bool = Field(
        False, description="Whether strangers may make an account, which is a team of its own on the plan free."
    )
    login_idle_days: Days = Field(30, description="Days without a use after which a login ends; holidays fit in.")
    login_days: Days = Field(365, description="Days after which a login ends in any case.")


class Polling(Group):
    enabled: bool = Field(
        True, description="Whether devices may poll under a bare uuid, as AdCast's do; off, their calls are 404."
    )
    grace_s: float = Field(
        90,
        ge=75,
        le=3_600,
        description="Seconds of silence until such a player is offline; a stored last-seen is 65 old.",
    )


class Commands(Group):
    retention_days: Days = Field(90, description="Days finished commands are kept; a quarter, as audits ask for.")


class Webhooks(Group):
    retry_s: list[Annotated[int, Field(ge=1, le=604_800)]] = Field(
        [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
        max_length=50,
        description="Seconds before each new attempt: the first outlasts a restart, all together a long weekend.",
    )
    timeout_s: float = Field(15, gt=0, le=120, description="Seconds an endpoint may take for its whole answer.")
    allow_networks: list[Network] = Field(
        [],
        description="Private networks that deliveries may reach, over plain http too; all others only over https to "
        "public addresses, since a webhook's address is chosen by a user and asked for from inside.",
    )
    disable_after_days: Days = Field(5, description="Days of nothing but failures until an endpoint is switched off.")
    retention_days: Days = Field(30, description="Days the delivery log is kept, for redelivery after a long outage.")


class Events(Group):
    retention_days: Days = Field(400, description="Days the event log is kept; it is the audit trail too.")


class Screenshots(Group):
    keep_per_player: int = Field(
        50, ge=1, le=10_000, description="Newest pictures kept of each player: four hours at one in 300 seconds."
    )
    retention_days: Days = Field(30, description="Days a picture is kept at most: it may show more than was meant.")


class RateLimits(Group):
    """Requests a minute, `_burst` as many at once after a pause; Hangar's alone come back every five seconds."""

    enabled: bool = Field(True, description="Whether requests are limited at all, and answers say how far.")
    free: Requests = Field(60, description="Requests a minute of a team on the plan free, all its callers together.")
    pro: Requests = Field(300, description="The same on the plan pro.")
    business: Requests = Field(1_000, description="The same on the plan business.")
    unlimited: Requests = Field(
        100_000, description="The same on the plan unlimited: more than one core answers, so that a loop is seen."
    )
    standard: Requests = Field(
        100, description="Requests a minute of one address: OAuth, unknown paths, unknown callers."
    )
    standard_burst: Requests = Field(200, description="At once after a pause.")
    read: Requests = Field(200, description="Requests a minute of one key that read at /v1.")
    read_burst: Requests = Field(400, description="At once after a pause.")
    write: Requests = Field(60, description="Requests a minute of one key that write at /v1.")
    write_burst: Requests = Field(120, description="At once after a pause.")
    upload: Requests = Field(30, description="Uploads a minute of one key at /v1.")
    upload_burst: Requests = Field(60, description="At once after a pause.")
    token: Requests = Field(60, description="Requests a minute of one account token at /api.")
    player: Requests = Field(300, description="Requests a minute of one player.")
    polling: Requests = Field(
        3_000, description="Requests a minute of all players of one address that poll: a thousand with three each."
    )
    polling_burst: Requests = Field(6_000, description="At once after a pause.")
    signed: Requests = Field(1_000, description="Signed links a minute of one address; a page shows many pictures.")
    signed_burst: Requests = Field(2_000, description="At once after a pause.")
    hangar: Requests = Field(20, description="Requests of one of Hangar's callers that come back every 5 seconds.")
    hangar_burst: Requests = Field(100, description="At once after a pause.")

    @property
    def rules(self) -> dict[str, Rule]:
        """By the names of the rate classes of routes; a plan's is `spot.plan` and its name."""
        return {
            "spot.plan.free": Rule.per_minute(self.free),
            "spot.plan.pro": Rule.per_minute(self.pro),
            "spot.plan.business": Rule.per_minute(self.business),
            "spot.plan.unlimited": Rule.per_minute(self.unlimited),
            "hm.standard": Rule.per_minute(self.standard, self.standard_burst),
            "hm.read": Rule.per_minute(self.read, self.read_burst),
            "hm.write": Rule.per_minute(self.write, self.write_burst),
            "hm.upload": Rule.per_minute(self.upload, self.upload_burst),
            "adcast.token": Rule.per_minute(self.token),
            "adcast.player": Rule.per_minute(self.player),
            "adcast.network": Rule.per_minute(self.polling, self.polling_burst),
            "signed": Rule.per_minute(self.signed, self.signed_burst),
            "hangar.default": Rule(self.hangar_burst, self.hangar, HANGAR_REFILL_US),
        }


class PlanLimits(Group):
    """How much of something a team may have, by its plan."""

    free: Amount
    pro: Amount
    business: Amount
    unlimited: Amount


def _quota(name: str) -> Any:
    quota = quotas.QUOTAS[name]
    limits = PlanLimits(**quota.limits._asdict())
    return Field(limits, description=f"{quota.what[:1].upper()}{quota.what[1:]}, of one team: {quota.reason}.")


class QuotaSettings(Group):
    """Of each quota a limit for each plan; plans that are not named keep the limit that they have."""

    players: PlanLimits = _quota("players")
    groups: PlanLimits = _quota("groups")
    members: PlanLimits = _quota("members")
    api_keys: PlanLimits = _quota("api_keys")
    oauth_clients: PlanLimits = _quota("oauth_clients")
    webhooks: PlanLimits = _quota("webhooks")
    alert_rules: PlanLimits = _quota("alert_rules")
    alerts: PlanLimits = _quota("alerts")
    licences: PlanLimits = _quota("licences")
    releases: PlanLimits = _quota("releases")
    assets: PlanLimits = _quota("assets")
    stored_bytes: PlanLimits = _quota("stored_bytes")
    player_bytes: PlanLimits = _quota("player_bytes")
    folders: PlanLimits = _quota("folders")
    playlists: PlanLimits = _quota("playlists")
    playlist_items: PlanLimits = _quota("playlist_items")
    layouts: PlanLimits = _quota("layouts")
    schedules: PlanLimits = _quota("schedules")
    schedule_targets: PlanLimits = _quota("schedule_targets")
    locations: PlanLimits = _quota("locations")
    holidays: PlanLimits = _quota("holidays")
    campaigns: PlanLimits = _quota("campaigns")
    paced_batches: PlanLimits = _quota("paced_batches")
    upload_urls: PlanLimits = _quota("upload_urls")
    exports: PlanLimits = _quota("exports")
    mails_per_hour: PlanLimits = _quota("mails_per_hour")
    plays_per_day: PlanLimits = _quota("plays_per_day")
    device_events_per_day: PlanLimits = _quota("device_events_per_day")
    commands_per_day: PlanLimits = _quota("commands_per_day")
    uploads: PlanLimits = _quota("uploads")
    downloads: PlanLimits = _quota("downloads")
    player_uploads: PlanLimits = _quota("player_uploads")
    operator_sockets: PlanLimits = _quota("operator_sockets")
    event_streams: PlanLimits = _quota("event_streams")
    waiting_requests: PlanLimits = _quota("waiting_requests")
    deliveries: PlanLimits = _quota("deliveries")

    @model_validator(mode="before")
    @classmethod
    def _the_others_stay(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            name: quotas.QUOTAS[name].limits._asdict() | limits
            if name in quotas.QUOTAS and isinstance(limits, dict)
            else limits
            for name, limits in given.items()
        }

    @property
    def limits(self) -> quotas.Quotas:
        return quotas.Quotas({name: quotas.Limits(**limits.model_dump()) for name, limits in self})


class Content(Group):
    max_upload_bytes: int = Field(
        5_368_709_120,
        ge=1_048_576,
        le=1_099_511_627_776,
        description="Largest file of an asset; an hour of 4K video at 10 Mbit/s.",
    )
    max_pixels: int = Field(
        67_108_864,
        ge=1_000_000,
        le=1_000_000_000,
        description="Most pixels of a picture, 8192 x 8192: decoded they are 256 MB of memory.",
    )
    ticket_s: int = Field(
        900, ge=60, le=86_400, description="Seconds an upload URL may be begun to be used; as long as others give."
    )


class Analytics(Group):
    plays_retention_days: Days = Field(
        90, description="Days single plays are kept: a quarter, as advertisers are billed; older ones are not taken."
    )
    sums_retention_days: Days = Field(
        800, description="Days the sums of each quarter of an hour are kept: this year beside the last."
    )

    @model_validator(mode="after")
    def _sums_outlive_plays(self) -> Self:
        if self.sums_retention_days < self.plays_retention_days:
            raise ValueError("sums_retention_days must not be shorter than plays_retention_days")
        return self


class Weather(Group):
    provider: Literal["none", "http"] = Field(
        "none", description="Where conditions on the weather look; with none, no such condition ever holds."
    )
    url: str = Field(
        "https://api.open-meteo.com/v1/forecast?latitude={latitude}&longitude={longitude}"
        "&current=temperature_2m,weather_code",
        pattern=r"^https?://[^\s/?#]+\S*$",
        description="Address that answers like Open-Meteo, with {latitude} and {longitude} of a location.",
    )
    cache_s: int = Field(900, ge=60, le=86_400, description="Seconds a reading is good; services measure as often.")
    timeout_s: float = Field(
        5, gt=0, le=60, description="Seconds an answer may take; one that fails is tried again in 60."
    )


class Incidents(Group):
    retention_days: Days = Field(400, description="Days incidents are kept after they are over: a year, and more.")


class Smtp(Group):
    host: str = Field("", max_length=255, description="Mail server for mail about incidents; empty: there is none.")
    port: int = Field(587, ge=1, le=65_535, description="587 is usual with starttls, 465 with tls, 25 with none.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is protected; none sends the password as it is."
    )
    username: str = Field("", max_length=255, description="Account at the mail server; empty: it asks for none.")
    password: SecretStr | None = Field(None, description="Password of username; best in the environment.")
    sender: str = Field(
        "",
        max_length=254,
        pattern=r"^([!-;=?A-~]+@[!-;=?A-~]+)?$",
        description="Address that mail comes from, such as signalbox@example.com.",
    )
    timeout_s: float = Field(10, gt=0, le=60, description="Seconds the server may take for each answer.")
    retry_s: list[Annotated[int, Field(ge=1, le=604_800)]] = Field(
        [60, 300, 1_800, 7_200, 28_800],
        max_length=20,
        description="Seconds before each new attempt: half a day in all, after that the mail is of no use.",
    )

    @field_validator("host")
    @classmethod
    def _as_in_the_dns(cls, host: str) -> str:
        return host_name(host) if host else ""

    @model_validator(mode="after")
    def _somebody_sends(self) -> Self:
        if self.host and not self.sender:
            raise ValueError("sender must be set where host is")
        return self


class Log(Group):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line written.")
    format: Literal["text", "json"] = Field("text", description="text for a terminal, json for a log collector.")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="HUB_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    config: Path | None = Field(None, description="The file these settings were read from.")
    server: Server = Server()
    metrics: Metrics = Metrics()
    database: Database = Database()
    blobs: Blobs = Blobs()
    players: Players = Players()
    polling: Polling = Polling()
    accounts: Accounts = Accounts()
    commands: Commands = Commands()
    webhooks: Webhooks = Webhooks()
    events: Events = Events()
    screenshots: Screenshots = Screenshots()
    content: Content = Content()
    rate_limits: RateLimits = RateLimits()
    quotas: QuotaSettings = QuotaSettings()
    analytics: Analytics = Analytics()
    weather: Weather = Weather()
    incidents: Incidents = Incidents()
    smtp: Smtp = Smtp()
    log: Log = Log()

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{(self.server.data / 'hub.db').as_posix()}"

    @property
    def blobs_url(self) -> str:
        return self.blobs.url or (self.server.data / "blobs").absolute().as_uri()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        named = init_settings().get("config") or os.environ.get("HUB_CONFIG")
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read(named))


def _read(named: str | Path | None) -> dict[str, Any]:
    """What the settings file says. Raises ConfigError, OSError, ValueError (not TOML, or not UTF-8)."""
    path = Path(named or DEFAULT_FILE)
    if path.is_dir():
        raise ConfigError(f"The settings file {path} is a folder.")
    try:
        # A pipe that nobody writes to would be waited for, for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if named is None:
            return {}
        raise ConfigError(f"There is no settings file at {path}.") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) and not path.samefile(os.devnull):
            raise ConfigError(f"The settings file {path} is not a file: write what a pipe brings into one.")
        text = file.read(FILE_BYTES + 1)
    if len(text) > FILE_BYTES:
        raise ConfigError(f"The settings file {path} has more than {FILE_BYTES:,} bytes.")
    return tomllib.loads(text.decode())


def load(config: Path | None = None, **groups: Any) -> Settings:
    """The settings from all sources; `groups` are partial tables that win over them, as `server={"port": 0}`.

    Raises ConfigError with a text for whoever started the hub.
    """
    try:
        return Settings(**(groups if config is None else {**groups, "config": config}))
    except ValidationError as error:
        raise ConfigError("\n".join(map(_line, error.errors()))) from None
    except SettingsError as error:
        raise ConfigError(f'{error}; lists are written as JSON there: ["10.0.0.0/8"].') from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The settings file is not TOML: {error}.") from None
    except RecursionError:
        raise ConfigError("The settings file is not TOML: it has too many brackets in brackets.") from None
    except UnicodeDecodeError:
        raise ConfigError("The settings file is not TOML: it is not UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"The settings file cannot be read: {error.strerror}.") from None


def _line(fault: ErrorDetails) -> str:
    text = "there is no such setting" if fault["type"] == "extra_forbidden" else fault["msg"]
    return f"{'.'.join(map(str, fault['loc']))}: {text[:1].lower()}{text[1:]}"
