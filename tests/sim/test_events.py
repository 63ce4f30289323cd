"""The real planner, sender, journal and limiter against an endpoint that lies, late and in parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sim.playing import named, play, shares


@pytest.mark.parametrize("seeds", shares("events"), ids=named)
def test_events_end_as_the_warehouse_says(tmp_path: Path, seeds: Sequence[int]) -> None:
    play(tmp_path, "events", seeds)
