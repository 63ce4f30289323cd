"""A merge with somebody suppressed settles the plan that is about to be sent, and no other."""

from __future__ import annotations

from orchestration.plan_store import set_status
from orchestration.suppression import note_merges, suppress
from tests.support.world import World


def test_a_merge_leaves_alone_what_another_run_sends(world: World) -> None:
    """It may be on its way: a receipt would say that it was never sent."""
    world.sync("ours", sends="traits", fields={"points": "score"})
    world.sync("other", sends="traits", fields={"grade": "score"})
    world.users({"u00": {}, "u01": {}}, world.step(1))
    world.store("ours")
    elsewhere = world.store("other").plan_id
    world.merges({"before": "u01"})
    with world.connect() as warehouse:
        suppress(warehouse, ["before"], "asked us to", world.clock.now())
        note_merges(warehouse, "analytics.user_merges")
        set_status(warehouse, elsewhere, "delivering")
    assert world.run("ours").delivered == 1
    settled = "select outcome from tailrace.receipts where plan_id = ?"
    assert world.rows(settled, [elsewhere]) == []
    assert world.run("other").delivered == 1, "its own run settles it"
    assert world.rows(f"{settled} order by seq_from", [elsewhere]) == [
        ("delivered",),
        ("suppressed",),
    ]
