from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.launching import Launcher, launching


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with launching() as launched:
        yield launched
