"""Settings: where they come from, who wins, and what a mistake is answered with."""

import os
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import BaseModel

from hub.config import ConfigError, Settings, load

SHIPPED = Path(__file__).parents[1] / "config" / "hub.toml"
GROUPS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


@pytest.fixture(autouse=True)
def _empty_place(tmp_path, monkeypatch):
    """A folder without config/hub.toml and an environment without HUB_ variables."""
    monkeypatch.chdir(tmp_path)
    for name in ("HUB_CONFIG", "HUB_SERVER__PORT", "HUB_PLAYERS__HEARTBEAT_S", "HUB_WEBHOOKS__ALLOW_NETWORKS"):
        monkeypatch.delenv(name, raising=False)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, errors="surrogateescape")
    return path


def test_the_shipped_file_states_every_default():
    shipped = tomllib.loads(SHIPPED.read_text())
    defaults = Settings(config=None).model_dump(mode="json", exclude={"config"}, exclude_none=True)
    assert shipped == defaults


def test_the_shipped_file_mentions_every_setting_that_has_no_default():
    sections = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", SHIPPED.read_text(), re.MULTILINE | re.DOTALL))
    assert sections.keys() == GROUPS.keys()
    for name, group in GROUPS.items():
        for key, field in group.model_fields.items():
            if field.default is None:
                assert re.search(rf"^# {key} = ", sections[name], re.MULTILINE), f"[{name}] {key}"


def test_every_setting_tells_what_it_is_for():
    assert not [f"{n}.{k}" for n, group in GROUPS.items() for k, f in group.model_fields.items() if not f.description]


def test_a_file_in_the_usual_place_is_read(tmp_path):
    write(tmp_path / "config" / "hub.toml", "[server]\nport = 9000\n")
    assert load().server.port == 9000


def test_a_named_file_is_read_instead(tmp_path, monkeypatch):
    write(tmp_path / "config" / "hub.toml", "[server]\nport = 9000\n")
    named = write(tmp_path / "named.toml", "[server]\nport = 9001\n")
    assert load(named).server.port == 9001
    monkeypatch.setenv("HUB_CONFIG", str(named))
    settings = load()
    assert settings.server.port == 9001
    assert settings.config == named


def test_a_named_file_must_exist(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load(tmp_path / "absent.toml")
    monkeypatch.setenv("HUB_CONFIG", "absent.toml")
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load()


def test_environment_wins_over_the_file_and_arguments_over_both(tmp_path, monkeypatch):
    named = write(tmp_path / "named.toml", '[server]\nport = 9000\nhost = "10.0.0.1"\ndata = "filed"\n')
    monkeypatch.setenv("HUB_SERVER__PORT", "9001")
    monkeypatch.setenv("HUB_SERVER__HOST", "10.0.0.2")
    server = load(named, server={"port": 9002}).server
    assert (server.port, server.host, server.data) == (9002, "10.0.0.2", Path("filed"))


def test_lists_in_the_environment_are_json(monkeypatch):
    monkeypatch.setenv("HUB_WEBHOOKS__ALLOW_NETWORKS", '["10.0.0.0/8"]')
    assert load().webhooks.allow_networks == [ip_network("10.0.0.0/8")]


def test_a_list_that_is_not_json_is_told_how_to_be_written(monkeypatch):
    monkeypatch.setenv("HUB_WEBHOOKS__ALLOW_NETWORKS", "10.0.0.0/8")
    with pytest.raises(ConfigError, match=r"webhooks.*JSON"):
        load()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[players]\nhartbeat_s = 5\n", "players.hartbeat_s: there is no such setting"),
        ("[plyers]\nheartbeat_s = 5\n", "plyers: there is no such setting"),
        ('[server]\nport = "many"\n', "server.port: "),
        ("[webhooks]\nretry_s = [5, 0]\n", "webhooks.retry_s.1: "),
        ("[players]\nsilence_s = 10\n", "players: value error, silence_s must be longer"),
        ('[server]\ntls_cert = "cert.pem"\n', "server: value error, tls_cert and tls_key"),
        ("[server\n", "not TOML"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, text, key):
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path / "named.toml", text))
    assert key in str(caught.value)


