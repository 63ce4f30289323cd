"""What must be found nowhere, where it is looked for, and an endpoint that gives it all away."""

from __future__ import annotations

import io
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from destinations.scrub import spellings
from orchestration.accounts import Account
from orchestration.cli import main
from orchestration.engine import Engine
from tests.support.world import World

KEY = """sk_canary_+/"&'<9f>\\x=4711"""
PLAIN_KEY = "c4n4ry0123456789abcdef0123456789"
SECRETS = {
    "key": KEY,
    "plain key": PLAIN_KEY,
    "token in base_url": "canary-userinfo-5hunter",
    "password in the environment": "canary env p@ss/word",
    "key given as a region": "canary-region-80aa1",
    "key given as an identifier": "canary-identifier-3c",
    "key with a line feed": "canary-wrapped-key-77",
}
PEOPLE = {
    "id": "canary-user-0042",
    "e-mail": "canary.ann+odd@example.com",
    "odd e-mail": "o'canary.bob@sub.example.co.uk",
    "name": "Zoe Canarini-Smith",
    "phone": "+49 170 5550199",
    "number": "491705550199",
    "hostile id": 'u\n{"at": "2026", "event": "forged"}\x1b[31m',
    "text": "lives at 12 Canary Wharf",
}
ALL = {**SECRETS, **PEOPLE}
BOX = re.compile(r"[\s│┃|]+")

# Who a row is about, and what is sent of them, has to be known to send it: by design.
HOLDS_IDS = {
    "acked": ("dest_key", "user_id"),
    "issued": ("dest_key", "user_id"),
    "deltas": ("user_id",),
    "membership_intervals": ("user_id",),
    "op_outcomes": ("dest_key", "user_id"),
    "plan_ops": ("dest_key", "user_id", "payload"),
    "rejects": ("dest_key",),
    "sent_events": ("event_id",),
}


@cache
def spelt(canary: str) -> frozenset[str]:
    """How a canary may be written, upper or lower case and with or without its blanks."""
    found = {one.casefold() for one in spellings(canary) if len(one) > 5}
    return frozenset(found | {BOX.sub("", one) for one in found})


@dataclass(slots=True)
class Search:
    """Looks for every canary in every spelling, and counts where it looked."""

    canaries: Mapping[str, str] = field(default_factory=lambda: ALL)
    cells: int = 0
    hits: list[str] = field(default_factory=list)

    def text(self, where: str, said: str | bytes, only: Iterable[str] | None = None) -> None:
        """Look into what was said; also as one, where a table has folded it."""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        shapes = (text.casefold(), BOX.sub("", text).casefold())
        for name in only if only is not None else self.canaries:
            self.cells += 1
            if any(one in shape for one in spelt(self.canaries[name]) for shape in shapes):
                self.hits.append(f"{name} in {where}: {text[:2000]!r}")

    def files(self, folder: Path) -> None:
        """Look into the bytes of every file."""
        for path in sorted(folder.rglob("*")) if folder.exists() else ():
            if path.is_file():
                self.text(f"file {path.name}", path.read_bytes())

    def warehouse(self, world: World) -> None:
        """Look into every table: for secrets everywhere, for people where they have no place."""
        for schema, table in world.rows(
            "select table_schema, table_name from information_schema.tables"
        ):
            with world.connect() as warehouse:
                rows = warehouse.query(f'select * from "{schema}"."{table}"').to_pylist()
            self.text(f"{schema}.{table}", json.dumps(rows, default=str), SECRETS)
            if schema == "tailrace":
                hidden = HOLDS_IDS.get(table, ())
                kept = [{k: v for k, v in row.items() if k not in hidden} for row in rows]
                self.text(f"{schema}.{table}", json.dumps(kept, default=str), PEOPLE)

    def check(self) -> None:
        """Fail with what was found."""
        assert self.cells
        assert not self.hits, "\n".join(self.hits)


def tailrace(world: World, engine: Engine, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a verb of the real command on a world; returns its exit code and all it printed."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.cli.common.App.engine", lambda app, **_: engine)
        patch.setattr("orchestration.cli.common.App.connect", property(lambda _: engine.connect))
        patch.setattr("orchestration.cli.common.SystemClock", lambda: world.clock)
        patch.setenv("TAILRACE_DUCKDB", str(world.folder / "w.duckdb"))
        patch.setenv("TAILRACE_STATE_DIR", str(world.folder / "state"))
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["tailrace", *arguments])
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    for line in err.getvalue().splitlines():
        if line.startswith("{"):
            assert json.loads(line)["event"] != "forged", line
    return int(ended.value.code or 0), out.getvalue() + err.getvalue()


def engine_for(world: World, key: str = KEY, **settings: Any) -> Engine:
    """Return the world's engine with an account of that key."""
    given = {"api_key": key, "base_url": world.url, "identifier": world.identifier, **settings}
    account = Account("iterable", "iterable", given, Path("destinations.yml"))
    return replace(world.engine(), accounts={"iterable": account})


Talk = Callable[[bytes, str], bytes]
"""Returns the bytes of an answer to the bytes of a body, with the key that came with it."""


@contextmanager
def endpoint(talk: Talk) -> Iterator[str]:
    """Serve HTTP on a port of this machine, answering whatever `talk` says, byte for byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    _answer(connection, talk)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        with suppress(OSError):
            socket.create_connection(listener.getsockname(), 1).close()
        thread.join()
        listener.close()


def _answer(connection: socket.socket, talk: Talk) -> None:
    head, body = b"", b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(65536)
        if not part:
            return
        head += part
    head, _, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while len(body) < int(length[1] if length else 0):
        body += connection.recv(65536)
    key = re.search(rb"(?im)^api-key: (.*?)\r?$", head)
    connection.sendall(talk(body, key[1].decode() if key else ""))


def http(status: str, body: str | bytes, **headers: str) -> bytes:
    """Return an answer after which the connection is closed."""
    content = body.encode() if isinstance(body, str) else body
    given = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status}\r\n{given}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("utf-8", "surrogateescape") + content
