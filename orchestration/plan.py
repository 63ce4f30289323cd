"""A plan in numbers; the ops themselves are in `tailrace.plan_ops` once it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

OPS = ("enter", "exit", "update", "delete", "event")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync would send, or has to.

    Attributes:
        verdict: empty, held (see `reasons`), ready, or resume (an earlier plan goes first).
        rules: the key of each reason.
        silent: ops acknowledged without a call: a change of address, an exit without an event.
        unsendable: rows with a value that cannot be sent: they are rejects.
        unapproved: ops that nobody has approved in so many words; the guard counts these.
        calls, bytes: requests and their bodies, exact where `is_exact`, else estimated.
    """

    sync: str
    verdict: str
    as_of: datetime
    plan_id: str | None = None
    plan_hash: str = ""
    mode: str = "normal"
    mapping: str = ""
    reasons: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    silent: int = 0
    unsendable: int = 0
    unapproved: int = 0
    skipped: int = 0
    no_consent: int = 0
    suppressed: int = 0
    gone: int = 0
    too_late: int = 0
    calls: int = 0
    bytes: int = 0
    seconds_at_limit: float = 0.0
    is_exact: bool = False
    sample: tuple[Mapping[str, object], ...] = ()

    @property
    def ops(self) -> int:
        """Return the number of ops."""
        return sum(self.counts.values())

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `plan --json` promises."""
        return {
            "sync": self.sync,
            "plan_id": self.plan_id,
            "verdict": self.verdict,
            "mode": self.mode,
            "reasons": list(self.reasons),
            "rules": list(self.rules),
            **{op: self.counts.get(op, 0) for op in OPS},
            "silent": self.silent,
            "skipped": self.skipped,
            "unsendable": self.unsendable,
            "no_consent": self.no_consent,
            "suppressed": self.suppressed,
            "gone": self.gone,
            "too_late": self.too_late,
            "calls": self.calls,
            "bytes": self.bytes,
            "seconds_at_limit": round(self.seconds_at_limit, 1),
            "sample": list(self.sample),
        }
