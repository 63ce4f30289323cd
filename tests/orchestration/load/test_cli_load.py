from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration.cli.load import load

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project = tmp_path / "project"
    project.mkdir()
    for name in ("profiles.yml", "dbt_project.yml"):
        shutil.copy(ROOT / "dbt_project" / name, project / name)
    monkeypatch.setenv("TAILRACE_DUCKDB", str(tmp_path / "w.duckdb"))
    monkeypatch.setenv("TAILRACE_STATE_DIR", str(tmp_path / "state"))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(load, [*arguments, "--project-dir", str(project)])

    return invoke


def test_own_events_in_one_line(run, tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text("uid,what,at\na,page_view,2026-01-02\n")
    columns = ("--user", "uid", "--event", "what", "--time", "at")
    result = run(str(path), *columns, "--rename", "page_view=Session Started", "--json")
    assert result.exit_code == 0, result.output
    [entry] = json.loads(result.stdout)["loads"]
    assert {"file", "table", "read", "loaded", "known", "skipped", "first_at", "last_at"} <= set(
        entry
    )
    assert entry["loaded"] == 1
    text = run(str(path), *columns)
    assert "already there" in text.stdout
    assert "told apart by their content" in " ".join(text.stdout.split())


def test_the_sample_with_an_end(run) -> None:
    result = run("--sample", "--end", "2026-03-04T05:06:07Z", "--until", "2026-02-01", "--json")
    assert result.exit_code == 0, result.output
    shape = json.loads(result.stdout)
    assert shape["end"] == "2026-03-04T05:06:07Z"
    assert shape["loads"][0]["later"] > 0


@pytest.mark.parametrize(
    "arguments",
    [(), ("--sample", "x.csv"), ("x.csv", "--end", "2026-01-01"), ("--sample", "--rename", "a=b")],
)
def test_usage(run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2
