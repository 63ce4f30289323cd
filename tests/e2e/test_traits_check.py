"""`tailrace traits check` on the real project and the sample."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.e2e.conftest import END, Shell, copy_project

AT = ("--as-of", END.isoformat())


@pytest.mark.slow
def test_churn_risk_came_true_on_the_sample(shell: Shell) -> None:
    found = shell.json("traits", "check", *AT)
    assert found["as_of"] == "2026-06-30T21:00:00Z"
    (churn,) = found["checks"]
    assert (churn["trait"], churn["status"], churn["reason"]) == ("churn_risk", "checked", None)
    assert churn["told_at"] == "2026-05-31T21:00:00Z"
    assert churn["auc"] > 0.85
    assert churn["brier"] < 0.6 * churn["brier_of_base_rate"]
    assert abs(churn["predicted"] - churn["base_rate"]) < 0.05
    assert len(churn["calibration"]) > 7
    for tenth in churn["calibration"]:
        assert abs(tenth["predicted"] - tenth["observed"]) < 0.1, tenth
    assert not churn["log_may_be_cut"]
    assert shell.json("traits", "check", *AT) == found


def test_it_says_it_to_people_and_writes_nothing(shell: Shell) -> None:
    said = shell.run("traits", "check", *AT)
    assert "churn_risk, told at 2026-05-31 21:00:00 UTC" in said
    assert "AUC 0.9" in said
    assert "By tenth of risk" in said
    assert max(len(line) for line in said.splitlines()) <= 120, said
    assert shell.rows("from information_schema.tables where table_schema = 'analytics'") == []


@pytest.mark.slow
def test_what_cannot_be_told_yet_is_not_told(shell: Shell) -> None:
    early = ("--as-of", (END - timedelta(days=100)).isoformat())
    (churn,) = shell.json("traits", "check", *early, code=1)["checks"]
    assert (churn["status"], churn["auc"], churn["calibration"]) == ("unknown", None, [])
    assert "not enough history" in churn["reason"]
    assert "unknown churn_risk: not enough history" in shell.run("traits", "check", *early, code=1)
    before = ("--as-of", (END - timedelta(days=400)).isoformat())
    assert "nobody with a session" in shell.run("traits", "check", *before, code=1)


@pytest.mark.slow
def test_a_log_that_ends_before_the_as_of_is_told(shell: Shell) -> None:
    later = ("--as-of", (END + timedelta(days=5)).isoformat())
    assert "the log ends early" in shell.run("traits", "check", *later)


def test_a_project_that_tells_no_churn_risk_is_not_checked(shell: Shell) -> None:
    project = copy_project(shell.folder)
    folder = project / "models" / "traits"
    for path in folder.iterdir():
        path.write_text(path.read_text().replace("user_churn", "user_loss"))
    (folder / "user_churn.sql").rename(folder / "user_loss.sql")
    (churn,) = replace(shell, project=project).json("traits", "check", *AT, code=1)["checks"]
    assert churn["reason"] == "the project has no model user_churn"
