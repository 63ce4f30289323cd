"""Real sockets on 127.0.0.1, with the answers that a vendor never documents."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from destinations.base import Request, Response, Secret
from destinations.delivery.transport import MAX_BODY, Failed, HttpTransport
from tests.conftest import FakeClock

SECRET = "k3y-of-the-project"
OK = b'{"successCount": 1, "failCount": 0}'


def answer(body: bytes = OK, status: str = "200 OK", *headers: str, length: int = -1) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length < 0 else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


@dataclass
class Endpoint:
    """Answers with raw bytes by path, and keeps what it was asked."""

    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    reset: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    connections: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while line := stream.readline():
                    path = line.split()[1].decode()
                    headers = {}
                    while (header := stream.readline().strip()) and b":" in header:
                        name, _, value = header.decode("latin-1").partition(":")
                        headers[name.lower()] = value.strip()
                    body = stream.read(int(headers.get("content-length", 0)))
                    self.asked.append((path, headers, body))
                    if path in self.reset:
                        linger = struct.pack("ii", 1, 0)  # close with RST
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        return
                    if path in self.silent:
                        connection.sendall(self.answers.get(path, b""))
                        self.closing.wait(10)
                        return
                    connection.sendall(self.answers.get(path, answer()))
                    if path in ("/short", "/cut", "/not-http"):
                        return
            except OSError:
                return

    def close(self) -> None:
        self.closing.set()
        self.listener.close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def transport(endpoint: Endpoint) -> Iterator[HttpTransport]:
    made = HttpTransport(endpoint.url + "/", {"Api-Key": Secret(SECRET)}, "tailrace/test")
    yield made
    made.close()


def post(transport: HttpTransport, path: str, timeout: float = 5.0) -> Response | Failed:
    return transport.send(Request("POST", path, b'{"users":[]}'), timeout=timeout)


def test_a_request_is_its_bytes_and_the_headers_of_the_account(
    transport: HttpTransport, endpoint: Endpoint
) -> None:
    endpoint.answers["/ok"] = answer(OK, "202 Accepted", "X-Limit: 5", "RETRY-AFTER: 7")
    got = post(transport, "/ok")
    assert got == Response(202, got.headers, OK)
    assert got.headers["x-limit"] == "5"
    assert got.headers["retry-after"] == "7"
    ((path, headers, body),) = endpoint.asked
    assert (path, body) == ("/ok", b'{"users":[]}')
    assert headers.pop("api-key") == SECRET
    assert headers.pop("user-agent") == "tailrace/test"
    assert headers.pop("content-type") == "application/json"
    assert set(headers) <= {"host", "content-length", "accept", "accept-encoding", "connection"}


def test_a_get_has_no_body(transport: HttpTransport, endpoint: Endpoint) -> None:
    assert isinstance(transport.send(Request("GET", "/ok"), timeout=5), Response)
    ((_, headers, body),) = endpoint.asked
    assert body == b""
    assert "content-type" not in headers


def test_connections_are_kept(transport: HttpTransport, endpoint: Endpoint) -> None:
    for _ in range(4):
        assert isinstance(post(transport, "/ok"), Response)
    assert len(endpoint.asked) == 4
    assert endpoint.connections == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_an_answer_and_nobody_else_gets_the_key(
    transport: HttpTransport, endpoint: Endpoint, status: str
) -> None:
    elsewhere = Endpoint()
    for target in (f"{elsewhere.url}/stolen", "/stolen"):
        endpoint.answers["/moved"] = answer(b"", status, f"Location: {target}")
        got = post(transport, "/moved")
        assert isinstance(got, Response)
        assert got.status == int(status[:3])
    assert [path for path, _, _ in endpoint.asked] == ["/moved", "/moved"]
    assert elsewhere.asked == []
    elsewhere.close()


def test_proxies_and_netrc_of_the_environment_are_not_ours(
    transport: HttpTransport,
    endpoint: Endpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = Endpoint()
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password somewhere\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert isinstance(post(transport, "/ok"), Response)
    assert proxy.asked == []
    ((_, headers, _),) = endpoint.asked
    assert "authorization" not in headers
    proxy.close()


def test_a_refused_connection_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    transport = HttpTransport(url, {"Api-Key": Secret(SECRET)}, "tailrace/test")
    assert post(transport, "/ok") == Failed("cannot connect", sent=False)
    transport.close()


def test_a_reset_after_the_request_may_have_been_sent(
    transport: HttpTransport, endpoint: Endpoint
) -> None:
    endpoint.reset.add("/reset")
    assert post(transport, "/reset") == Failed("connection lost", sent=True)
    assert isinstance(post(transport, "/ok"), Response), "the next one connects again"


def test_silence_ends(transport: HttpTransport, endpoint: Endpoint) -> None:
    endpoint.silent |= {"/silent", "/half"}
    endpoint.answers["/half"] = answer()[:-10]
    for path in ("/silent", "/half"):
        got = post(transport, path, timeout=0.2)
        assert isinstance(got, Failed)
        assert got.sent


@pytest.mark.parametrize(
    "raw",
    [
        answer(OK, length=len(OK) + 10),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        answer(gzip.compress(OK)[:-12], "200 OK", "Content-Encoding: gzip", length=9999),
        answer(b"not gzip at all", "200 OK", "Content-Encoding: gzip"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
)
def test_a_broken_answer_is_no_answer(
    transport: HttpTransport, endpoint: Endpoint, raw: bytes
) -> None:
    endpoint.answers["/cut"] = raw
    got = post(transport, "/cut")
    assert isinstance(got, Failed)
    assert got.sent, "the request was read by somebody"


def test_an_answer_that_trickles_in_meets_the_deadline(endpoint: Endpoint) -> None:
    class Hours(FakeClock):
        def monotonic(self) -> float:
            self.passed += 20
            return self.passed

    endpoint.silent.add("/trickle")
    endpoint.answers["/trickle"] = answer(b"{" + b" " * 100, length=1_000_000)
    transport = HttpTransport(endpoint.url, {}, "tailrace/test", Hours())
    got = post(transport, "/trickle", timeout=5)
    assert got == Failed("the answer does not end", sent=True)
    transport.close()


def test_a_giant_body_is_cut(transport: HttpTransport, endpoint: Endpoint) -> None:
    endpoint.answers["/giant"] = answer(b" " * (MAX_BODY + 3_000_000))
    got = post(transport, "/giant")
    assert isinstance(got, Response)
    assert len(got.body) == MAX_BODY
    assert isinstance(post(transport, "/ok"), Response), "what was left does not confuse the next"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_is_read(
    transport: HttpTransport, endpoint: Endpoint, encoding: str
) -> None:
    packed = gzip.compress(OK) if encoding == "gzip" else zlib.compress(OK)
    endpoint.answers["/packed"] = answer(packed, "200 OK", f"Content-Encoding: {encoding}")
    got = post(transport, "/packed")
    assert isinstance(got, Response)
    assert got.body == OK


def test_a_chunked_compressed_body_is_read(transport: HttpTransport, endpoint: Endpoint) -> None:
    packed = gzip.compress(OK)
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, packed[i : i + 1]) for i in range(len(packed)))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    endpoint.answers["/packed"] = head + chunks + b"0\r\n\r\n"
    got = post(transport, "/packed")
    assert isinstance(got, Response)
    assert got.body == OK
    assert isinstance(post(transport, "/ok"), Response)


def test_a_bomb_is_cut(endpoint: Endpoint) -> None:
    class Counting(FakeClock):
        def monotonic(self) -> float:
            self.slept.append(0)
            return super().monotonic()

    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1024 * 1024)
    bomb = b"".join(packer.compress(zeros) for _ in range(30)) + packer.flush()
    assert len(bomb) < 100_000
    endpoint.answers["/bomb"] = answer(bomb, "200 OK", "Content-Encoding: gzip")
    clock = Counting()
    transport = HttpTransport(endpoint.url, {}, "tailrace/test", clock)
    got = post(transport, "/bomb")
    assert isinstance(got, Response)
    assert len(got.body) == MAX_BODY
    assert len(clock.slept) < 200, "what would be cut off is not unpacked: 64 kB at a time"
    transport.close()


def test_the_key_shows_nowhere(transport: HttpTransport, endpoint: Endpoint) -> None:
    endpoint.reset.add("/reset")
    endpoint.silent.add("/silent")
    shown = [repr(transport), repr(transport._auth), repr(vars(transport))]
    shown += [repr(post(transport, path, 0.2)) for path in ("/reset", "/silent", "/ok")]
    broken = HttpTransport(endpoint.url, {"Api-Key": Secret(f"{SECRET}\r\nX: y")}, "tailrace/test")
    shown += [repr(post(broken, "/ok"))]
    broken.close()
    assert not [text for text in shown if SECRET in text]
