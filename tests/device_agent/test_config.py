"""Settings of the agent: where they come from, who wins, and what a mistake is answered with."""

import dataclasses
import os
import re
import tomllib
from pathlib import Path

import pytest

from device_agent.config import Config, ConfigError, as_table, load

SHIPPED = Path(__file__).parents[2] / "config" / "agent.toml"


@pytest.fixture(autouse=True)
def _empty_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_shipped_file_states_every_default():
    assert tomllib.loads(SHIPPED.read_text()) == as_table(Config())


def test_the_shipped_file_can_be_used_with_its_example_of_a_custom_command(tmp_path):
    text = re.sub(r"^# (\[custom\.|command = |repeat = )", r"\1", SHIPPED.read_text(), flags=re.MULTILINE)
    config = load(write(tmp_path / "named.toml", text.replace("\n[custom]\n", "\n")), environment={})
    assert dataclasses.replace(config, custom={}) == Config()
    assert config.custom["say-hello"].repeat == "once"


def test_a_file_in_the_usual_place_is_read_and_a_named_one_instead(tmp_path):
    write(tmp_path / "config" / "agent.toml", 'name = "usual"\n')
    assert load(environment={}).name == "usual"
    named = write(tmp_path / "named.toml", 'name = "named"\n')
    assert load(named, environment={}).name == "named"
    assert load(environment={"AGENT_CONFIG": str(named)}).name == "named"


def test_environment_wins_over_the_file_and_arguments_over_both(tmp_path):
    named = write(tmp_path / "named.toml", 'hub = "http://a"\nname = "file"\nstate = "file"\n[content]\nitem_s = 5\n')
    environment = {"AGENT_NAME": "variable", "AGENT_STATE": "variable", "AGENT_CONTENT__ITEM_S": "6.5"}
    config = load(named, {"state": "argument"}, environment)
    assert (config.hub, config.name, config.state, config.content.item_s) == ("http://a", "variable", "argument", 6.5)


def test_lists_in_the_environment_are_json():
    config = load(environment={"AGENT_SYSTEM__REBOOT_COMMAND": '["sudo", "reboot"]'})
    assert config.system.reboot_command == ["sudo", "reboot"]


def test_a_value_that_looks_like_a_number_stays_the_text_it_is():
    assert load(environment={"AGENT_NAME": "42"}).name == "42"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('hbu = "http://a"\n', "hbu: there is no such setting"),
        ('[player]\nkind = "vlc"\n', "player.kind: must be one of mpv, simulated"),
        ("player = 3\n", "player: must be a table"),
        ("name = 3\n", "name: must be a string"),
        ("[screenshot]\nquality = 101\n", "screenshot.quality: must be between 1 and 100"),
        ("[screenshot]\nquality = true\n", "screenshot.quality: must be a whole number"),
        ("[content]\nitem_s = 0\n", "content.item_s: must be between"),
        ("[system]\nreboot_command = []\n", "system.reboot_command: must name a program"),
        ('[system]\ndisplay_on_command = ["on"]\n', "display_off_command are set together"),
        ("[player]\nargs = [1]\n", "player.args: must be a list of strings"),
        ('[custom."A b"]\ncommand = ["x"]\n', "custom.A b: a name has"),
        ("[custom.x]\ncommand = []\n", "custom.x.command: must name a program"),
        ('[custom.x]\nrepeat = "once"\n', "custom.x.command: is missing"),
        ('[custom.x]\ncommand = ["x"]\nrepeat = "often"\n', "custom.x.repeat: must be one of"),
        ("[player\n", "not TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, key):
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path / "named.toml", text), environment={})
    assert key in str(caught.value)


def test_a_misspelt_variable_of_a_table_is_named():
    with pytest.raises(ConfigError, match=r"player\.knid"):
        load(environment={"AGENT_PLAYER__KNID": "mpv"})


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load(tmp_path / "absent.toml", environment={})


def test_what_is_no_file_or_too_deep_is_no_settings_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="is not a file"):
            load(place, environment={})
    with pytest.raises(ConfigError, match="brackets in brackets"):
        load(write(tmp_path / "deep.toml", f"a = {'[' * 5_000}{']' * 5_000}"), environment={})
