"""The only module that talks HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import certifi
import urllib3
from urllib3 import exceptions as errors

from destinations.base import Request, Response, Secret
from destinations.clock import Clock, SystemClock

MAX_BODY = 8 * 1024 * 1024
CONNECT_SECONDS = 10.0
_COMPRESSED = {"Accept-Encoding": "gzip, deflate"}


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
    """Keep-alive HTTP to one account; no proxies, netrc, redirects or retries of its own.

    It is urllib3 without `requests` around it, which takes longer to prepare a small request than
    it takes to send it.
    """

    def __init__(
        self,
        base_url: str,
        auth: Mapping[str, Secret],
        user_agent: str,
        clock: Clock | None = None,
    ) -> None:
        self._prefix = base_url.rstrip("/")
        self._auth = auth
        self._clock = clock or SystemClock()
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", **_COMPRESSED}
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=16,
            retries=False,
            cert_reqs="CERT_REQUIRED",
            ca_certs=certifi.where(),
        )

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        """Send a request; an exception becomes `Failed` without the URL's secrets.

        `timeout` bounds each silence of the endpoint and, with the time to connect, the whole.
        """
        give_up = self._clock.monotonic() + CONNECT_SECONDS + timeout
        headers = self._headers | {name: secret.reveal() for name, secret in self._auth.items()}
        if request.body:
            headers["Content-Type"] = request.content_type
        try:
            answer = self._pool.urlopen(
                request.method,
                self._prefix + request.path,
                redirect=False,
                body=request.body or None,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout),
                preload_content=False,
            )
            try:
                body = self._bounded(answer, give_up)
            finally:
                # Read to its end, it has given its connection back already.
                answer.close()
            if body is None:
                return Failed("the answer does not end", sent=True)
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status, lowered, body)
        except errors.NewConnectionError:
            return Failed("cannot connect", sent=False)
        except errors.ConnectTimeoutError:
            return Failed("connect timed out", sent=False)
        except errors.SSLError as error:
            # Any other failure of TLS can come after the request, from a connection kept open.
            return Failed("TLS was refused", sent="CERTIFICATE_VERIFY_FAILED" not in repr(error))
        except errors.ProtocolError:
            return Failed("connection lost", sent=True)
        except (errors.HTTPError, OSError, ValueError) as error:
            return Failed(type(error).__name__, sent=True)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _bounded(self, answer: urllib3.BaseHTTPResponse, give_up: float) -> bytes | None:
        """Read at most MAX_BODY bytes; what is cut off cannot be read as a success.

        One `read1` is one read of the socket, so that an answer that trickles in meets the
        deadline between two of them; then None.
        """
        parts: list[bytes] = []
        size = 0
        while part := answer.read1(65536, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                break
            if self._clock.monotonic() > give_up:
                return None
        return b"".join(parts)[:MAX_BODY]
