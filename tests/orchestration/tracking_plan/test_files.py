"""The CSV file of the tracking plan: what is written is read, and every mistake is told."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings

from destinations.errors import ConfigError, StorageError
from orchestration.tracking_plan.reading import parse_plan, read_plan
from orchestration.tracking_plan.rows import COLUMNS, PlanRow, cells, in_order
from orchestration.tracking_plan.writing import plan_text, write_plan
from tests.orchestration.tracking_plan.plans import plans

HEADER = ",".join(COLUMNS)
PLAN = f"""{HEADER}
Session Started,,,,,,block
Session Started,plan,string|null,true,free|pro,,
Session Started,seats,integer,,"[1,2,""many""]",,
order_paid,,,,,,
Order Paid,code,string,false,,"^[A-Z]{{2,4}}$",
"""
ROWS = [
    PlanRow("Session Started", enforcement="block"),
    PlanRow("Session Started", "plan", ("string", "null"), True, ("free", "pro")),
    PlanRow("Session Started", "seats", ("integer",), False, (1, 2, "many")),
    PlanRow("order_paid"),
    PlanRow("Order Paid", "code", ("string",), pattern="^[A-Z]{2,4}$"),
]


def told(content: str | bytes) -> ConfigError:
    raw = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(ConfigError) as raised:
        parse_plan(raw, "seeds/tracking_plan.csv")
    assert raised.value.file == "seeds/tracking_plan.csv"
    return raised.value


def test_a_plan_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tracking_plan.csv"
    path.write_text(PLAN)
    assert read_plan(path) == ROWS


@pytest.mark.parametrize(
    "content",
    [
        PLAN.encode("utf-8-sig"),
        PLAN.replace("\n", "\r\n").encode(),
        PLAN.replace("\norder", "\n\norder").encode(),
        PLAN.rstrip("\n").encode(),
    ],
    ids=["a mark of Excel's", "CRLF", "a blank line", "no last line end"],
)
def test_what_spreadsheets_write_is_read(content: bytes) -> None:
    assert parse_plan(content, "x.csv") == ROWS


def test_columns_may_be_in_any_order() -> None:
    lines = [
        "pattern,enforcement,required,event,property,allowed_values,type",
        "a+,,true,E,p,,string",
        ",alert,,E,,,",
    ]
    assert parse_plan("\n".join(lines).encode(), "x.csv") == [
        PlanRow("E", "p", ("string",), True, (), "a+"),
        PlanRow("E", enforcement="alert"),
    ]


@given(plans())
@pytest.mark.slow
def test_what_is_written_is_read(rows: list[PlanRow]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seeds" / "tracking_plan.csv"
        write_plan(rows, path)
        found = read_plan(path)
        assert found == in_order(rows)
        assert list(map(cells, found)) == list(map(cells, in_order(rows)))
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        again = path.read_bytes()
        write_plan(reversed(rows), path)
        assert path.read_bytes() == again
        assert b"\r" not in again


@pytest.mark.slow
@settings(max_examples=50)
@given(plans())
def test_dbt_reads_what_is_written(rows: list[PlanRow]) -> None:
    """The statement is the one that dbt-duckdb loads a seed with; an empty cell is null there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracking_plan.csv"
        write_plan(rows, path)
        columns = ", ".join(f'"{name}" varchar' for name in COLUMNS)
        with duckdb.connect() as con:
            con.execute(f"create table plan ({columns})")
            con.execute(f"copy plan from '{path}' (format csv, header true, delimiter ',')")
            found = con.execute("from plan").fetchall()
    assert sorted(tuple(cell or "" for cell in row) for row in found) == sorted(map(cells, rows))


def test_a_file_is_sorted_by_what_events_are_matched_by() -> None:
    assert plan_text(reversed(ROWS)) == (
        f"{HEADER}\n"
        "order_paid,,,,,,\n"
        'Order Paid,code,string,false,,"^[A-Z]{2,4}$",\n'
        "Session Started,,,,,,block\n"
        "Session Started,plan,string|null,true,free|pro,,\n"
        'Session Started,seats,integer,false,"[1,2,""many""]",,\n'
    )


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        (("free", "pro"), "free|pro"),
        (("a|b", "c"), '["a|b","c"]'),
        (("[x",), '["[x"]'),
        ((1, 2.5, True, None), "[1,2.5,true,null]"),
        (("a ", "b"), '["a ","b"]'),
        (("",), '[""]'),
        (("two\nlines",), '["two\\nlines"]'),
        (("größer",), "größer"),
    ],
)
def test_allowed_values_are_json_only_where_they_have_to_be(
    values: tuple[object, ...], cell: str
) -> None:
    assert cells(PlanRow("E", "p", allowed_values=values))[4] == cell


