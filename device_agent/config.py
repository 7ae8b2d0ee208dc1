"""Settings of one device: defaults, then a TOML file, then AGENT_* variables, then arguments; the last one wins.

A variable names its table with two underscores, AGENT_PLAYER__KIND=simulated; lists are written as JSON there.
"""

import json
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from device_agent.commands.actions import Custom

PREFIX = "AGENT_"
DEFAULT_FILE = Path("config/agent.toml")
CUSTOM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
MOST_CUSTOMS = 50  # a `hello` lists 100 capabilities at most


class ConfigError(ValueError):
    """The settings cannot be used; the text names each wrong key and never shows a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerSettings:
    kind: Literal["mpv", "simulated"] = "mpv"
    binary: str = "mpv"  # name or path of the mpv program
    args: list[str] = field(default_factory=list)  # added to mpv's command line


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSettings:
    source: str = ""  # file, folder or address; empty: a card with the player's name
    item_s: float = 10.0  # how long each file of a folder stays; a passer-by reads a poster in less
    follow: bool = True  # play what the hub has for this player; `source` is for when that is nothing
    cache_mb: int = 8_000  # for the files of the hub's program, a million bytes each


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenshotSettings:
    quality: int = 80  # JPEG, 1 to 100; at 80 text stays legible and a periodic picture is about 50 kB


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSettings:
    reboot_command: list[str] = field(default_factory=lambda: ["systemctl", "reboot"])
    display_on_command: list[str] = field(default_factory=list)  # both or none; none: the backlight, where there is one
    display_off_command: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    hub: str = "http://127.0.0.1:8080"
    state: str = "state"  # folder for token, journal and downloads; must survive a reboot
    name: str = ""  # for the screen and the log, until the hub tells its own; empty: the host's name
    token_file: str = ""  # empty: the file `token` in the state folder, as written by pairing
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    player: PlayerSettings = field(default_factory=PlayerSettings)
    content: ContentSettings = field(default_factory=ContentSettings)
    screenshot: ScreenshotSettings = field(default_factory=ScreenshotSettings)
    system: SystemSettings = field(default_factory=SystemSettings)
    custom: dict[str, Custom] = field(default_factory=dict)

    @property
    def display_commands(self) -> tuple[list[str], list[str]] | None:
        system = self.system
        return (system.display_on_command, system.display_off_command) if system.display_on_command else None


RANGES: dict[str, tuple[float, float]] = {
    "content.item_s": (1, 86_400),
    "content.cache_mb": (1, 10_000_000),
    "screenshot.quality": (1, 100),
}


def load(
    file: Path | None = None, arguments: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Config:
    """The settings from all sources. `arguments` are nested like the file. Raises ConfigError."""
    environment = os.environ if environment is None else environment
    named = file or (Path(environment[f"{PREFIX}CONFIG"]) if f"{PREFIX}CONFIG" in environment else None)
    values: dict[str, Any] = {}
    for source in (_read_file(named), _read_environment(environment), dict(arguments or {})):
        values = _merged(values, source)
    faults: list[str] = []
    config = _build(Config, values, "", faults)
    if not faults:
        faults.extend(_contradictions(config))
    if faults:
        raise ConfigError("\n".join(faults))
    return typing.cast(Config, config)


def as_table(config: Config) -> dict[str, Any]:
    """The settings as the file writes them."""
    return asdict(config)


def _read_file(named: Path | None) -> dict[str, Any]:
    path = named or DEFAULT_FILE
    if named is None and not path.exists():
        return {}
    import tomllib

    try:
        if path.exists() and not path.is_file() and not path.samefile(os.devnull):
            raise ConfigError(f"{path} is not a file.")
        return tomllib.loads(path.read_text())
    except RecursionError:
        raise ConfigError(f"{path} is not TOML: it has too many brackets in brackets.") from None
    except FileNotFoundError:
        raise ConfigError(f"There is no settings file at {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from None


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Only variables of tables and settings that exist here: others may belong to something else."""
    values: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        group, _, key = name.removeprefix(PREFIX).lower().partition("__")
        model = _hints(Config).get(group)
        if model is None or group == "custom":
            continue
        if is_dataclass(model):
            values.setdefault(group, {})[key] = _parse(_hints(typing.cast(type, model)).get(key), text)
        else:
            values[group] = _parse(model, text)
    return values


def _parse(kind: Any, text: str) -> Any:
    """Text as the value it means; what cannot be read stays text, and is then refused by its key's name."""
    if kind is str or typing.get_origin(kind) is Literal:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged


def _build(kind: Any, value: Any, path: str, faults: list[str]) -> Any:
    """`value` as `kind`; what is wrong with it is added to `faults`."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            faults.append(f"{path}: must be a table")
            return None
        hints = _hints(kind)
        faults.extend(f"{_join(path, key)}: there is no such setting" for key in value if key not in hints)
        given = {key: _build(hints[key], one, _join(path, key), faults) for key, one in value.items() if key in hints}
        needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
        missing = [name for name in needed if name not in value]
        faults.extend(f"{_join(path, name)}: is missing" for name in missing)
        return None if missing or faults else kind(**given)
    if origin is dict and isinstance(value, Mapping):
        return {key: _build(inner[1], one, _join(path, key), faults) for key, one in value.items()}
    if origin is Literal:
        fits, wanted = value in inner, f"one of {', '.join(inner)}"
    elif origin is list:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        wanted = "a list of strings"
    elif kind is float:
        fits, wanted = type(value) in (int, float), "a number"
    else:
        names = {str: "a string", int: "a whole number", bool: "true or false"}
        fits, wanted = type(value) is kind, names.get(kind, "a table")
    if not fits:
        faults.append(f"{path}: must be {wanted}")
    elif path in RANGES and not RANGES[path][0] <= value <= RANGES[path][1]:
        faults.append(f"{path}: must be between {RANGES[path][0]:g} and {RANGES[path][1]:g}")
    return value


def _contradictions(config: Config) -> list[str]:
    faults = []
    system = config.system
    if bool(system.display_on_command) != bool(system.display_off_command):
        faults.append("system: display_on_command and display_off_command are set together or not at all")
    if not system.reboot_command:
        faults.append("system.reboot_command: must name a program")
    if len(config.custom) > MOST_CUSTOMS:
        faults.append(f"custom: at most {MOST_CUSTOMS} commands")
    for name, one in config.custom.items():
        if not CUSTOM_NAME.fullmatch(name):
            faults.append(f"custom.{name[:60]}: a name has up to 40 of a-z, 0-9, - and _")
        if not one.command:
            faults.append(f"custom.{name[:60]}.command: must name a program")
    return faults


def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)
