"""Random lives, where an event with a known id is overwritten."""

from __future__ import annotations

import pytest

from destinations.base import Dedup
from tests.orchestration.machine.machine import PROFILE, Machine

pytestmark = pytest.mark.slow


class UpsertById(Machine):
    dedup = Dedup.UPSERT


TestUpsertById = UpsertById.TestCase
TestUpsertById.settings = PROFILE
