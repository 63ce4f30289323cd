"""A sandbox on a real port with a clock that only tests move."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from destinations.sandbox import SandboxSettings, calls, profile, running


class FakeClock:
    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class Client:
    """One keep-alive connection, and the sandbox's own view of what it received."""

    def __init__(self, url: str, state: Path) -> None:
        self.url = url
        self.state = state
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)

    def request(
        self, method: str, path: str, body: bytes = b"", key: str = "sandbox-key"
    ) -> tuple[int, Any, dict[str, str]]:
        self.connection.request(method, path, body, {"Api-Key": key})
        answer = self.connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(answer.read()), headers

    def post(self, path: str, body: object) -> tuple[int, Any]:
        return self.request("POST", path, json.dumps(body).encode())[:2]

    def update(self, **user: object) -> tuple[int, Any]:
        return self.post("/api/users/update", user)

    def bulk_update(self, *users: object, **more: object) -> tuple[int, Any]:
        return self.post("/api/users/bulkUpdate", {"users": users, **more})

    def track(self, **event: object) -> tuple[int, Any]:
        return self.post("/api/events/track", event)

    def track_bulk(self, *events: object) -> tuple[int, Any]:
        return self.post("/api/events/trackBulk", {"events": events})

    def get(self, path: str) -> Any:
        status, body, _ = self.request("GET", quote(path))
        assert status == 200
        return body

    def fields(self, identifier: str) -> dict[str, Any] | None:
        found = profile(self.state, identifier)["profile"]
        return found and found["dataFields"]

    def events(self, identifier: str) -> list[dict[str, Any]]:
        return profile(self.state, identifier)["events"]

    def calls(self) -> list[dict[str, Any]]:
        return calls(self.state)["calls"]

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def start(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Client]]:
    """Start a sandbox with these settings; everything ends with the test."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> Client:
            state = tmp_path / "sandbox.sqlite"
            url = stack.enter_context(running(SandboxSettings(state=state, **settings), clock))
            client = Client(url, state)
            stack.callback(client.close)
            return client

        yield begin


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One sandbox for the cases that do not disturb each other."""
    state = tmp_path_factory.mktemp("shared") / "sandbox.sqlite"
    with running(SandboxSettings(state=state, limits=False), FakeClock()) as url:
        client = Client(url, state)
        yield client
        client.close()


@pytest.fixture
def client(start: Callable[..., Client]) -> Client:
    return start()
