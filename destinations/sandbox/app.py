"""The ASGI application: what happens to every call before and after it is applied."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from destinations.clock import Clock
from destinations.errors import ConfigError, StorageError
from destinations.sandbox.answers import Answer, Refused, scripted, throttled
from destinations.sandbox.endpoints import Project
from destinations.sandbox.limits import SlidingWindows
from destinations.sandbox.settings import LOST, MAX_BYTES, RATES, SandboxSettings
from destinations.sandbox.store import Profile, Store

# A body beyond the limit is read on, unkept, so that the sender gets to see the 413.
_MAX_DRAINED = 16 * MAX_BYTES
_EVENTS = 200

Apply = Callable[[Project, Mapping[str, Any], str], Answer]
_APPLY: Mapping[str, Apply] = {
    "/api/users/update": Project.update,
    "/api/users/bulkUpdate": Project.bulk_update,
    "/api/events/track": Project.track,
    "/api/events/trackBulk": Project.track_bulk,
}


class Sandbox:
    """Settings, state and limits of one running endpoint; everything on the event loop's thread."""

    def __init__(self, settings: SandboxSettings, clock: Clock, store: Store | None) -> None:
        self.settings = settings
        self._clock = clock
        self._store = store
        self._windows = SlidingWindows(RATES, clock)
        self._script = deque(settings.script)

    async def post(self, request: Request) -> ASGIApp:
        """Answer a writing call."""
        body = await _read(request)
        status = self._script.popleft() if self._script else 200
        if status not in (200, LOST):
            answer = scripted(status)
            self._log(request, answer)
        else:
            answer = self._apply(request, body)
        return _cut(answer) if status == LOST else _response(answer)

    async def user(self, request: Request) -> Response:
        """Answer GET /api/users/...: an unknown user is 200 and {}."""
        return self._get(request, lambda found: {"user": _shown(found)} if found else {})

    async def events(self, request: Request) -> Response:
        """Answer GET /api/events/{email}: the latest events, newest first."""
        asked = request.query_params.get("limit", "30")
        limit = min(int(asked), _EVENTS) if asked.isdecimal() else 30
        return self._get(request, lambda found: {"events": self._events(found, limit)})

    def _apply(self, request: Request, body: bytes | None) -> Answer:
        path = request.url.path
        if self._store is None:
            seconds = self._windows.wait(path) if self.settings.limits else None
            return throttled(RATES[path], seconds) if seconds else _waved_through(path, body)
        project = Project(self.settings, self._store)
        with self._store.transaction():
            try:
                answer = self._guard(request) or _APPLY[path](project, _parse(body), self._now())
            except Refused as refused:
                # Raised before the first write of a call: there is nothing to undo.
                answer = refused.answer
            self._log(request, answer)
        return answer

    def _guard(self, request: Request) -> Answer | None:
        if self.settings.checks:
            key = request.headers.get("api-key", "").encode()
            if not hmac.compare_digest(key, self.settings.api_key.reveal().encode()):
                raise Refused(401, "BadApiKey", "Invalid API key")
        path = request.url.path
        seconds = self._windows.wait(path) if self.settings.limits and path in RATES else None
        return throttled(RATES[path], seconds) if seconds else None

    def _get(self, request: Request, show: Callable[[Profile | None], dict[str, Any]]) -> Response:
        if self._store is None:
            return _response(Answer(200, show(None)))
        try:
            answer = self._guard(request) or Answer(200, show(self._find(request)))
        except Refused as refused:
            answer = refused.answer
        self._log(request, answer)
        return _response(answer)

    def _find(self, request: Request) -> Profile | None:
        email, user_id = request.path_params.get("email"), request.path_params.get("user_id")
        found = self._store and self._store.profiles(
            [email.lower()] if email else [], [user_id] if user_id else []
        )
        return found[0] if found else None

    def _events(self, found: Profile | None, limit: int) -> list[dict[str, Any]]:
        rows = self._store.events_of(found.id, limit) if self._store and found else []
        user = {"email": found.email, "userId": found.user_id} if found else {}
        return [
            {
                "id": key,
                "eventName": name,
                "eventType": "customEvent",
                "createdAt": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} +00:00",
                **user,
                "dataFields": json.loads(fields),
            }
            for key, name, at, fields in rows
        ]

    def _log(self, request: Request, answer: Answer) -> None:
        if self._store is not None:
            path = request.url.path
            self._store.log(
                (self._now(), request.method, path, answer.status, answer.items, answer.accepted)
            )

    def _now(self) -> str:
        return self._clock.now().astimezone(UTC).isoformat(timespec="milliseconds")


