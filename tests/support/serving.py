"""A real HTTP server on this machine for as long as a test needs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve and yield the base URL; a request that is never answered holds nobody up."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_leaving: list[threading.Thread] = []


@contextmanager
def left_behind(server: AbstractContextManager[str]) -> Iterator[str]:
    """Use a server without waiting for its end, which takes uvicorn a tenth of a second."""
    url = server.__enter__()
    try:
        yield url
    finally:
        leaver = threading.Thread(target=server.__exit__, args=(None, None, None))
        leaver.start()
        _leaving.append(leaver)


def wait_for_leavers() -> None:
    """Wait until every server that was left behind has ended and closed its files."""
    while _leaving:
        _leaving.pop().join()
