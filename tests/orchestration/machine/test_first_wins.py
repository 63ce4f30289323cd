"""Random lives, where an event with a known id is dropped."""

from __future__ import annotations

import pytest
from hypothesis import settings

from destinations.base import Dedup
from tests.orchestration.machine.machine import LONG, PROFILE, Machine


class FirstWins(Machine):
    dedup = Dedup.FIRST


class FewLives(FirstWins):
    """As many as `make test` has time for."""


TestFirstWins = pytest.mark.slow(FirstWins.TestCase)
TestFirstWins.settings = PROFILE
if not LONG:
    TestFewLives = FewLives.TestCase
    TestFewLives.settings = settings(PROFILE, max_examples=2)
