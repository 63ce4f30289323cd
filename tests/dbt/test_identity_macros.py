"""What is an id, and how an address is spelt: the macros against `tests/oracle_identity.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import oracle_identity as oracle
from tests.dbt.conftest import PROJECT
from tests.dbt.macro_project import MacroProject

OWN = ["  Tester ", "it's", "Ünknown"]
MACROS = {"ids": "known_id", "emails": "normalised_email"}
MODELS = {
    name: f"select number, {{{{ {macro}('said') }}}} as found from given"
    for name, macro in MACROS.items()
}
AROUND = [
    "",
    " ",
    "\t",
    "\n",
    "\x0b",
    "\x85",
    "\xa0",
    "\u200b",
    "\u2028",
    "\u3000",
    "\ufeff",
    "\u202a",
]
ADDRESSES = [
    "a@b.c",
    "A.b+c@B.C",
    "é@x.nl",
    "e\u0301@x.nl",
    "J\u030c@x",
    "ΑΣ@x",
    "İ@x",
    "null",
    "-1",
    "",
]
PARTS = [
    *AROUND,
    *ADDRESSES,
    "mailto:",
    "MAILTO:",
    "<",
    ">",
    '"',
    ",",
    "Name",
    "\u00ad",
    "\u200d",
    "a",
]


@dataclass
class Macros:
    """The SQL of both macros, and a warehouse to ask."""

    warehouse: duckdb.DuckDBPyConnection
    sql: dict[str, str]
    project: MacroProject

    def answers(self, model: str, said: list[str | None], sql: str | None = None) -> list[Any]:
        self.warehouse.execute("delete from given")
        numbered = "insert into given select generate_subscripts(said, 1), unnest(said)"
        self.warehouse.execute(f"{numbered} from (select ?::varchar[] as said)", [said])
        found = self.warehouse.execute(sql or self.sql[model]).fetchall()
        return [answer for _, answer in sorted(found)]


@pytest.fixture(scope="module")
def macros(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Macros]:
    project = MacroProject(tmp_path_factory.mktemp("macros") / "project", MODELS)
    shipped = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    blocked = shipped["identity_blocked"]
    assert sorted(blocked) == sorted(oracle.NO_IDS)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("create table given (number integer, said varchar)")
        for name in ("log", "zones", "resets"):
            connection.execute(f"create table {name} as select 1")
        yield Macros(connection, project.sql(MODELS, {"identity_blocked": blocked}), project)


def test_what_is_nobodys_id_is_none(macros: Macros) -> None:
    cases = [
        form(one) for one in oracle.NO_IDS for form in (str, str.upper, str.title, "  {} ".format)
    ]
    assert set(macros.answers("ids", cases)) == {None}
    theirs = [" u1 ", "nullo", "00", "1", "null null", "\tnull", "no", "é", "N/A/", "-1-", "it's"]
    assert macros.answers("ids", [*theirs, None, "", " "]) == [
        *(one.strip(oracle.BLANKS) for one in theirs),
        *(None, None, None),
    ]


@settings(max_examples=50)
@given(
    said=st.lists(st.none() | st.text("nulNUL -10\t\xa0é'", max_size=6), min_size=1, max_size=50)
)
def test_an_id_is_the_same(said: list[str | None], macros: Macros) -> None:
    assert macros.answers("ids", said) == [oracle.known_id(text) for text in said]


def test_spellings_of_an_address_are_one(macros: Macros) -> None:
    wrapped = [
        "{}",
        "<{}>",
        "Ann <{}>",
        '"Ann, <B>" <{}>',
        "mailto:{}",
        "Mailto: {}",
        "<mailto:{}>",
    ]
    for address, expected in {
        "A.b+c@X.nl": "a.b+c@x.nl",
        "Zoe\u0308@x.nl": "zo\xeb@x.nl",
        "J\u030c@x.nl": "\u01f0@x.nl",
    }.items():
        said = [
            f"{left}{form.format(f'{left}{address}{right}')}{right}"
            for form, left, right in product(wrapped, AROUND, AROUND)
        ]
        assert set(macros.answers("emails", said)) == {expected}


def test_what_changes_the_mailbox_stays(macros: Macros) -> None:
    apart = ["a@x.nl", "a.b@x.nl", "ab@x.nl", "a+b@x.nl", "a b@x.nl", "a\u200db@x.nl", "a@x.nl."]
    assert macros.answers("emails", apart) == apart


@settings(max_examples=100)
@given(
    said=st.lists(
        st.none() | st.lists(st.sampled_from(PARTS), max_size=8).map("".join),
        min_size=1,
        max_size=50,
    )
)
@example(said=["<>", "Ann <>", "mailto:", "Ann <undefined>", "a <b", "a> <b>c", "\n<\na@b.c>"])
def test_an_address_is_the_same(said: list[str | None], macros: Macros) -> None:
    found = macros.answers("emails", said)
    assert found == [oracle.normalised_email(text) for text in said]


def test_every_character_around_is_the_oracles(macros: Macros) -> None:
    points = [n for n in range(1, 0x11000) if not 0xD800 <= n < 0xE000]
    said = [f"{chr(n)}a{chr(n)}" for n in points]
    trimmed = {
        n for n, found in zip(points, macros.answers("emails", said), strict=True) if found == "a"
    }
    # Python counts the separators of ASCII as white space, Unicode does not
    expected = {n for n in points if oracle.stripped(chr(n)) == ""} - set(range(0x1C, 0x20))
    assert trimmed == expected


def test_the_list_can_be_another(macros: Macros) -> None:
    for blocked, said, found in [
        (OWN, ["TESTER", "IT'S", "üNKNOWN", "null", ""], [None, None, None, "null", None]),
        ([], ["null", " "], ["null", None]),
        (None, ["null", " "], ["null", None]),
    ]:
        sql = macros.project.sql(["ids"], {"identity_blocked": blocked})["ids"]
        assert macros.answers("ids", said, sql) == found
