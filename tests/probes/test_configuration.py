"""Headers, addresses and names that somebody should not have written: refused before any call."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from destinations.base import Destination
from destinations.errors import ConfigError
from orchestration.accounts import open_account, read_accounts
from orchestration.sql.names import NAME, checked_name, ident, text
from tests.probes.canaries import SECRETS, Search

FILE = """\
destinations:
  iterable:
    type: iterable
    api_key: "{{ env_var('ITERABLE_API_KEY') }}"
    base_url: "{{ env_var('ITERABLE_BASE_URL', 'https://api.iterable.com') }}"
    identifier: "{{ env_var('ITERABLE_IDENTIFIER', 'email') }}"
"""
GOOD = {"ITERABLE_API_KEY": "canary-good-key-0815"}
KEYS = [
    "canary-wrapped-key-77\n", "canary-wrapped-key-77\r\nX-Admin: 1", "canary-wrapped-key-77\0",
    " canary-wrapped-key-77", "canary-wrapped-key-77 ", "canary-wrapped-key-77\t",
    "canary-wrapped-key-77\u2028", "canary-wrapped-key-77\x85x", "canary wrapped-key-77",
    "canary-wrapped-key-77ü", "“canary-wrapped-key-77”", "canary-wrapped-key-77\x7f",
    "canary-wrapped-key-77\x1b[0m", "canary-wrapped-key-77\u200b", "", " ", "\n", "\0",
]  # fmt: skip
REFUSED = [
    "http://api.iterable.com", "http://127.0.0.2", "http://127.1", "http://0.0.0.0", "http://0",
    "http://[::]", "http://[::ffff:127.0.0.1]", "http://localhost.", "http://localhost.evil.example",
    "http://2130706433", "http://0x7f000001", "http://017700000001", "http://127.0.0.1.evil.example",
    "https://169.254.169.254", "https://[fd00:ec2::254]", "https://10.0.0.1", "https://192.168.1.1",
    "https://172.16.0.1", "https://100.64.0.1", "https://0.0.0.0", "https://[::]", "https://224.0.0.1",
    "https://[fe80::1]", "https://[fe80::1%25eth0]", "https://[::ffff:10.0.0.1]",
    "https://[::ffff:8.8.8.8]", "https://2852039166", "https://0xa9fea9fe", "https://0251.0376.0251.0376",
    "https://169.254.43518", "https://1.2.3", "https://8.8.8.8.", "https://0x8.8.8.8",
    "https://canary-userinfo-5hunter@api.iterable.com", "https://u:canary-userinfo-5hunter@127.0.0.1",
    "https://api.iterable.com?key=canary-userinfo-5hunter", "https://api.iterable.com#x",
    "https://api.iterable.com\\@evil.example", "https://api.iterable.com\n.evil.example",
    "https://api.iterable.com\r\nX: y", "https://api.iterable.com\0", "https://api.iterable.com\t",
    "https://api iterable.com", "https://аpi.iterable.com", "https://exam%70le.com", "https://",
    "https:///path", "https:api.iterable.com", "//api.iterable.com", "api.iterable.com", "ftp://x.example",
    "file:///etc/passwd", "gopher://x.example", "javascript:alert(1)", "https://x.example:0",
    "https://x.example:99999", "https://x.example:8o", "https://[::1", "https://-x.example",
    "https://x..example", "https://.example", f"https://{'a' * 300}.example", "unix:///run/x.sock",
]  # fmt: skip
ACCEPTED = [
    "https://api.iterable.com", "https://api.eu.iterable.com/", "https://gateway.corp.internal:8443/iterable",
    "https://8.8.8.8", "https://[2606:4700:4700::1111]", "http://127.0.0.1:8025", "http://localhost:1",
    "http://[::1]:8025", "HTTPS://API.ITERABLE.COM", "https://a_b.example", "https://xn--bcher-kva.example",
]  # fmt: skip


def opened(folder: Path, environment: dict[str, str], content: str = FILE) -> Destination:
    (folder / "destinations.yml").write_text(content, encoding="utf-8")
    (account,) = read_accounts(folder).values()
    return open_account(account, {**GOOD, **environment})


def refused(
    folder: Path, environment: dict[str, str], key: str, content: str = FILE
) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        opened(folder, environment, content)
    error = caught.value
    assert str(error.file).endswith("destinations.yml")
    assert error.key == f"destinations.iterable.{key}"
    search = Search(SECRETS)
    search.text("error", f"{error.as_dict()} {error} {error!r} {error.__cause__!r}")
    search.check()
    return error


@pytest.mark.parametrize("value", KEYS)
@pytest.mark.parametrize("literal", [False, True], ids=["variable", "file"])
def test_a_key_that_is_no_header(tmp_path: Path, value: str, literal: bool) -> None:
    escaped = "".join(c if c.isascii() and c.isprintable() else f"\\u{ord(c):04x}" for c in value)
    content = FILE.replace("{{ env_var('ITERABLE_API_KEY') }}", escaped) if literal else FILE
    error = refused(tmp_path, {"ITERABLE_API_KEY": value}, "api_key", content)
    assert not value.strip() or value.strip() not in error.message


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_nobodys_endpoint(tmp_path: Path, url: str) -> None:
    error = refused(tmp_path, {"ITERABLE_BASE_URL": url}, "base_url")
    assert url not in error.message


@pytest.mark.parametrize("url", ACCEPTED)
def test_an_address_that_is_one(tmp_path: Path, url: str) -> None:
    assert opened(tmp_path, {"ITERABLE_BASE_URL": url}).base_url == url.rstrip("/")


@pytest.mark.parametrize("canary", ["canary-region-80aa1", "canary-identifier-3c"])
def test_a_key_in_the_wrong_place_is_not_shown(tmp_path: Path, canary: str) -> None:
    wrong = FILE + "    region: \"{{ env_var('ITERABLE_API_KEY') }}\"\n"
    refused(tmp_path, {"ITERABLE_API_KEY": canary}, "region", wrong)
    other = FILE.replace("ITERABLE_IDENTIFIER", "MY_TOKEN")
    refused(tmp_path, {"MY_TOKEN": canary}, "identifier", other)


@pytest.mark.parametrize(
    "expression",
    [
        "{{ env_var.__globals__ }}", "{{ ''.__class__.__mro__ }}", "{{ self }}{{ nope }}",
        "{{ env_var('ITERABLE_API_KEY', 'x').nope }}", "{{ env_var('ITERABLE_API_KEY') | nope }}",
        "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}", "{{ 1/0 }}",
        "{{ env_var('ITERABLE_API_KEY') | int('x') / 0 }}", "{{ env_var('ITERABLE_API_KEY')['a'] }}",
    ],
)  # fmt: skip
def test_an_expression_that_is_none(tmp_path: Path, expression: str) -> None:
    content = FILE.replace("{{ env_var('ITERABLE_API_KEY') }}", expression)
    refused(tmp_path, {"ITERABLE_API_KEY": "canary-region-80aa1"}, "api_key", content)


STEMS = [
    "", "a'b", 'a"b', "a`b", "a;b", "a--b", "a/*b", "a b", "a\tb", "a\nb", "a\rb", "a\0b", "a\\b", "../a", "a/../b",
    "/etc/passwd", "..", ".", "~a", "a/b", "c:a", "a%2fb", "a%00", "{{ a }}", "{% a %}", "{a}", "${a}", "$(a)",
    "`a`", "|a", "&a", "*a", "!a", "@a", "#a", "<a>", "a,b", "a:b", "a=b", "a?b", "[a]", "a+b", "-a", "_a",
    "1a", "A", "aB", "é", "аudience", "a\u2028b", "a\u202eb", "a\u200bb", "\ufeffa", "😀", "ａ", "ß", "ı",
    "__proto__", "__class__", "null ", "true\n", "~", "1e5", "0x1", "a.b", "a-b", "robert'); drop table x;--",
]  # fmt: skip
NAMES = [
    *STEMS,
    *(f"ok{stem}" for stem in STEMS),
    *(f"{stem}ok" for stem in STEMS),
    "a" * 64,
    "a" * 5000,
]
RESERVED = [
    "select",
    "table",
    "user",
    "order",
    "null",
    "constructor",
    "con",
    "nul",
    "aux",
    "a" * 63,
]


def test_hostile_names_are_refused_and_name_themselves_on_one_line() -> None:
    tried = [name for name in NAMES if not re.fullmatch("[a-z][a-z0-9_]{0,62}", name)]
    assert len(tried) > 180
    for name in tried:
        with pytest.raises(ConfigError) as caught:
            checked_name(name, "audience", file="audiences.sql")
        assert caught.value.file == "audiences.sql"
        shown = f"{caught.value.message}{caught.value.as_dict()['key']}"
        assert shown.isprintable(), name


@pytest.mark.parametrize("name", RESERVED)
def test_words_that_mean_something_elsewhere_are_names(name: str) -> None:
    assert checked_name(name, "audience") == name
    assert NAME.match(name)


def test_a_destination_is_part_of_a_path_and_never_leaves_it(tmp_path: Path) -> None:
    for name in NAMES:
        if NAME.match(name):
            continue
        quoted = "".join(f"\\U{ord(c):08x}" for c in name)
        (tmp_path / "destinations.yml").write_text(
            f'destinations: {{"{quoted}": {{type: iterable}}}}', encoding="utf-8"
        )
        with pytest.raises(ConfigError) as caught:
            read_accounts(tmp_path)
        assert str(caught.value.file).endswith("destinations.yml")
    assert [path.name for path in tmp_path.iterdir()] == ["destinations.yml"]


def test_identifiers_and_texts_are_quoted_for_every_name() -> None:
    import duckdb

    with duckdb.connect() as con:
        for name in NAMES:
            if not name or "\0" in name:  # DuckDB has no such identifier
                continue
            con.execute(f"create or replace table {ident(name)} as select 1 as {ident(name)}")
            row = con.execute(f"select {ident(name)}, {text(name)} from {ident(name)}").fetchone()
            assert row == (1, name)
            con.execute(f"drop table {ident(name)}")
        assert con.execute("select count(*) from duckdb_tables()").fetchone() == (0,)
