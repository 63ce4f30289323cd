"""Random lives, where an event with a known id is dropped."""

from __future__ import annotations

from destinations.base import Dedup
from tests.orchestration.machine.machine import PROFILE, Machine


class FirstWins(Machine):
    dedup = Dedup.FIRST


TestFirstWins = FirstWins.TestCase
TestFirstWins.settings = PROFILE
