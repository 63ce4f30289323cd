"""What people ask for, beside the daily run: suppress, rename, retire, assume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from destinations.errors import ConfigError
from orchestration.desired.scope import Mode
from orchestration.forgetting import forget
from orchestration.forgotten import find
from orchestration.lifecycle import adopt, retire
from orchestration.suppression import suppress, unsuppress
from tests.orchestration.machine import checks
from tests.support.dying import Crash

if TYPE_CHECKING:
    from tests.orchestration.machine.lab import Lab


def bar_key(lab: Lab, value: str) -> None:
    """Suppress a user or an address."""
    with lab.world.connect() as warehouse:
        suppress(warehouse, [value], "asked us to", lab.world.clock.now())
    lab.truth.suppressed.add(value)


def lift(lab: Lab, value: str) -> None:
    with lab.world.connect() as warehouse:
        unsuppress(warehouse, [value])
    lab.truth.suppressed.discard(value)


def forget_user(lab: Lab, user_id: str, fuse: int) -> None:
    """Forget somebody, twice if the first process is killed; their profile goes by hand."""
    lab.tick(0.05)
    engine = lab.engine()
    with engine.connect() as warehouse:
        person = find(warehouse, engine.project, user_id, by_email=False)
    users, keys = set(person.users), set(person.keys)
    checks.forgotten_are_theirs(lab, users, keys)
    try:
        forget(lab.engine(fuse), user_id, by_email=False)
    except Crash:
        done = forget(engine, user_id, by_email=False)
        assert done.status == "done", done
    lab.truth.forget(users, keys)
    lab.ledger.forget(keys)
    lab.vendor.delete(keys)


def rename(lab: Lab, name: str) -> None:
    """Give a sync another key, and let that one go on where the old one was."""
    if not lab.ledger.acked[name] or name in lab.retired:
        return
    old, lab.renamed = lab.names[name], lab.renamed + 1
    new = f"{name}{lab.renamed}"
    lab.world.syncs[new] = replace(lab.world.syncs.pop(old), key=new)
    engine = lab.engine()
    with engine.connect() as warehouse:
        adopt(engine, warehouse, old, new)
    lab.names[name] = new


def take_leave(lab: Lab, name: str, faults: Iterable[str]) -> None:
    """Retire a sync: dry first, then under a wrong number, then under the right one."""
    key, now = lab.names[name], lab.world.clock.now()
    if lab.truth.committed is None or name in lab.retired:
        return
    lab.renew_journal(name)
    dry = retire(lab.engine(), key, expect_exits=None, leave=False, now=now)
    with pytest.raises(ConfigError, match="profiles that they left"):
        retire(lab.engine(), key, expect_exits=dry.exits + 1, leave=False, now=now)
    with lab.running(name, faults, Mode.RETIRE):
        lab.retired.add(name)
        try:
            retire(lab.engine(), key, expect_exits=dry.exits, leave=False, now=now)
        except Crash:
            lab.is_rough = True


def remap(lab: Lab, name: str, mode: Mode) -> None:
    """Map one field more, or one less, and say what is to become of those told before."""
    said = lab.said[name]
    fields = (
        {"points": "score"} if "label" in said.fields else {"points": "score", "label": "label"}
    )
    gone = "clear" if said.clears_gone else "leave"
    lab.world.sync(lab.names[name], sends="traits", consent="agreed", on_gone=gone, fields=fields)
    lab.said[name] = replace(said, fields=tuple(fields))
    lab.sync(name, mode=mode)


def upload(lab: Lab, name: str, mode: Mode) -> None:
    """The destination has it already, we were told: so it does."""
    truth, said, vendor = lab.truth, lab.said[name], lab.vendor
    if said.sends == "traits":
        for key, users in truth.owners(said).items():
            nothing: dict[str, Any] = dict.fromkeys(said.fields)
            vendor.upload(key, {**nothing, **truth.traits_of(users, said)})
    elif name == "said":
        inside = lab.inside(name)
        for key in {*inside, *vendor.profiles}:
            profile = vendor.profiles.get(key, {})
            if key in inside:
                told = {"lapsed": True} if mode is Mode.ASSUME_SENT or "lapsed" in profile else {}
                vendor.upload(key, {**told, "level": truth.level_of(inside[key])})
            elif mode is Mode.ASSUME_SENT and profile.get("lapsed"):
                vendor.upload(key, {"lapsed": False})
