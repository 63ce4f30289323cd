"""The only module that talks HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import requests
import urllib3
from requests.adapters import HTTPAdapter

from destinations.base import Request, Response, Secret
from destinations.clock import Clock, SystemClock

MAX_BODY = 8 * 1024 * 1024
CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer: `sent` tells whether bytes may have reached the endpoint."""

    reason: str
    sent: bool


class Transport(Protocol):
    """Sends one request and returns its answer, or why there is none."""

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        """Send a request to the account this transport was opened for."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class HttpTransport:
    """Keep-alive HTTP to one account; no proxies, netrc, redirects or retries of its own."""

    def __init__(
        self,
        base_url: str,
        auth: Mapping[str, Secret],
        user_agent: str,
        clock: Clock | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._auth = auth
        self._clock = clock or SystemClock()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = user_agent
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0, pool_maxsize=16))

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        """Send a request; an exception becomes `Failed` without the URL's secrets.

        `timeout` bounds each silence of the endpoint and, with the time to connect, the whole.
        """
        give_up = self._clock.monotonic() + CONNECT_SECONDS + timeout
        headers = {name: secret.reveal() for name, secret in self._auth.items()}
        if request.body:
            headers["Content-Type"] = request.content_type
        try:
            with self._session.request(
                request.method,
                self._base_url + request.path,
                data=request.body or None,
                headers=headers,
                timeout=(CONNECT_SECONDS, timeout),
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = self._bounded(answer, give_up)
                if body is None:
                    return Failed("the answer does not end", sent=True)
                lowered = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status_code, lowered, body)
        except requests.ConnectTimeout:
            return Failed("connect timed out", sent=False)
        except requests.exceptions.SSLError as error:
            # Any other failure of TLS can come after the request, from a connection kept open.
            return Failed("TLS was refused", sent="CERTIFICATE_VERIFY_FAILED" not in repr(error))
        except requests.ConnectionError as error:
            refused = "NewConnectionError" in repr(error) or "NameResolution" in repr(error)
            return Failed("cannot connect" if refused else "connection lost", sent=not refused)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return Failed(type(error).__name__, sent=True)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _bounded(self, answer: requests.Response, give_up: float) -> bytes | None:
        """Read at most MAX_BODY bytes; what is cut off cannot be read as a success.

        One `read1` is one read of the socket, so that an answer that trickles in meets the
        deadline between two of them; then None.
        """
        parts: list[bytes] = []
        size = 0
        while part := answer.raw.read1(65536, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                break
            if self._clock.monotonic() > give_up:
                return None
        return b"".join(parts)[:MAX_BODY]
