"""`tailrace tracking-plan`, in a project of its own; it needs no warehouse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Shell

EXAMPLE = ROOT / "tests" / "orchestration" / "tracking_plan" / "segment_plan.json"
NAMES = ["Feature Used", "Invite Sent", "Order Completed", "Session Started", "Signed Out"]
OURS = """event,property,type,required,allowed_values,pattern,enforcement
session_started,,,,,,block
session_started,old,string,,,,
Ours,,,,,,alert
Signed Out,,,,,,
"""


@pytest.fixture
def own(tmp_path: Path) -> Shell:
    """A shell whose project holds nothing yet."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "dbt_project.yml").write_text("name: own\n")
    return replace(Shell(tmp_path, "http://127.0.0.1:9"), project=project)


def plan(shell: Shell) -> Path:
    return shell.project / "seeds" / "tracking_plan.csv"


def test_a_first_import(own: Shell) -> None:
    done = own.json("tracking-plan", "import", str(EXAMPLE))
    assert done["file"] == str(plan(own))
    assert (done["added"], done["changed"], done["removed"], done["unchanged"]) == (
        NAMES,
        [],
        [],
        [],
    )
    assert (done["written"], done["dry_run"]) == (True, False)
    assert len(done["skipped"]) == 4
    lost = {"event": "Feature Used", "property": "seconds", "keyword": "minimum"}
    assert lost.items() <= done["not_carried_over"][0].items()
    counted = {"events": 5, "properties": 19, "block": 0, "alert": 0}
    assert own.json("tracking-plan", "check") == {"file": str(plan(own)), **counted}
    before = plan(own).stat()
    again = own.json("tracking-plan", "import", str(EXAMPLE), "--replace")
    assert (again["written"], again["unchanged"]) == (False, NAMES)
    assert plan(own).stat().st_mtime_ns == before.st_mtime_ns


def test_an_import_into_a_plan_and_what_it_says_to_people(own: Shell) -> None:
    plan(own).parent.mkdir()
    plan(own).write_text(OURS)
    said = own.run("tracking-plan", "import", str(EXAMPLE), "--dry-run")
    assert plan(own).read_text() == OURS
    assert "added 3: Feature Used, Invite Sent, Order Completed\n" in said
    assert "changed 1: session_started\n" in said
    assert "kept the name session_started (Session Started in FILE)" in said
    assert "unchanged 2\n" in said
    assert "skipped data.rules[8] Pricing: a rule of type PAGE is not about an event\n" in said
    assert "Not carried over" in said
    assert "Nothing was written: --dry-run" in said
    assert "removed" not in said
    assert "wrote " in own.run("tracking-plan", "import", str(EXAMPLE))
    assert "session_started,,,,,,block\n" in plan(own).read_text()
    assert "Ours,,,,,,alert\n" in plan(own).read_text()
    assert "1 block, 1 alert" in own.run("tracking-plan", "check")
    assert "removed 1: Ours\n" in own.run("tracking-plan", "import", str(EXAMPLE), "--replace")
    assert "Ours" not in plan(own).read_text()
    assert "session_started,,,,,,block\n" in plan(own).read_text()
    assert [path.name for path in plan(own).parent.iterdir()] == ["tracking_plan.csv"]


def test_a_plan_with_mistakes_stays_and_is_told(own: Shell) -> None:
    said = own.run("tracking-plan", "check", code=2)
    assert "there is no tracking plan" in said
    plan(own).parent.mkdir()
    plan(own).write_text(OURS + "Ours,,,,,,stop\nNobody,x,strng,,,,\n")
    for verb in (["check"], ["import", str(EXAMPLE)], ["import", str(EXAMPLE), "--replace"]):
        said = own.run("tracking-plan", *verb, code=2)
        assert "line 6, event: 'Ours' is in line 4 already" in said
        assert "line 6, enforcement: 'stop'" in said
        assert "line 7, type: 'strng' is no type" in said
        assert "line 7, event: the event 'Nobody' is not declared" in said
        assert f"file: {plan(own)}:6" in said
    error = own.json("tracking-plan", "check", code=2)["error"]
    assert (error["kind"], error["line"]) == ("config", 6)
    assert plan(own).read_text().startswith(OURS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"rules": [\n}', ("not JSON", "line 2, column 1", "plan.json:2")),
        ('{"rules": [{"type": "TRAK"}]}', ("key: rules[0].type", "accepted: TRACK, IDENTIFY")),
        ('{"audiences": []}', ("not a tracking plan", 'accepted: rules: [{"key"')),
    ],
)
def test_a_file_that_is_no_plan_changes_nothing(
    own: Shell, content: str, words: tuple[str, ...]
) -> None:
    file = own.folder / "plan.json"
    file.write_text(content)
    said = own.run("tracking-plan", "import", str(file), code=1)
    for word in words:
        assert word in said, said
    assert not plan(own).exists()


def test_one_page_does_not_replace_the_plan(own: Shell) -> None:
    document = json.loads(EXAMPLE.read_text())
    document["data"]["pagination"]["next"] = "MTA="
    file = own.folder / "plan.json"
    file.write_text(json.dumps(document))
    said = own.run("tracking-plan", "import", str(file), "--replace", code=1)
    assert "one page of several" in said
    assert not plan(own).exists()
    assert "one page: FILE names further pages" in own.run("tracking-plan", "import", str(file))


def test_a_folder_that_is_no_project_stays_empty(own: Shell) -> None:
    empty = own.folder / "empty"
    empty.mkdir()
    shell = replace(own, project=empty)
    for verb in (["check"], ["import", str(EXAMPLE)]):
        assert "there is no dbt project here" in shell.run("tracking-plan", *verb, code=2)
    assert not list(empty.iterdir())