Handler = Callable[[Sandbox, Request], Awaitable[ASGIApp]]


def create_app(
    settings: SandboxSettings, clock: Clock, started: Callable[[], None] | None = None
) -> Starlette:
    """Return the endpoint as an ASGI application; its file is open while it runs.

    `started` is called once the state is open, before the first call is answered.

    Raises:
        ConfigError: there is no file to keep the state in, or it cannot be opened.
    """
    path = settings.state if settings.store else None
    if settings.store:
        _try_opening(path)
    sandboxes: list[Sandbox] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        store = Store(path) if path else None
        sandboxes.append(Sandbox(settings, clock, store))
        if started:
            started()
        try:
            yield
        finally:
            sandboxes.clear()
            if store:
                store.close()

    def handled_by(method: Handler) -> Callable[[Request], Awaitable[ASGIApp]]:
        async def handle(request: Request) -> ASGIApp:
            return await method(sandboxes[0], request)

        return handle

    return Starlette(
        routes=[
            *(Route(path, handled_by(Sandbox.post), methods=["POST"]) for path in _APPLY),
            Route("/api/users/byUserId/{user_id}", handled_by(Sandbox.user), methods=["GET"]),
            Route("/api/users/{email}", handled_by(Sandbox.user), methods=["GET"]),
            Route("/api/events/{email}", handled_by(Sandbox.events), methods=["GET"]),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _lost},
    )


def _try_opening(path: Path | None) -> None:
    """Find out now, while somebody listens, whether the server will be able to keep its state."""
    if path is None:
        raise ConfigError("the sandbox needs a file for its state", key="state")
    try:
        Store(path).close()
    except (StorageError, sqlite3.Error) as error:
        message = f"the sandbox cannot keep its state here: {error}"
        raise ConfigError(message, file=str(path), key="state") from error


async def _lost(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _response(Answer(status, {"msg": "no such call here", "code": "NotFound"}))


async def _read(request: Request) -> bytes | None:
    """Return the body, or None if it is larger than the limit."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= MAX_BYTES:
            parts.append(part)
        elif size > _MAX_DRAINED:
            break
    return b"".join(parts) if size <= MAX_BYTES else None


def _parse(body: bytes | None) -> Mapping[str, Any]:
    """Return the body as an object.

    Raises:
        Refused: 413 beyond 4 MB, 400 `BadJsonBody` if it is not a JSON object.
    """
    if body is None:
        raise Refused(413, "RequestEntityTooLarge", "a request holds at most 4 MB")
    try:
        value = json.loads(body, parse_constant=_refuse)
        if b"\\ud" in body.lower():
            json.dumps(value, ensure_ascii=False).encode()  # half a character is not text
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "BadJsonBody", "the body is not a JSON object")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _waved_through(path: str, body: bytes | None) -> Answer:
    """Return a success without looking closer than it takes to count the items."""
    if not path.endswith(("bulkUpdate", "trackBulk")):
        return Answer(200, {"msg": "", "code": "Success", "params": None})
    items = (body or b"").count(b'"dataFields":')
    return Answer(200, {"successCount": items, "failCount": 0, "failedUpdates": {}})


def _shown(profile: Profile) -> dict[str, Any]:
    """Return a profile as GET /api/users/{email} shows it."""
    managed = {"profileUpdatedAt": _iterable_time(profile.updated_at)}
    ids = {"email": profile.email, "userId": profile.user_id}
    given = {name: value for name, value in ids.items() if value is not None}
    return {**given, "dataFields": {**profile.fields, **given, **managed}}


def _iterable_time(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M:%S} +00:00"


def _response(answer: Answer) -> Response:
    return Response(answer.encoded(), answer.status, dict(answer.headers), "application/json")


def _cut(answer: Answer) -> ASGIApp:
    """Return an answer that ends after its head: the server drops the connection."""
    length = (b"content-length", str(len(answer.encoded())).encode())

    async def head_only(_: Scope, __: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": answer.status, "headers": [length]}
        await send(start)

    return head_only
