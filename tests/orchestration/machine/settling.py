"""Faults stop, what waits is approved, and everything runs twice: then all must be well."""

from __future__ import annotations

from orchestration.retrying import retry
from tests.orchestration.machine import invariants
from tests.orchestration.machine.lab import Lab

ROUNDS = 4


def settle(lab: Lab) -> None:
    """Bring everything to rest, and look at it."""
    lab.tick(0.05)
    lab.build()
    lab.evaluate()
    approve_all(lab)
    with lab.world.connect() as warehouse:
        retry(warehouse, lab.world.syncs.values())
    for name in lab.said:
        run_clean(lab, name)
    lab.tick(0.05)
    for name in lab.said:
        run_clean(lab, name)
    invariants.converged(lab)
    invariants.nothing_is_left(lab)


def run_clean(lab: Lab, name: str) -> None:
    """Run a sync until it has nothing to say, approving what is held."""
    for _ in range(ROUNDS):
        run = lab.sync(name)
        assert run is not None
        if run.status != "held":
            assert run.status in ("done", "nothing"), f"{name} is {run.status}: {run.reasons}"
            return
        approve_all(lab)
    raise AssertionError(f"{name} stays held: {run.reasons}")


def approve_all(lab: Lab) -> None:
    """Approve what is held and still of today; whatever is older is planned anew."""
    for held_id, exits in lab.held():
        lab.approve(held_id, exits)
