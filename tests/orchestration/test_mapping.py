"""A mistake in a sync is found before anything is built, on its line of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from destinations.errors import ConfigError
from orchestration.exposures import check_exposure_names
from orchestration.project import Model, Project, read_project
from orchestration.yaml_lines import line_of, repeated_keys

FILE = "models/syncs.yml"
TRAITS = {
    "user_id": "varchar",
    "email": "text",
    "score": "double",
    "plan": "",
    "agreed": "boolean",
    "maybe": "",
    "tags": "varchar[]",
    "home": "struct(city varchar)",
    "price": "decimal(9, 2)",
    "seen_at": "timestamp",
    "count": "int64",
}


def model(name: str, columns: dict[str, str], room: str = "") -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "schema": "analytics",
        "alias": name,
        "columns": {
            column: {"name": column, "data_type": kind or None} for column, kind in columns.items()
        },
        "original_file_path": f"models/{name}.sql",
        "fqn": ["tailrace", *([room] if room else []), name],
        "config": {"materialized": "table", "meta": {}},
        "description": "",
        "depends_on": {"nodes": []},
        "checksum": {"checksum": name},
    }


def read(
    folder: Path, text: str, traits: dict[str, str] | None = None, *, lines: bool = True
) -> Project:
    """Read the project whose exposures are these, as dbt and the engine do."""
    (folder / "models").mkdir(exist_ok=True)
    (folder / FILE).write_text(text, encoding="utf-8")
    models = [
        model("user_traits", TRAITS if traits is None else traits),
        model("events", {}),
        model("vips", {"user_id": "varchar", "level": "double", "badges": "json"}, "audiences"),
    ]
    nodes = {f"model.p.{entry['name']}": entry for entry in models}
    exposures = {}
    for written in yaml.safe_load(text)["exposures"]:
        parents = [f"model.p.{parent[5:-2]}" for parent in written["depends_on"]]
        given = {**written, "original_file_path": FILE, "description": ""}
        exposures[f"e.{written['name']}"] = {**given, "depends_on": {"nodes": parents}}
    manifest = {"nodes": nodes, "exposures": exposures}
    check_exposure_names(folder, manifest)
    return read_project(manifest, folder if lines else None)


def exposure(body: str, name: str = "a.b", parent: str = "user_traits") -> str:
    """Return YAML of one sync; a first one without mistakes stands before it."""
    indented = "\n".join(f"          {line}" for line in body.strip("\n").splitlines())
    return f"""# the team's syncs
