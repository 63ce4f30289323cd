"""The fields of a sync as typed SQL: columns, constants, expressions, normalised or hashed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from destinations.errors import ConfigError
from orchestration.mapping import check_text, sendable, within
from orchestration.options import MappedField
from orchestration.project import Sync
from orchestration.sql.names import text
from orchestration.sql.scalars import Column, Type
from orchestration.warehouse import Warehouse

# Words in the name of a column that holds what tells who somebody is.
_PERSONAL = re.compile(
    r"(?:^|_)(?:e_?mails?|mail|(?:tele)?phones?|mobile|msisdn|fax"
    r"|user_?ids?|(?:customer|contact|account|device|anonymous|external|advertising)_?id"
    r"|(?:first|last|full|given|family|middle|maiden|nick|sur|user|display|customer|contact)_?names?"
    r"|address(?:es)?|street|postal_?code|post_?code|zip(?:_?code)?|ip"
    r"|birth(?:day|date)?|dob|ssn|passport|iban)\d*(?:_|$)"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WHITE = r"' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(160)"


def field_column(
    warehouse: Warehouse,
    sync: Sync,
    name: str,
    mapped: MappedField,
    columns: Mapping[str, Column],
    types: Mapping[str, str],
) -> Column:
    """Return what is sent for a field.

    Args:
        warehouse: is asked for the type of an expression; reads no row.
        sync: the sync the field belongs to.
        name: the field at the destination.
        mapped: where its value comes from.
        columns: the columns there are, as resolved SQL.
        types: the engine's names of their types.

    Raises:
        ConfigError: no such column, not an expression over one row, or a type that cannot be
            sent; names file and key.
    """
    try:
        column = _source(warehouse, mapped, columns, types)
        check_text(mapped, column.type)
    except ConfigError as error:
        placed = within(error, f"exposures.{sync.key}.config.meta.sync.fields.{name}")
        raise ConfigError(
            placed.message, file=sync.file, key=placed.key, accepted=placed.accepted
        ) from None
    return _treated(mapped, column)


def personal_fields(sync: Sync) -> frozenset[str]:
    """Return the fields whose values are masked wherever a sample is shown.

    What `pii:` says goes. Where it says nothing: hashed values, and what comes from a column
    whose name speaks of an address, a phone, a name or an id.
    """
    return frozenset(name for name, mapped in sync.options.fields.items() if _is_personal(mapped))


def open_fields(sync: Sync) -> frozenset[str]:
    """Return the fields of which `pii: none` says that their values may be shown."""
    return frozenset(name for name, mapped in sync.options.fields.items() if mapped.pii == "none")


def _is_personal(mapped: MappedField) -> bool:
    if mapped.pii is not None:
        return mapped.pii != "none"
    if mapped.hash:
        return True
    read = [mapped.column] if mapped.column else []
    if mapped.sql is not None:
        read = re.findall(r"\w+", mapped.sql)  # more than its columns: rather mask too much
    return any(speaks_of_a_person(name) for name in read)


def speaks_of_a_person(column: str) -> bool:
    """Tell whether a column is named like an address, a phone, a name or an id."""
    name = _CAMEL.sub("_", column).lower()
    return name == "name" or _PERSONAL.search(name) is not None


def _source(
    warehouse: Warehouse,
    mapped: MappedField,
    columns: Mapping[str, Column],
    types: Mapping[str, str],
) -> Column:
    if mapped.sql is not None:
        try:
            return _computed(warehouse, mapped.sql, columns, types)
        except ConfigError as error:
            raise within(error, "sql") from None
    if mapped.column is None:
        return _constant(mapped.value)
    if mapped.column not in columns:
        raise ConfigError(f"there is no column {mapped.column!r} to send", accepted=sorted(columns))
    return columns[mapped.column]


def _computed(
    warehouse: Warehouse, sql: str, columns: Mapping[str, Column], types: Mapping[str, str]
) -> Column:
    """Compute per row; where that fails the row is a reject, and everybody else goes on."""
    # Late: most projects need no parser, and it takes a while to load.
    from orchestration.sql.expressions import columns_read, engine_type, read_expression, rendered

    tree = read_expression(sql)
    read = columns_read(tree, columns)
    kind = sendable(engine_type(warehouse, tree, read, types))
    value = rendered(tree, {written: columns[known].sql for written, known in read.items()})
    # A struct around the value tells a failure, which makes all of it null, from a null.
    tried = f"try({{'v': {value}}})"
    return Column(f"struct_extract({tried}, 'v')", kind, failed=f"({tried} is null)")


def _constant(value: object) -> Column:
    if isinstance(value, bool):
        return Column("true" if value else "false", Type.BOOLEAN)
    if isinstance(value, int):
        return Column(f"cast({value} as bigint)", Type.INTEGER)
    if isinstance(value, float):
        return Column(f"cast('{value!r}' as double)", Type.DOUBLE)
    return Column(text(str(value)), Type.STRING)


def _treated(mapped: MappedField, column: Column) -> Column:
    """Normalise, then hash; a text of which nothing is left is no value."""
    if mapped.hash is None and mapped.normalise is None:
        return column
    value = f"cast({column.sql} as varchar)"
    value = f"nullif({_normalised(mapped.normalise, value)}, '')"
    # sha256 is of the UTF-8 text, as lower-case hex.
    return Column(f"sha256({value})" if mapped.hash else value, Type.STRING, column.failed)


def _normalised(how: str | None, value: str) -> str:
    trimmed = f"trim({value}, {_WHITE})"
    if how == "phone":
        digits = f"regexp_replace({value}, '[^0-9]', '', 'g')"
        plus = f"case when starts_with({trimmed}, '+') and {digits} <> '' then '+' else '' end"
        return f"{plus} || {digits}"
    return {"email": f"lower({trimmed})", "lower": f"lower({value})", "trim": trimmed}.get(
        how or "", value
    )
