"""An endpoint that takes each repeat for a new event, and what a sync says is to be done in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from destinations import iterable
from destinations.base import Dedup, Kind
from orchestration.approvals import approve
from tests.orchestration.machine.lab import Lab
from tests.orchestration.machine.syncs import AUDIENCE
from tests.orchestration.machine.truth import Truth, User
from tests.orchestration.machine.vendor import Vendor
from tests.support.world import TestClock, world_at

WAYS = ("resend", "hold", "skip")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    track = replace(iterable._ENDPOINTS[Kind.TRACK], dedup=Dedup.NONE)
    clock = TestClock()
    with (
        patch.object(iterable, "_ENDPOINTS", {**iterable._ENDPOINTS, Kind.TRACK: track}),
        world_at(tmp_path, clock, "http://127.0.0.1:9") as world,
    ):
        world.audience(AUDIENCE)
        yield Lab(world, Vendor(clock, Dedup.NONE), Truth(users={"u": User("u@x.example")}))


def day(lab: Lab, *, is_in: bool, faults: tuple[str, ...] = ()) -> str:
    """Build, evaluate and run, so much later that what was left of a plan is planned anew."""
    lab.truth.members = {"u"} if is_in else set()
    lab.tick(7)
    lab.build()
    lab.evaluate()
    run = lab.sync("told", faults=faults)
    assert run is not None
    return run.status


def told(lab: Lab) -> list[str]:
    return [event.name for event in lab.vendor.events]


@pytest.mark.parametrize("first", ["lost before", "lost after"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_in_doubt_goes_as_the_sync_says(lab: Lab, way: str, first: str) -> None:
    lab.add("told", on_ambiguous=way)
    assert day(lab, is_in=True, faults=(first, "busy")) == "incomplete"
    before = told(lab)
    assert before == (["Told in"] if first == "lost after" else [])
    status = day(lab, is_in=True)
    if way == "resend":
        assert (status, told(lab)) == ("done", [*before, "Told in"])
        assert len({event.id for event in lab.vendor.events}) == 1
    elif way == "skip":
        assert (status, told(lab)) == ("nothing", before)
    else:
        assert (status, told(lab)) == ("held", before)
        ((plan_id, exits),) = lab.held()
        with lab.world.connect() as warehouse:
            approve(warehouse, plan_id, expect_exits=exits, by="me", now=lab.tick())
        run = lab.sync("told")
        assert run is not None
        assert (run.status, told(lab)) == ("done", [*before, "Told in"])
    assert lab.dry("told").verdict == "empty"


@pytest.mark.parametrize("way", WAYS)
def test_who_left_in_the_meantime_is_told_so_once(lab: Lab, way: str) -> None:
    """The exit is another op: it has never been on its way, so there is no doubt about it."""
    lab.add("told", on_ambiguous=way)
    day(lab, is_in=True, faults=("lost after", "busy"))
    assert day(lab, is_in=False) == "done"
    assert told(lab) == ["Told in", "Told out"]
    assert day(lab, is_in=True) == "done"
    assert told(lab)[2:] == ["Told in"]
    assert lab.dry("told").verdict == "empty"


def test_a_repeat_of_everything_is_refused(lab: Lab) -> None:
    from destinations.errors import ConfigError
    from orchestration.delivering import run_sync
    from orchestration.desired.scope import Mode

    lab.add("told")
    assert day(lab, is_in=True) == "done"
    with pytest.raises(ConfigError, match="take each repeat for a new event"):
        run_sync(lab.engine(), lab.world.syncs["told"], mode=Mode.REASSERT)
    assert told(lab) == ["Told in"]
