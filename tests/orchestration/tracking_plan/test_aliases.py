"""The CSV file of the other names of events: every mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from destinations.errors import ConfigError
from orchestration.tracking_plan.aliases import parse_aliases, read_aliases

FILE = "seeds/event_aliases.csv"
ONE_ROW = "accepted: one row for each alias"
A_NAME = "accepted: a name with a letter or a digit in it"


def test_aliases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "event_aliases.csv"
    path.write_text('event,alias\nOrder Completed,checkout_done\n"a, b",K\u00f8b\n')
    assert read_aliases(path) == [("checkout_done", "Order Completed"), ("K\u00f8b", "a, b")]


def test_there_may_be_none() -> None:
    assert parse_aliases(b"alias,event\n", FILE) == []


def test_spellings_of_one_alias_may_mean_one_event() -> None:
    rows = b"alias,event\ncheckout_done,Order Completed\nCheckout Done,order_completed\n"
    assert len(parse_aliases(rows, FILE)) == 2


def test_a_name_may_be_given_for_itself() -> None:
    rows = b"alias,event\norder_completed,Order Completed\ncheckout_done,Order Completed\n"
    assert len(parse_aliases(rows, FILE)) == 2


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("alias;event\n", "line 1, alias;event: unknown column; accepted: alias, event"),
        ("alias,event\nPing\n", "line 2: 1 cells; accepted: 2, one for each column"),
        ("alias,event\na,b,c\n", "line 2: 3 cells; accepted: 2"),
        ("alias,event\nPing,\n", f"line 2, event: ''; {A_NAME}"),
        ("alias,event\n!,Ping\n", f"line 2, alias: '!'; {A_NAME}"),
        ("alias,event\na,b\na,b\n", f"line 3, alias: 'a' is 'b' by line 2; {ONE_ROW}"),
        ("alias,event\na b,b\nA_B,c\n", f"line 3, alias: 'A_B' is 'b' by line 2; {ONE_ROW}"),
        (
            "alias,event\nbuy,bought\nBought,Paid\n",
            "line 2, event: 'bought' is itself an alias, by line 3",
        ),
        ("", "line 1, alias: the column is missing"),
    ],
)
def test_a_mistake_is_told_with_its_line(rows: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_aliases(rows.encode(), FILE)
    assert said in raised.value.message
    assert raised.value.file == FILE


def test_a_missing_file_says_how_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no list of aliases; .* is alias,event"):
        read_aliases(tmp_path / "event_aliases.csv")
