"""Calls of macros that there are not: dbt parses a project with them, and a build fails later."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any


def known_names(manifest: Mapping[str, Any]) -> set[str]:
    """Return what a model or macro may call by its name: macros, packages, and dbt's own words."""
    from dbt.context.providers import ModelContext
    from dbt_common.clients.jinja import get_environment

    macros = manifest["macros"].values()
    return {
        *(macro["name"] for macro in macros),
        *(macro["package_name"] for macro in macros),
        *ModelContext._context_members_,
        *get_environment(None).globals,
        *("caller", "varargs", "kwargs"),
    }


def unknown_calls(sql: str, known: Collection[str]) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, name, always) of what a model or macro calls and nothing is called.

    `always` is whether no `if` decides over the call: another one may never be made. What cannot
    be parsed has been refused by dbt.
    """
    from dbt_common.clients.jinja import get_environment
    from jinja2 import meta, nodes

    tree = get_environment(None).parse(sql)
    unset = meta.find_undeclared_variables(tree).difference(known)
    choices = [*tree.find_all(nodes.If), *tree.find_all(nodes.CondExpr)]
    chosen = {id(call) for choice in choices for call in choice.find_all(nodes.Call)}
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in unset:
            yield call.lineno, call.node.name, id(call) not in chosen


def meant(name: str, known: Collection[str]) -> str:
    """Return what is to be said of an unknown name."""
    close = get_close_matches(name, known, n=1, cutoff=0.75)
    return f"there is no macro {name}" + (f"; is it {close[0]}?" if close else "")
