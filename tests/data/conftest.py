from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "tailrace_generate", ROOT / "data" / "generate.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sample() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        for table in ("tracks", "identifies", "pages"):
            con.execute(f"create table {table} as from '{ROOT}/data/sample/{table}.parquet'")
        con.execute(
            """
            create table owner as select anonymous_id, arg_min(user_id, "timestamp") as user_id
            from identifies group by anonymous_id;
            create table events as
            select coalesce(t.user_id, o.user_id) as user_id, event, properties,
                "timestamp" as happened, received_at
            from tracks as t left join owner as o using (anonymous_id)
            where coalesce(t.user_id, o.user_id) is not null
            qualify row_number() over (partition by message_id order by received_at, id) = 1;
            create table signups as select user_id, min(signup_at) as signed_up
            from identifies group by user_id
            """
        )
        yield con