def test_a_folder_is_no_settings_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        load(tmp_path)


def test_what_is_no_file_is_no_settings_file(tmp_path, monkeypatch):
    """A pipe would be waited for or passed over, and a device never ends."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/full")):
        with pytest.raises(ConfigError, match="is not a file"):
            load(place)
        monkeypatch.setenv("HUB_CONFIG", str(place))
        with pytest.raises(ConfigError, match="is not a file"):
            load()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "loop")


def test_a_settings_file_has_a_size_and_a_depth(tmp_path):
    with pytest.raises(ConfigError, match="more than 1,048,576 bytes"):
        load(write(tmp_path / "large.toml", "#" * 1_048_577))
    with pytest.raises(ConfigError, match="brackets in brackets"):
        load(write(tmp_path / "deep.toml", f"a = {'[' * 5_000}{']' * 5_000}"))


@pytest.mark.parametrize(
    ("group", "name", "values"),
    [
        ("server", "data", ["", "a\0b"]),
        ("server", "tls_cert", [""]),
        ("database", "url", ["sqlite:///a\0b", "postgresql://[", "postgresql://db/a\0b"]),
        ("blobs", "url", ["s3://[", "s3:///prefix", "file://", "file://host/folder", "file:///a%00b"]),
    ],
)
def test_a_place_that_cannot_be_is_named(group, name, values):
    for value in values:
        with pytest.raises(ConfigError, match=rf"{group}\.{name}: "):
            load(**{group: {name: value}})


def test_a_place_that_is_empty_is_the_usual_one():
    assert load(database={"url": ""}, blobs={"url": ""}) == Settings()


def test_a_misspelt_variable_of_a_group_is_named(monkeypatch):
    monkeypatch.setenv("HUB_PLAYERS__HARTBEAT_S", "5")
    with pytest.raises(ConfigError, match=r"players\.hartbeat_s"):
        load()


def test_variables_of_other_parts_are_left_alone(monkeypatch):
    monkeypatch.setenv("HUB_OWNER_PASSWORD", "correct horse")
    assert load() == Settings()


def test_secrets_show_neither_in_mistakes_nor_when_printed(tmp_path):
    file = write(tmp_path / "named.toml", '[blobs]\nsecret_acess_key = "hunter2"\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert "hunter2" not in str(caught.value)
    settings = load(blobs={"secret_access_key": "hunter2"}, database={"url": "postgresql://hub:hunter2@db/hub"})
    assert "hunter2" not in repr(settings)
    assert settings.blobs.secret_access_key.get_secret_value() == "hunter2"


def test_database_and_blobs_follow_the_data_folder(tmp_path):
    settings = load(server={"data": tmp_path / "here"})
    assert settings.database_url == f"sqlite:///{tmp_path}/here/hub.db"
    assert settings.blobs_url == f"file://{tmp_path}/here/blobs"
    elsewhere = load(database={"url": "postgresql://db/hub"}, blobs={"url": "s3://bucket"})
    assert (elsewhere.database_url, elsewhere.blobs_url) == ("postgresql://db/hub", "s3://bucket")


@pytest.mark.parametrize("url", ["mysql://db/hub", "sqlite+aiosqlite:///hub.db", "sqlite://", "hub.db"])
def test_a_database_of_another_kind_is_refused_at_the_start(url):
    with pytest.raises(ConfigError, match=r"database\.url"):
        load(database={"url": url})


def test_the_mail_servers_name_is_read_as_it_is_in_the_dns():
    assert load(smtp={"host": "mail.straße.example", "sender": "a@b.example"}).smtp.host == "mail.xn--strae-oqa.example"
    with pytest.raises(ConfigError, match=r"smtp\.host"):
        load(smtp={"host": "mail..example", "sender": "a@b.example"})