version: 2
exposures:
  - name: good
    owner: {{name: team}}
    depends_on: [ref('user_traits')]
    config:
      meta:
        sync: {{destination: d, sends: traits, consent: agreed, fields: {{x: score}}}}
  - name: {name}
    owner: {{name: team}}
    depends_on:
      - ref('{parent}')
    config:
      meta:
        sync:
          key: second
          destination: d
{indented}
"""


START = "consent: agreed\nsends: traits\nfields:\n  ok: plan\n"
MEMBER = "consent: agreed\nsends: membership\nas: track\nfields:\n  ok: plan\n"


def wrong(folder: Path, text: str, **more: Any) -> ConfigError:
    """Read, and check that the mistake is said to be on the line marked `# here`."""
    with pytest.raises(ConfigError) as raised:
        read(folder, text, **more)
    error = raised.value
    marked = [n for n, line in enumerate(text.splitlines(), 1) if line.endswith("# here")]
    assert error.file == FILE
    assert [error.line] == marked, error.message
    assert error.place == f"{FILE}:{error.line}"
    assert error.as_dict()["line"] == error.line
    return error


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (START + "  x: nothing  # here", "no column 'nothing'"),
        (START + "  x:  # here\n    column: nothing", "no column 'nothing'"),
        (START + "  x:\n    pii: none\n    sql: nothing + 1  # here", "no column 'nothing'"),
        (START + "  x:\n    sql: upper(plan  # here", "not an SQL expression"),
        (START + "  x:\n    sql: |  # here\n      upper(\n        plan", "not an SQL expression"),
        (START + "  x: {sql: now()}  # here", "another answer at another time"),
        (START + "  x: {sql: sum(score)}  # here", "aggregate"),
        (START + "  x:\n    column: plan\n    hsah: sha256  # here", "unknown key"),
        (START + "  x:\n    column: plan\n    hash: md5  # here", "unknown value"),
        (START + "  x:\n    column: plan\n    pii: secret  # here", "unknown value"),
        (START + "  x:  # here\n    pii: email", "exactly one of column, value, sql"),
        (START + "  x:  # here\n    column: plan\n    value: 1", "not column and value"),
        (START + "  x:  # here\n    value: 1\n    nulls: keep", "constant"),
        (START + "  x: 7  # here", "string"),
        (START + "  x.y: plan  # here", "dot"),
        (START + '  " ": plan  # here', "needs a name"),
        (START + "  x: tags  # here", "varchar[], which cannot be sent"),
        (START + "  x: home  # here", "struct(city varchar), which cannot be sent"),
        (START + "  x:\n    column: score\n    hash: sha256  # here", "a double has no one text"),
        (START + "  x:\n    column: agreed\n    normalise: trim  # here", "no one text"),
        (MEMBER + "  second_audience: plan\n  vips: plan  # here", "by the membership itself"),
        (MEMBER + "  audience_key: plan  # here", "by the membership itself"),
        (MEMBER + "  audience_name: plan  # here", "by the membership itself"),
        (MEMBER + "  x:\n    column: plan\n    nulls: keep  # here", "nothing to keep"),
        (MEMBER + "  x: nothing  # here", "no column"),
        (START + "destinaton: d  # here", "unknown key"),
        (START + "max_first: -1  # here", "greater than or equal to 0"),
        (START + "after: [good, nobody]  # here", "names no sync"),
        (START.replace("consent: agreed", "consent: opted_in  # here"), "lists no column"),
        (START.replace("consent: agreed", "consent: score  # here"), "is double in user_traits"),
        (START.replace("sends: traits", "sends: trait  # here"), "unknown value"),
        (START.replace("sends: traits", "").replace("  ok: plan\n", "  ok: plan"), "required"),
        (START + "  x: plan\n  x: score  # here", "given twice"),
        (START + "consent: not_required  # here", "given twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_on_its_line(tmp_path: Path, body: str, said: str) -> None:
    parent = "vips" if "membership" in body else "user_traits"
    text = exposure(body, parent=parent)
    if said == "required":  # what is not there is missed where it should be
        text = text.replace("        sync:\n", "        sync:  # here\n")
    error = wrong(tmp_path, text)
    assert said in error.message
    assert (error.key or "").startswith("exposures.")
    assert "a.b" in (error.key or "") or "second" in (error.key or "")


def test_an_unknown_key_is_answered_with_those_of_its_place(tmp_path: Path) -> None:
    inner = wrong(tmp_path, exposure(START + "  x: {column: plan, hsah: sha256}  # here"))
    assert {"column", "hash", "normalise"} <= set(inner.accepted)
    assert "consent" not in inner.accepted
    assert "consent" in wrong(tmp_path, exposure(START + "hash: sha256  # here")).accepted


def test_a_second_list_of_exposures_would_hide_the_first(tmp_path: Path) -> None:
    text = exposure(START)
    again = text.replace("  - name: a.b\n", "exposures:  # here\n  - name: a.b\n")
    assert wrong(tmp_path, again).key == "exposures"


def test_two_exposures_of_one_name_have_a_line_too(tmp_path: Path) -> None:
    text = exposure(START, name="good").replace("  - name: good\n", "  - name: good  # here\n", 1)
    assert "two exposures" in wrong(tmp_path, text).message


@pytest.mark.parametrize(
    "body",
    [
        START,
        START + "  x: {sql: 'upper(PLAN) || score'}",
        START + "  x: count",
        START + "  x: {column: count, hash: sha256}",
        START + "  x: {column: email, hash: sha256, normalise: email, pii: email}",
        START + "  x: {sql: len(tags)}",
        START + "  x: {value: pro}\n  y: {value: 7, pii: none}\n  z: {value: false}",
        START + "  x: {column: plan, nulls: keep}\n  audience_key: plan",
        START.replace("consent: agreed", "consent: maybe"),
        START.replace("consent: agreed", "consent: not_required"),
        MEMBER + "  x: level\n  y: {column: badges, nulls: clear}\n  z: {sql: level + score}",
        MEMBER.replace("track", "identify") + "  x: {column: level, nulls: keep}",
        MEMBER.replace("track", "identify") + "  audience_key: plan",
    ],
)
def test_what_is_right_is_read(tmp_path: Path, body: str) -> None:
    read(tmp_path, exposure(body, parent="vips" if "membership" in body else "user_traits"))


def test_models_that_document_nothing_are_asked_nothing(tmp_path: Path) -> None:
    body = START.replace("agreed", "opted_in") + "  x: nothing\n  y: {sql: nothing + 1}"
    project = read(tmp_path, exposure(body).replace("consent: agreed", "consent: any"), {})
    assert project.traits.contract == {}
    error = wrong(tmp_path, exposure(START + "  x: {sql: 1 +}  # here"), traits={})
    assert (error.key or "").endswith("fields.x.sql")


def test_declared_types_are_part_of_a_model(tmp_path: Path) -> None:
    project = read(tmp_path, exposure(START))
    assert project.traits.contract == TRAITS
    assert project.audience("vips").model.types["level"] == "double"
    assert Model("m", "m", ("a",), "").contract == {"a": ""}


def test_without_files_there_is_no_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, exposure(START + "  x: nothing"), lines=False)
    assert (raised.value.line, raised.value.place) == (None, FILE)


def test_lines_of_files_that_are_not_yaml(tmp_path: Path) -> None:
    for name, content in [("a.yml", "a: ["), ("b.sql", "a: 1"), ("c.yml", ""), ("d.yml", "\xff")]:
        (tmp_path / name).write_bytes(content.encode("latin-1"))
        assert line_of(tmp_path / name, "a") is None
        assert not list(repeated_keys(tmp_path / name))
    assert line_of(tmp_path / "nothing.yml", "a") is None


def test_lines_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a:\n  b.c: 1\n  b:\n    c: 2\n  l:\n  - x\n  - name: n\n    v: &v {w: 1}\n")
    expected = {"a": 1, "a.b.c": 2, "a.b": 3, "a.l": 5, "a.l.0": 6, "a.l.n.v.w": 8, "a.l.1.v": 8}
    assert {key: line_of(path, key) for key in expected} == expected
    assert line_of(path, "a.nothing.at.all") == 1
    assert line_of(path, "nothing") is None


def test_repeated_keys_are_named_where_they_come_again(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("a: 1\nb:\n  - name: n\n    c: 1\n    c: 2\n  - {d: 1, e: {d: 2}}\na: 2\n")
    assert list(repeated_keys(path)) == [("b.n.c", 5), ("a", 7)]
