"""SQL expressions that somebody wrote into a mapping: one value out of the columns of one row."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from destinations.errors import ConfigError
from orchestration.sql.lint import FORBIDDEN, forbidden_calls
from orchestration.sql.names import ident
from orchestration.sql.refusals import without_values
from orchestration.warehouse import Warehouse

DIALECT = "duckdb"
_REFUSED: tuple[tuple[tuple[type[exp.Expr], ...], str], ...] = (
    ((exp.Query, exp.Exists), "a subquery"),
    ((exp.Window,), "a window function"),
    ((exp.AggFunc, exp.AnonymousAggFunc), "an aggregate"),
    ((exp.UDTF, exp.Explode), "a function of many rows"),
    ((exp.Star, exp.Columns), "a star"),
    ((exp.Placeholder, exp.Parameter, exp.SessionParameter), "a placeholder"),
    ((exp.PositionalColumn,), "a column by its place"),
    ((exp.Alias,), "a name of its own (`as`)"),
)


def read_expression(sql: str) -> exp.Expr:
    """Parse one scalar expression.

    Raises:
        ConfigError: it is not one, or its value would depend on more than the row; says why.
    """
    try:
        statements = sqlglot.parse(f"select {sql}\n", read=DIALECT)
    except SqlglotError as error:
        raise ConfigError(f"is not an SQL expression: {_why(error)}") from None
    select = statements[0]
    if len(statements) != 1 or not isinstance(select, exp.Select) or len(select.expressions) != 1:
        raise ConfigError("is not one SQL expression")
    if any(value for name, value in select.args.items() if name != "expressions"):
        raise ConfigError("is a statement, not one SQL expression")
    tree: exp.Expr = select.expressions[0].pop()
    for kinds, what in _REFUSED:
        if tree.find(*kinds):
            raise ConfigError(f"is an expression over one row: {what} has no place in it")
    clock = next((name for _, name in forbidden_calls(rendered(tree))), None) or _called(tree)
    if clock:
        raise ConfigError(f"{clock} gives another answer at another time; make it a trait instead")
    return tree


def columns_read(tree: exp.Expr, known: Collection[str]) -> dict[str, str]:
    """Return the columns an expression reads: as they are written, to as they are known.

    Raises:
        ConfigError: one is not known.
    """
    by_lower = {name.lower(): name for name in known}
    found: dict[str, str] = {}
    for column in tree.find_all(exp.Column):
        if column.table:
            raise ConfigError(f"a column has no table in front of it: {column.name}")
        if column.name.lower() not in by_lower:
            raise ConfigError(f"there is no column {column.name!r}", accepted=sorted(known))
        exact = column.name if column.name in known else by_lower[column.name.lower()]
        found[column.name] = exact
    return found


def rendered(tree: exp.Expr, columns: Mapping[str, str] | None = None) -> str:
    """Write an expression for the engine, with `columns` (SQL by written name) put in."""

    def put(node: exp.Expr) -> exp.Expr:
        if columns is not None and isinstance(node, exp.Column):
            return exp.Var(this=f"({columns[node.name]})")
        return node

    return tree.transform(put).sql(dialect=DIALECT, comments=False)


def engine_type(
    warehouse: Warehouse, tree: exp.Expr, read: Mapping[str, str], types: Mapping[str, str]
) -> str:
    """Ask the engine for the type of an expression; no row is read.

    Args:
        warehouse: the engine.
        tree: the expression.
        read: the columns it reads, see `columns_read`.
        types: the engine's types by known name.

    Raises:
        ConfigError: the engine refuses the expression; in the engine's words.
    """
    value = rendered(tree, {written: ident(known) for written, known in read.items()})
    known = sorted(set(read.values()))
    given = [f"cast(null as {types[name]}) as {ident(name)}" for name in known]
    try:
        # The second column makes the engine refuse an aggregate, the case one of many rows.
        described = warehouse.rows(
            f"describe select case when true then {value} end as v, tailrace_row "
            f"from (select {', '.join([*given, '1 as tailrace_row'])})"
        )
    except warehouse.errors as error:
        raise ConfigError(
            f"the warehouse refuses it: {without_values(str(error)).splitlines()[0]}"
        ) from None
    return str(described[0][1])


def _called(tree: exp.Expr) -> str | None:
    """Return a function that must not be called, even if its name is quoted."""
    names = (str(call.name).lower() for call in tree.find_all(exp.Anonymous))
    return next((name for name in names if name in FORBIDDEN and name != "age"), None)


def _why(error: SqlglotError) -> str:
    details = getattr(error, "errors", None) or [{}]
    return str(details[0].get("description") or error).splitlines()[0].rstrip(".")
