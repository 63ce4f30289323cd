"""A place that cannot be written to is said in words, whoever needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from destinations.clock import SystemClock
from destinations.delivery.opening import open_journal
from destinations.errors import StorageError
from destinations.private import private_file, private_folder
from orchestration.warehouse.duckdb import open_duckdb


@pytest.mark.parametrize(
    "make",
    [
        private_folder,
        private_file,
        lambda path: open_journal(path, warehouse_id="w", known_id=None, clock=SystemClock()),
        lambda path: open_duckdb(path, clock=SystemClock()),
    ],
)
def test_a_file_in_the_place_of_a_folder(tmp_path: Path, make: Callable[[Path], object]) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StorageError, match="TAILRACE_STATE_DIR") as raised:
        make(tmp_path / "state" / "iterable.sqlite")
    assert str(raised.value.file).startswith(str(tmp_path / "state"))
