"""A destination that can delete: Iterable's framing with one call more, and an endpoint for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from destinations.base import (
    Context,
    FollowUp,
    Kind,
    Outcomes,
    PayloadSpec,
    Request,
    Response,
    Row,
    Secret,
    SyncShape,
)
from destinations.iterable import Iterable
from orchestration import engine as engines
from tests.support.serving import served


class Deleting:
    """An Iterable project with a bulk call that deletes users."""

    def __init__(self, inner: Iterable) -> None:
        self.base_url = inner.base_url
        self.identifier = inner.identifier
        self.auth: Mapping[str, Secret] = inner.auth
        identify = inner.endpoints[Kind.IDENTIFY]
        delete = replace(identify, path="/api/users/bulkDelete", max_rows=2, max_objects=2)
        self.endpoints = {**inner.endpoints, Kind.DELETE: delete}
        self._inner = inner

    def columns(self, kind: Kind, sync: SyncShape) -> PayloadSpec:
        return self._inner.columns(Kind.IDENTIFY if kind is Kind.DELETE else kind, sync)

    def prepare(self, kind: Kind, sync: SyncShape) -> Request | None:
        return None

    def encode(self, kind: Kind, rows: Sequence[Row], context: Context) -> Request:
        if kind is not Kind.DELETE:
            return self._inner.encode(kind, rows, context)
        users = b",".join(row.payload for row in rows)
        return Request("POST", self.endpoints[kind].path, b'{"users":[' + users + b"]}")

    def decode(self, kind: Kind, rows: Sequence[Row], response: Response) -> Outcomes | FollowUp:
        return self._inner.decode(Kind.IDENTIFY if kind is Kind.DELETE else kind, rows, response)

    def pause(self, response: Response) -> float | None:
        return None


@dataclass
class Vault:
    """An endpoint that keeps profiles and every request; `status` is what it answers."""

    url: str = ""
    status: int = 200
    refuses: set[str] = field(default_factory=set)
    profiles: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def deleted(self) -> list[str]:
        """Return who was named in calls that delete, in order."""
        return [
            user["email"]
            for path, body in self.requests
            if path.endswith("bulkDelete")
            for user in json.loads(body)["users"]
        ]

    def take(self, path: str, body: str) -> dict[str, Any]:
        self.requests.append((path, body))
        users = json.loads(body).get("users", [])
        failed = [user["email"] for user in users if user["email"] in self.refuses]
        for user in users if self.status == 200 else ():
            if path.endswith("bulkDelete") and user["email"] not in failed:
                self.profiles.pop(user["email"], None)
            elif path.endswith("bulkUpdate"):
                self.profiles[user["email"]] = user["dataFields"]
        done = len(json.loads(body).get("events", users)) - len(failed)
        lists = {"failedUpdates": {"notFoundEmails": failed}} if failed else {}
        return {"successCount": done, "failCount": len(failed), **lists}


@contextmanager
def vault() -> Iterator[Vault]:
    """Run the endpoint on this machine."""
    kept = Vault()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answer = json.dumps(kept.take(self.path, body)).encode()
            self.send_response(kept.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with served(Handler) as kept.url:
        yield kept


def can_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every account that is opened be one that can delete."""
    real = engines.open_account

    def opened(*args: Any, **options: Any) -> Any:
        made = real(*args, **options)
        assert isinstance(made, Iterable)
        return Deleting(made)

    monkeypatch.setattr(engines, "open_account", opened)
