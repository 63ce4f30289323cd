"""destinations.yml: whatever is wrong is said before a byte is sent, with file, key and cure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations.base import Destination, Kind
from destinations.errors import ConfigError
from orchestration.accounts import (
    Account,
    endpoint_name,
    open_account,
    read_accounts,
    rendered,
)

KEY = "0123456789abcdef"
GOOD = """\
destinations:
  iterable:
    type: iterable
    api_key: "{{ env_var('ITERABLE_API_KEY') }}"
    base_url: "{{ env_var('ITERABLE_BASE_URL', 'https://api.iterable.com') }}"
    identifier: "{{ env_var('ITERABLE_IDENTIFIER', 'email') }}"
    create_fields: true
"""


def opened(
    directory: Path, text: str | bytes, environment: Mapping[str, str], *, secrets: bool = True
) -> Destination:
    content = text.encode() if isinstance(text, str) else text
    (directory / "destinations.yml").write_bytes(content)
    accounts = read_accounts(directory)
    found = [open_account(account, environment, secrets=secrets) for account in accounts.values()]
    return found[0]


def test_a_good_file(tmp_path: Path) -> None:
    made = opened(tmp_path, GOOD, {"ITERABLE_API_KEY": KEY})
    assert made.base_url == "https://api.iterable.com"
    assert made.identifier == "email"
    assert Kind.TRACK in made.endpoints
    assert [secret.reveal() for secret in made.auth.values()] == [KEY]
    assert KEY not in repr(made)


def test_the_environment_decides(tmp_path: Path) -> None:
    environment = {
        "ITERABLE_API_KEY": KEY,
        "ITERABLE_BASE_URL": "http://127.0.0.1:8123/",
        "ITERABLE_IDENTIFIER": "user_id",
    }
    made = opened(tmp_path, GOOD, environment)
    assert (made.base_url, made.identifier) == ("http://127.0.0.1:8123", "user_id")


def test_a_plan_needs_no_secret(tmp_path: Path) -> None:
    assert opened(tmp_path, GOOD, {}, secrets=False).identifier == "email"


def test_the_file_that_ships_is_good() -> None:
    project = Path(__file__).resolve().parents[2] / "dbt_project"
    for account in read_accounts(project).values():
        open_account(account, {"ITERABLE_API_KEY": KEY})


def edit(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def base_url(url: str) -> str:
    return edit("\"{{ env_var('ITERABLE_BASE_URL', 'https://api.iterable.com') }}\"", url)


def api_key(value: str) -> str:
    return edit("\"{{ env_var('ITERABLE_API_KEY') }}\"", value)


TYPE, REGION = "destinations.iterable.type", "destinations.iterable.region"
CREATE_FIELDS = "destinations.iterable.create_fields"
API_KEY, BASE_URL = "destinations.iterable.api_key", "destinations.iterable.base_url"
# (text, key, what is accepted or said)
MUTATIONS: list[tuple[str | bytes, str | None, list[str]]] = [
    ("", "destinations", []),
    ("destinations", "destinations", []),
    ("[1, 2]", "destinations", []),
    ("destinations:", "destinations", []),
    ("destinations: [iterable]", "destinations", []),
    ("a: [1", None, ["YAML", "line 1"]),
    ("a: b\n\tc: d", None, ["YAML", "line 2"]),
    ("a: !!python/object:os.system x", None, ["YAML"]),
    (b"destinations: \xff\xfe", None, ["UTF-8"]),
    (GOOD + "syncs: {}\n", "syncs", ["destinations"]),
    (GOOD.replace("destinations:", "destination:"), "destinations", []),
    (edit("  iterable:\n", "  ? [a]\n  :\n"), None, []),
    (edit("  iterable:\n", "  Iterable:\n"), "Iterable", ["lower-case"]),
    (edit("  iterable:\n", "  ../../etc/cron:\n"), "../../etc/cron", ["lower-case"]),
    (edit("  iterable:\n", '  "a\\n":\n'), "a\n", ["lower-case"]),
    (edit("  iterable:\n", '  "":\n'), "", ["lower-case"]),
    (edit("  iterable:\n", "  1:\n"), "1", ["lower-case"]),
    (edit("type: iterable", "type: itrable"), TYPE, ["iterable"]),
    (edit("type: iterable", "type: [iterable]"), TYPE, ["iterable"]),
    (edit("type: iterable", "type: "), TYPE, ["iterable"]),
    (edit("    type: iterable\n", ""), TYPE, ["iterable"]),
    (edit("type: iterable", "type: os"), TYPE, ["iterable"]),
    (edit("api_key", "apikey"), "destinations.iterable.apikey", ["api_key", "type"]),
    (GOOD + "    1: x\n", "destinations.iterable.1", ["api_key"]),
    (GOOD + "    region: eu2\n", REGION, ["us", "eu"]),
    (GOOD + "    region: [eu]\n", REGION, ["us", "eu"]),
    (GOOD + "    region: true\n", REGION, ["us", "eu"]),
    (GOOD + "    region:\n", REGION, ["us", "eu"]),
    (edit("create_fields: true", "create_fields: 1"), CREATE_FIELDS, ["true"]),
    (edit("create_fields: true", "create_fields: {}"), CREATE_FIELDS, ["true"]),
    ("\n".join(line for line in GOOD.split("\n") if "api_key" not in line), API_KEY, ["missing"]),
    (api_key('""'), API_KEY, ["empty"]),
    (api_key(""), API_KEY, ["Secret"]),
    (api_key("12345"), API_KEY, ["Secret"]),
    (api_key("[a]"), API_KEY, ["Secret"]),
    (api_key('"a-real-key"'), API_KEY, ["secret", "env_var('NAME')"]),
    (api_key('"kéy"'), API_KEY, ["secret", "env_var('NAME')"]),
    (api_key('"{{ env_var(\'NOT_THERE\') }}"'), API_KEY, ["NOT_THERE", "not set"]),
    (api_key('"{{ env_var(\'EMPTY\') }}"'), API_KEY, ["EMPTY", "is empty"]),
    (api_key('"{{ env_var(\'EMPTY\', \'x\') }}"'), API_KEY, ["EMPTY", "is empty"]),
    (api_key('"{{ env_var(\'NOT_THERE\', \'\') }}"'), API_KEY, ["NOT_THERE", "is empty"]),
    (api_key('"{{ env_var(\'PADDED\') }}"'), API_KEY, ["PADDED", "white space"]),
    (api_key('"{{ env_var(\'LINE\') }}"'), API_KEY, ["LINE", "white space"]),
    (api_key('"{{ env_var(\'INNER\') }}"'), API_KEY, ["ASCII"]),
    (api_key('"{{ env_var(NOT_QUOTED) }}"'), API_KEY, ["env_var('NAME')"]),
    (api_key('"{{ env_var() }}"'), API_KEY, ["env_var('NAME')"]),
    (api_key('"{{ env_var(1) }}"'), API_KEY, ["1", "not set"]),
    (api_key('"{{ 1 / 0 }}"'), API_KEY, ["env_var('NAME')"]),
    (api_key('"{{ env_var(\'KEY\') + 1 }}"'), API_KEY, ["env_var('NAME')"]),
    (api_key('"{{ env_var(\'KEY\')"'), API_KEY, ["env_var('NAME')"]),
    (api_key('"{{ range(10 ** 9) | list }}"'), API_KEY, ["env_var('NAME')"]),
    (api_key('"{{ env_var.__globals__ }}"'), API_KEY, ["env_var('NAME')"]),
    (api_key('"{{ \'\'.__class__.__mro__ }}"'), API_KEY, ["env_var('NAME')"]),
    (api_key('"{% include \'/etc/passwd\' %}"'), API_KEY, ["env_var('NAME')"]),
    (base_url("http://api.iterable.com"), BASE_URL, ["https"]),
    (base_url("http://127.0.0.2:80"), BASE_URL, ["https"]),
    (base_url("http://localhost.example.com"), BASE_URL, ["https"]),
    (base_url("http://127.0.0.1@example.com"), BASE_URL, ["https"]),
    (base_url("https://user:pw@api.iterable.com"), BASE_URL, ["https"]),
    (base_url("https://:pw@api.iterable.com"), BASE_URL, ["https"]),
    (base_url("https://api.iterable.com?x=1"), BASE_URL, ["query"]),
    (base_url('"https://api.iterable.com/#x"'), BASE_URL, ["fragment"]),
    (base_url("https://"), BASE_URL, ["https"]),
    (base_url("https:///path"), BASE_URL, ["https"]),
    (base_url("api.iterable.com"), BASE_URL, ["https"]),
    (base_url("ftp://api.iterable.com"), BASE_URL, ["https"]),
    (base_url("file:///etc/passwd"), BASE_URL, ["https"]),
    (base_url('"https://api.iter able.com"'), BASE_URL, ["https"]),
    (base_url('"https://api.iterable.com\\nX-Other: 1"'), BASE_URL, ["https"]),
    (base_url('"https://example.com\\\\@api.iterable.com"'), BASE_URL, ["https"]),
    (base_url('"https://[::1"'), BASE_URL, ["https"]),
    (base_url("https://api.iterable.com:99999"), BASE_URL, ["https"]),
    (base_url("https://api.iterable.com:port"), BASE_URL, ["https"]),
    (base_url("https://ïterable.com"), BASE_URL, ["https"]),
    (base_url("7"), BASE_URL, ["str"]),
    (GOOD + "    type: iterable\n", TYPE, ["twice"]),
    (GOOD + GOOD.removeprefix("destinations:\n"), "destinations.iterable", ["twice"]),
    (edit('"{{ env_var(\'ITERABLE_IDENTIFIER\', \'email\') }}"', "phone"),
     "destinations.iterable.identifier", ["email", "user_id"]),
]  # fmt: skip
ENVIRONMENT = {
    "ITERABLE_API_KEY": KEY,
    "KEY": KEY,
    "EMPTY": "",
    "PADDED": f" {KEY}",
    "LINE": f"{KEY}\n",
    "INNER": f"{KEY[:4]}\n{KEY[4:]}",
}


@pytest.mark.parametrize(("text", "key", "words"), MUTATIONS)
def test_every_mistake_names_file_key_and_cure(
    tmp_path: Path, text: str | bytes, key: str | None, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as raised:
        opened(tmp_path, text, ENVIRONMENT)
    error = raised.value
    assert error.file == str(tmp_path / "destinations.yml")
    assert error.key == key
    said = " ".join([error.message, *error.accepted])
    assert all(word in said for word in words), said
    assert KEY not in str(error.as_dict())
    assert error.exit_code == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        read_accounts(tmp_path)
    assert raised.value.file == str(tmp_path / "destinations.yml")


@given(st.text(max_size=40))
def test_any_expression_is_rendered_or_refused(value: str) -> None:
    for written in (value, f"{{{{ {value} }}}}", f"{{% {value} %}}"):
        found = rendering(written)
        if isinstance(found, ConfigError):
            assert (found.file, found.key) == ("f.yml", "a.b")
        else:
            assert isinstance(found, str)


def rendering(written: str) -> object:
    try:
        return rendered(written, {"A": "b"}, Path("f.yml"), "a.b", need=True)
    except ConfigError as error:
        return error


@pytest.mark.parametrize("value", [7, None, True, ["{{ x }}"], {"a": "{{ x }}"}])
def test_only_text_is_rendered(value: object) -> None:
    assert rendered(value, {}, Path("f.yml"), "a.b", need=True) is value


def test_what_dbt_allows_in_a_profile_is_allowed() -> None:
    text = "{{ env_var('THREADS', '4') | as_number }}"
    assert rendered(text, {}, Path("f.yml"), "threads", need=True) == "4"


def test_what_an_environment_variable_holds_is_never_rendered() -> None:
    environment = {"A": "{{ env_var('B') }}", "B": "secret"}
    found = rendered("{{ env_var('A') }}", environment, Path("f.yml"), "a", need=True)
    assert found == environment["A"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.iterable.com", "api.iterable.com"),
        ("https://api.eu.iterable.com/gateway", "api.eu.iterable.com"),
        ("http://127.0.0.1:8123", "loopback"),
        ("http://localhost:1", "loopback"),
        ("http://[::1]:9", "loopback"),
    ],
)
def test_one_host_is_told_from_another(url: str, name: str) -> None:
    account = Account("i", "iterable", {"api_key": KEY, "base_url": url}, Path("f.yml"))
    assert endpoint_name(open_account(account, {})) == name
