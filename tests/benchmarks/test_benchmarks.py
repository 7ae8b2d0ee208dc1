import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hub.domain.times import DAY, now_ms
from tests.benchmarks.__main__ import main
from tests.benchmarks.report import Bound, Row, missed
from tests.benchmarks.seed import Age, make
from tests.benchmarks.stage import Sizes

TINY = Sizes(
    crowd=5,
    watched=5,
    deaths=3,
    idle=10,
    rounds=3,
    fan_out=5,
    clients=2,
    insert_s=0.1,
    hold_s=0.1,
    uploads=2,
    copied_bytes=10_000_000,
    repeats=1,
)


@pytest.mark.parametrize("name", ["round-trip", "fan-out", "presence"])
def test_a_measurement_runs_to_its_end_and_shows_the_hub_beside_something_else(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.json"
    assert main(["--only", name, "--json", str(file)], TINY) == 0
    rows = json.loads(file.read_text())
    assert rows
    assert any(row["ratio"] is not None and row["ratio"] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert all(row["what"] in printed for row in rows)


def test_a_copy_is_made_while_commands_go_back_and_forth(capsys: pytest.CaptureFixture[str]) -> None:
    past = ["--players", "12", "--events", "100", "--commands", "20", "--sessions", "10"]
    assert main(["--backup", *past], TINY) == 0
    assert "the longest POST to its 202 meanwhile" in capsys.readouterr().out


def test_questions_about_a_past_are_answered_and_the_seeded_sums_are_what_counting_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past = ["--players", "3", "--sessions", "20", "--plays", "5000"]
    assert main(["--analytics", *past, "--json", str(tmp_path / "rows.json")], TINY) == 0
    assert "plays of a month by day" in capsys.readouterr().out
    make(tmp_path / "hub.db", 3, Age(players=3, events=0, commands=0, sessions=0, plays=5_000))
    with closing(sqlite3.connect(tmp_path / "hub.db")) as database:
        sums = "SELECT SUM(plays), SUM(duration_ms), SUM(revenue_micros) FROM play_sum WHERE dimension = "
        counted = "SELECT COUNT(*), SUM(duration_ms), SUM(revenue_micros) FROM play"
        [everything] = database.execute(counted)
        assert everything[0] == 5_000
        for dimension in ("team", "player", "layout"):
            assert database.execute(f"{sums} '{dimension}'").fetchone() == everything
        [of_campaigns] = database.execute(f"{counted} WHERE campaign_id IS NOT NULL")
        assert database.execute(f"{sums} 'campaign'").fetchone() == of_campaigns
        assert of_campaigns[2] == 50_000 * of_campaigns[0] > 0


def row(standing: str, other: float) -> Row:
    return Row("m", "w", 10, "ms", "other", other, Bound("ratio", "<=", 0.5, standing))  # type: ignore[arg-type]


def test_a_missed_target_fails_the_check_and_a_missed_goal_only_when_everything_is_checked() -> None:
    met, target, goal = row("target", 100), row("target", 15), row("goal", 15)
    assert missed([met, target, goal], everything=False) == [target]
    assert missed([met, target, goal], everything=True) == [target, goal]


def test_a_ratio_to_nothing_is_a_missed_one() -> None:
    assert row("target", 0).missed


def test_an_aged_database_has_a_year_behind_it_and_is_made_the_same_each_time(tmp_path: Path) -> None:
    age = Age(players=3, events=40, commands=30, sessions=20)
    found = []
    for name in ("one.db", "two.db"):
        fleet = make(tmp_path / name, age.players, age)
        assert len(fleet.players) == 3
        database = sqlite3.connect(tmp_path / name)
        counts = {
            table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("event", "command", "player_session", "player", "presence")
        }
        assert counts == {"event": 40, "command": 30, "player_session": 20, "player": 3, "presence": 3}
        first, last = database.execute("SELECT MIN(created_at), MAX(created_at) FROM command").fetchone()
        assert now_ms() - first > 364 * DAY
        assert last - first > 330 * DAY
        found.append(database.execute("SELECT player_id, command, state FROM command ORDER BY id").fetchall())
        database.close()
    assert found[0] == found[1]
