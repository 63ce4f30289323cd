"""Random lives, where an event with a known id is overwritten."""

from __future__ import annotations

from destinations.base import Dedup
from tests.orchestration.machine.machine import PROFILE, Machine


class UpsertById(Machine):
    dedup = Dedup.UPSERT


TestUpsertById = UpsertById.TestCase
TestUpsertById.settings = PROFILE
