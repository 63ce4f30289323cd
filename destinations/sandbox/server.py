"""The sandbox on a real port, in front of the user or in the background of a test."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn

from destinations.clock import Clock
from destinations.errors import ConfigError
from destinations.sandbox.app import create_app
from destinations.sandbox.settings import SandboxSettings

LOOPBACK = "127.0.0.1"
_STARTUP_SECONDS = 30.0


def serve(
    settings: SandboxSettings,
    clock: Clock,
    *,
    host: str = LOOPBACK,
    port: int = 8025,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted; `announce` gets the base URL once calls are accepted.

    Raises:
        ConfigError: the host is not this machine's loopback, the port is taken, or the state
            cannot be kept.
    """
    listener, url = _listen(host, port)
    started = None if announce is None else lambda: announce(url)
    with listener:
        uvicorn.Server(_config(settings, clock, started)).run(sockets=[listener])


@contextmanager
def running(settings: SandboxSettings, clock: Clock, port: int = 0) -> Iterator[str]:
    """Serve from a background thread and yield the base URL; port 0 takes a free one.

    Raises:
        ConfigError: the port is taken, or the state cannot be kept.
        RuntimeError: the server did not start.
    """
    listener, url = _listen(LOOPBACK, port)
    waiting = threading.Event()
    well: list[bool] = []

    def started() -> None:
        well.append(True)
        waiting.set()

    def run() -> None:
        try:
            with suppress(SystemExit):  # uvicorn's way to say that it did not start
                server.run(sockets=[listener])
        finally:
            waiting.set()

    with listener:
        server = uvicorn.Server(_config(settings, clock, started))
        thread = threading.Thread(target=run, name="sandbox", daemon=True)
        thread.start()
        try:
            waiting.wait(_STARTUP_SECONDS)
            if not well:
                raise RuntimeError("the sandbox did not start; the log says why")
            yield url
        finally:
            server.should_exit = True
            thread.join()


def _config(
    settings: SandboxSettings, clock: Clock, started: Callable[[], None] | None
) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings, clock, started),
        log_config=None,
        log_level="error",
        access_log=False,
        ws="none",
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def _listen(host: str, port: int) -> tuple[socket.socket, str]:
    """Bind first: calls made from now on wait in the queue until the server takes them."""
    address = LOOPBACK if host == "localhost" else host
    if not _is_loopback(address):
        raise ConfigError(
            f"the sandbox has no defences and serves this machine only, not {host}",
            key="host",
            accepted=[LOOPBACK, "localhost", "::1"],
        )
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}", key="port"
        ) from error
    shown = f"[{address}]" if family == socket.AF_INET6 else address
    return listener, f"http://{shown}:{listener.getsockname()[1]}"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
