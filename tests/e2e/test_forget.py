"""suppress and forget from the command line, on the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import END, Shell

AS_OF = ("--as-of", END.isoformat())


def sync(shell: Shell, code: int = 0) -> dict[str, Any]:
    return {run["sync"]: run for run in shell.json("sync", *AS_OF, code=code)["syncs"]}


@pytest.mark.slow
def test_from_the_command_line_to_the_wire_and_back(shell: Shell, tmp_path: Path) -> None:
    shell.json("build", *AS_OF)
    users = shell.rows(
        "select user_id, email from analytics.user_traits "
        "where email like '%@%.%' order by user_id limit 3"
    )
    (first, first_email), (second, _), (third, third_email) = users
    listed = tmp_path / "list.txt"
    listed.write_text(f"{first_email.upper()} \r\n\r\n{second}\n", encoding="utf-8")

    done = shell.json("suppress", "--file", str(listed), "--reason", "asked us to")
    assert done == {"given": 2, "added": 2, "ops": 0}
    shell.json("evaluate", *AS_OF)
    sync(shell)
    told = shell.rows("select distinct user_id from tailrace.plan_ops")
    assert (third,) in told
    assert (first,) not in told
    assert (second,) not in told
    assert shell.profile(first_email)["profile"] is None

    assert shell.json("suppress", "--lift", first_email)["lifted"] == 1
    assert sync(shell)["iterable_user_traits"]["delivered"] == 1
    assert shell.profile(first_email)["profile"] is not None

    dry = shell.json("forget", third)
    assert dry["status"] == "dry"
    assert dry["by_hand"] == {"iterable": 1}
    assert dry["rows"]["acked"] > 0
    assert dry == shell.json("forget", third), "nothing was written"
    shown = shell.run("forget", third_email, "--email")
    assert "--yes does it" in shown
    assert "deleted by hand" in shown
    assert "raw and model tables are not touched" in shown
    assert third_email not in shown

    gone = shell.json("forget", third, "--yes")
    assert (gone["status"], gone["rows"]) == ("done", dry["rows"])
    assert shell.json("forget", third)["rows"].keys() == dry["rows"].keys()
    assert set(shell.json("forget", third)["rows"].values()) == {0}
    for table in ("acked", "plan_ops"):
        assert (third_email,) not in shell.rows(f"select dest_key from tailrace.{table}")
    assert {run["calls"] for run in sync(shell).values()} == {0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("suppress", "u1"), "--reason"),
        (("suppress", "--reason", "r"), "--file"),
        (("suppress", "--lift"), "--file"),
        (("suppress", "--file", "missing.txt", "--reason", "r"), "missing.txt"),
    ],
)
def test_usage_errors_say_what_is_missing(
    empty_shell: Shell, arguments: tuple[str, ...], says: str
) -> None:
    assert says in empty_shell.run(*arguments, code=2)


def test_before_anything_was_sent(empty_shell: Shell) -> None:
    """The list may be filled first: on a new warehouse, of users nobody has heard of."""
    assert empty_shell.json("suppress", "u1", "--reason", "r")["added"] == 1
    assert empty_shell.json("suppress", "u1", "--lift")["lifted"] == 1
    assert "u1" not in empty_shell.run("suppress", "u1", "--reason", "r")
    assert empty_shell.json("forget", "nobody-knows", "--yes")["status"] == "done"
    assert empty_shell.json("forget", " ", code=2)["error"]["key"] == "USER"
    assert empty_shell.json("forget", "u1", "--email", code=2)["error"]["key"] == "USER"


@pytest.mark.parametrize(
    "line", ['"ada@example.com"', "ada@example.com,2026-01-01", "ada@example.com bob@example.com"]
)
def test_a_list_with_more_than_one_address_a_line_is_refused(
    empty_shell: Shell, tmp_path: Path, line: str
) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text(f"'O,Brien'\nSmith, Jo <jo@example.com>\n{line}\n")
    said = empty_shell.json("suppress", "--file", str(listed), "--reason", "r", code=2)["error"]
    assert "line 3" in said["message"]
    assert "@" not in said["message"]
