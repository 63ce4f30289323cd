"""What the engine's tables said over time: ops, versions, and what was acknowledged in silence."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestration.forgotten import NOBODY
from orchestration.suppression import TOMBSTONE
from tests.support.world import World


class Op(NamedTuple):
    """What an op_id stands for; `content` is the row_hash where the endpoint keeps no ids."""

    key: str
    op: str
    version: int
    occurred_at: object
    content: str


class Known(NamedTuple):
    """A row of `acked`."""

    op: str | None
    issued: int
    acked: int
    user_id: str
    is_unsure: bool


class Silent(NamedTuple):
    """An op that was acknowledged without a call."""

    key: str
    version: int
    op: str
    user_id: str


@dataclass
class Ledger:
    """Everything by sync, under the name it had first."""

    ops: dict[str, dict[str, Op]] = field(default_factory=lambda: defaultdict(dict))
    acked: dict[str, dict[str, Known]] = field(default_factory=lambda: defaultdict(dict))
    silent: dict[str, dict[tuple[str, int], str]] = field(default_factory=lambda: defaultdict(dict))

    def collect(self, world: World, name: str, key: str) -> list[Silent]:
        """Take down what the tables say now, and return what was acknowledged in silence since.

        Raises:
            AssertionError: an op_id has two contents, or a version went down.
        """
        self._collect_ops(world, name, key)
        return self._collect_acked(world, name, key)

    def _collect_ops(self, world: World, name: str, key: str) -> None:
        found = world.rows(
            "select o.op_id, o.dest_key, o.op, o.version, o.occurred_at, "
            "case when o.kind = 'identify' and p.mode = 'normal' then o.row_hash else '' end "
            "from tailrace.plan_ops as o inner join tailrace.plans as p on o.plan_id = p.plan_id "
            "where p.sync = ? and o.dest_key <> ?",
            [key, NOBODY],
        )
        for op_id, *values in found:
            op = Op(*values)
            known = self.ops[name].setdefault(op_id, op)
            same = known._replace(content="") == op._replace(content="")
            alike = known.content == op.content or not (known.content and op.content)
            assert (same, alike) == (True, True), (
                f"op_ids are unique per content: {name} has one op_id for {known} and for {op}"
            )

    def _collect_acked(self, world: World, name: str, key: str) -> list[Silent]:
        found = world.rows(
            "select dest_key, op, version_issued, coalesce(version_acked, 0), user_id, "
            "unsure_until is not null from tailrace.acked where sync = ?",
            [key],
        )
        now = {dest_key: Known(*values) for dest_key, *values in found}
        before = self.acked[name]
        forgotten = sum(dest_key.startswith(TOMBSTONE) for dest_key in now)
        lost = [k for k in before if k not in now and not k.startswith(TOMBSTONE)]
        assert len(lost) <= forgotten, f"tombstones stay: {name} forgot {lost}"
        assert len(now) >= len(before), f"tombstones stay: {name} had {len(before)} rows"
        versions = {(op.key, op.version) for op in self.ops[name].values()}
        silent = []
        for dest_key, row in now.items():
            was = before.get(dest_key) or Known(None, 0, 0, "", False)
            assert row.issued >= was.issued, (
                f"version_issued never goes down: {name} {dest_key} {was} -> {row}"
            )
            assert row.acked <= row.issued, f"acked before it was issued: {name} {dest_key} {row}"
            spoken = (dest_key, row.acked) in versions or dest_key.startswith(TOMBSTONE)
            if row.acked > was.acked and not spoken:
                silent.append(Silent(dest_key, row.acked, str(row.op), row.user_id))
                self.silent[name][dest_key, row.acked] = str(row.op)
        self.acked[name] = now
        return silent

    def forget(self, keys: set[str]) -> None:
        """What was known in silence of these is no more."""
        for known in self.silent.values():
            for key, version in list(known):
                if key in keys:
                    del known[key, version]