def test_every_mistake_is_told_with_its_line_and_what_is_accepted() -> None:
    error = told(
        f"{HEADER}\n"
        "!!,,,,,,\n"
        "A,,string,true,,,stop\n"
        "A,p,strng|string|string,yes,,(?=x),alert\n"
        "B,p,,,,,\n"
        "C,,,,,,\n"
        'C,q,,,"[1,",,\n'
        "C,r,,,a||b,,\n"
        "C,s,,,a | b,,\n"
        'C,t,,,"[[1]]",,\n'
        'C,u,,,"[NaN]",,\n'
        "C,v\n"
        'C,"w\nx",,,,,\n'
        "c,,,,,,\n"
        "C,r,,,,,\n"
        "C,  ,,,,,\n"
        'C,y,,,"[]",,\n'
        "C,z,integer|boolean,,0|true,,\n"
    )
    assert (error.line, error.key) == (2, "event")
    wanted = [
        ("line 2, event: '!!' is no name", "a letter or a digit"),
        ("line 3, type: the row declares an event", "accepted: nothing here"),
        ("line 3, required: the row declares an event", "accepted: nothing here"),
        ("line 3, enforcement: 'stop'", "accepted: block, alert, or nothing"),
        ("line 4, type: 'strng' is no type", "accepted: string, number, integer, boolean, array"),
        ("line 4, type: 'string' is given twice", "accepted: each type once"),
        ("line 4, required: 'yes'", "accepted: true, false, or nothing"),
        ("line 4, pattern: invalid perl operator: (?=", "RE2"),
        ("line 4, enforcement: a property has none", "on the event's row"),
        ("line 5, event: the event 'B' is not declared", "in which property is empty"),
        ("line 7, allowed_values: not a JSON array", "accepted: values with | between"),
        ("line 8, allowed_values: a value is empty", "JSON array"),
        ("line 9, allowed_values: 'a ' has blanks around it", "JSON array"),
        ("line 10, allowed_values: [1] is not a text, number", "JSON array"),
        ("line 11, allowed_values: not a JSON array: NaN", "JSON array"),
        ("line 12: 2 cells", "accepted: 7, one for each column"),
        ("line 13, property: 'w\\nx' holds a line break", "accepted: none"),
        ("line 15, event: 'c' is in line 6 already (as 'c')", "accepted: one row of each"),
        ("line 16, property: 'r' of 'C' is in line 8 already", "accepted: one row of each"),
        ("line 17, property: the name is only blanks", "accepted: a name"),
        ("line 18, allowed_values: the array is empty", "JSON array"),
        ("line 19, allowed_values: none of them is of type integer|boolean", "such as [0,1]"),
    ]
    first, *lines = error.message.splitlines()
    assert first == f"the tracking plan has {len(wanted)} mistakes"
    for line, (said, accepted) in zip(lines, wanted, strict=True):
        assert line.startswith(said), line
        assert accepted in line.removeprefix(said), line


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            HEADER.replace("pattern", "regex"),
            "line 1, regex: unknown column; accepted: event, property",
        ),
        (HEADER.replace(",pattern", ""), "line 1, pattern: the column is missing"),
        (HEADER + ",event", "line 1, event: the column is given twice"),
    ],
)
def test_the_columns_are_the_ones_there_are(header: str, said: str) -> None:
    error = told(header + "\nA,,,,,,\n")
    assert said in error.message
    assert error.line == 1


def test_an_empty_file_has_no_columns() -> None:
    assert "line 1, event: the column is missing" in told("").message


SINGLE = [PlanRow("E"), PlanRow("E", "p", allowed_values=("''",))]
MOVED = [
    PlanRow("E"),
    PlanRow("E", '"x,', allowed_values=(r"a\b",)),
    PlanRow("E", "p", ("string",), True, pattern=";"),
    PlanRow("E", "q", required=True, allowed_values=("null",)),
]


@pytest.mark.parametrize("rows", [SINGLE, MOVED])
def test_what_dbt_would_guess_wrongly_has_more_quotes(rows: list[PlanRow]) -> None:
    assert parse_plan(plan_text(rows).encode(), "x.csv") == in_order(rows)


def test_a_file_that_dbt_would_guess_wrongly_is_told() -> None:
    error = told(f"{HEADER}\nE,,,,,,\nE,p,,,'',,\n")
    assert "line 3: from here on dbt would load other cells" in error.message
    assert "accepted: double quotes around every cell" in error.message
    quoted = ",".join(f'"{column}"' for column in COLUMNS)
    text = f'{quoted}\n"E",,,,,,\n"E","p",,"false","\'\'",,\n'
    assert plan_text(SINGLE) == text


def test_what_is_no_csv_is_told() -> None:
    assert "line 3: not CSV" in told(f'{HEADER}\nA,,,,,,\nA,"b"c,,,,,\n').message
    assert "line 3: not CSV" in told(f'{HEADER}\nA,,,,,,\nA,"b,,,,,\nA,c,,,,,\n').message
    assert "line 1: not CSV" in told('"event,property').message
    both = told(f'{HEADER}\nA,,text,,,,\nA,"b"c,,,,,\n').message.splitlines()
    assert [line[:6] for line in both[1:]] == ["line 2", "line 2", "line 3"], (
        "rows before it are told"
    )
    assert "line 3: not UTF-8" in told(f"{HEADER}\nA,,,,,,\nÄ,,,,,,\n".encode("latin-1")).message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tracking-plan import FILE.*event,property,type"):
        read_plan(tmp_path / "tracking_plan.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_plan(tmp_path)


def test_rows_that_could_not_be_read_back_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "tracking_plan.csv"
    write_plan(ROWS, path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="not declared"):
        write_plan([PlanRow("E", "p")], path)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "seeds").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot write the tracking plan"):
        write_plan(ROWS, tmp_path / "seeds" / "tracking_plan.csv")


def test_a_link_stays_and_who_may_read_stays(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text(HEADER)
    real.chmod(0o640)
    link.symlink_to(real)
    write_plan(ROWS, link)
    assert link.is_symlink()
    assert read_plan(real) == in_order(ROWS)
    assert real.stat().st_mode & 0o777 == 0o640
