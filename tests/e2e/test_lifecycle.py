"""Renaming, ending and saying again, through the command line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.e2e.conftest import Shell, copy_project

pytestmark = pytest.mark.slow

SYNC = "iterable_feature_adoption"


@pytest.fixture
def own(ran: Shell) -> Shell:
    """A shell with a project of its own, run once."""
    return replace(ran, project=copy_project(ran.folder))


def test_a_sync_is_said_again_renamed_and_ended(own: Shell) -> None:
    again = json.loads(own.run("sync", SYNC, "--reassert", "--json"))["syncs"][0]
    assert again["delivered"] > 0
    dry = json.loads(own.run("plan", SYNC, "--reassert", "--json"))["syncs"][0]
    assert dry["update"] + dry["exit"] == again["delivered"]
    assert "for one sync at a time" in own.run("sync", "--reassert", code=2)
    said = own.run("sync", SYNC, "--reassert", "--all", code=2)
    assert "--reassert and --all exclude each other" in said

    syncs = own.project / "models" / "syncs.yml"
    syncs.write_text(syncs.read_text().replace(f"name: {SYNC}", "name: adoption_renamed"))
    assert "tailrace adopt" in own.run("sync", "adoption_renamed", code=3)
    assert SYNC in own.run("status")
    own.run("adopt", SYNC, "adoption_renamed")
    assert json.loads(own.run("sync", "adoption_renamed", "--json"))["syncs"][0]["calls"] == 0

    dry = json.loads(own.run("retire", "adoption_renamed", "--json"))
    assert dry["status"] == "dry"
    own.run("retire", "adoption_renamed", "--expect-exits", str(dry["exits"] + 1), code=2)
    done = json.loads(
        own.run("retire", "adoption_renamed", "--expect-exits", str(dry["exits"]), "--json")
    )
    assert (done["status"], done["exits"]) == ("retired", dry["exits"])
    assert json.loads(own.run("sync", "adoption_renamed", "--json"))["syncs"][0]["calls"] == 0
