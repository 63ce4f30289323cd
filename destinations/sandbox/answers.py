"""Answers in Iterable's shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, and what the log of calls says about it."""

    status: int
    body: Mapping[str, Any]
    items: int = 0
    accepted: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the body as JSON."""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


class Refused(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """A call that is refused as a whole."""

    def __init__(
        self, status: int, code: str, msg: str, params: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(code)
        self.answer = Answer(status, {"msg": msg, "code": code, "params": params})


def success(msg: str = "", params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the body of a single call that went well."""
    return {"msg": msg, "code": "Success", "params": params}


def throttled(limit: int, seconds: int) -> Answer:
    """Return a 429 as users/update and users/bulkUpdate document it."""
    params = {"rateLimitLimit": limit, "rateLimitRemaining": 0, "rateLimitReset": seconds}
    body = {"msg": "Rate limit exceeded", "code": "RateLimitExceeded", "params": params}
    return Answer(429, body, headers={"Retry-After": str(seconds)})


def scripted(status: int) -> Answer:
    """Return the answer a script asks for."""
    if status == 429:
        return throttled(0, 1)
    codes = {400: "BadParams", 401: "BadApiKey", 403: "Forbidden", 404: "NotFound"}
    code = codes.get(status, "GenericError" if status >= 500 else "BadParams")
    return Answer(status, {"msg": "as the script says", "code": code, "params": None})
