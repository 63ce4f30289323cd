"""The verb that shows one user: ids, traits, audiences, and what each destination was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from orchestration.cli.common import App, common, pii_option, shown_time

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_OPS = 6
WIDE = 36


@click.command()
@common
@click.argument("user", required=False)
@click.option("--email", metavar="ADDRESS", help="Find the user by an address instead.")
@pii_option
def profile(app: App, user: str | None, email: str | None, show_pii: bool) -> None:
    """Show one user: ids, traits, audiences, and what each destination was told and when."""
    if (user is None) == (email is None):
        raise click.UsageError("name the user by USER (its user_id) or by --email ADDRESS")
    from orchestration.activate import prepare
    from orchestration.user_profile import profile as read
    from orchestration.user_profile import user_of_email

    engine = app.engine()
    prepare(app.connect, need_events=False)
    with app.connect() as warehouse:
        user_id = user_of_email(warehouse, engine.project, email) if email else user or ""
        found = read(warehouse, engine.project, user_id, show_pii=show_pii)
    app.emit(found, lambda out: _show(out, found))


def _show(out: Console, found: Mapping[str, Any]) -> None:
    _show_ids(out, found)
    _show_traits(out, found)
    _show_audiences(out, found["audiences"])
    _show_syncs(out, found["syncs"])
    _show_ops(out, found["syncs"])


def _show_ids(out: Console, found: Mapping[str, Any]) -> None:
    def say(line: str) -> None:
        out.print(line, markup=False, highlight=False)

    as_of = f", as of {shown_time(found['as_of'])} UTC" if found["as_of"] else ""
    say(f"user {found['user_id']}{as_of}")
    if found["asked_for_merged"]:
        say("  the id asked for was merged into this user")
    if found["suppressed"]:
        out.print("  [yellow]suppressed[/]: nothing is sent of this user", highlight=False)
    emails = [f"{e['email']}{' (primary)' if e['is_primary'] else ''}" for e in found["emails"]]
    for what, values in (
        ("e-mails", emails),
        ("anonymous ids", found["anonymous_ids"]),
        ("merged ids", found["merged_ids"]),
    ):
        more = f" and {len(values) - 4} more" if len(values) > 4 else ""
        if values or what != "merged ids":
            say(f"  {what}: {', '.join(values[:4]) or 'none'}{more}")


def _show_traits(out: Console, found: Mapping[str, Any]) -> None:
    from rich.columns import Columns
    from rich.text import Text

    if found["traits"] is None:
        out.print("[bold]Traits[/]: not among the users of the last build", highlight=False)
        return
    out.print("[bold]Traits[/]", highlight=False)
    entries = [
        Text(f"{name} {_short(value)}", no_wrap=True, overflow="ellipsis")
        for name, value in found["traits"].items()
        if value is not None and name != "user_id"
    ]
    out.print(Columns(entries, width=WIDE, column_first=True))


def _short(value: object) -> str:
    text = f"{value:,.2f}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDE else f"{text[: WIDE - 1]}…"


def _show_audiences(out: Console, audiences: list[dict[str, Any]]) -> None:
    from orchestration.cli.render import table

    rows = [
        (
            one["audience"],
            "in" if one["member"] else "out",
            shown_time(one["since"]),
            len(one["stays"]),
            shown_time(one["stays"][-1]["exited_at"]) if one["stays"] else None,
        )
        for one in audiences
    ]
    columns = ("audience", "now", "since", "stays", "left last")
    out.print(table("Audiences", columns, rows))


def _show_syncs(out: Console, syncs: list[dict[str, Any]]) -> None:
    from orchestration.cli.render import say, table

    rows = [
        (
            one["sync"],
            known.get("dest_key", ""),
            _knows(one, known),
            known.get("version"),
            shown_time(known.get("occurred_at")),
            _answer(one["consent"]),
            len(one["rejects"]),
        )
        for one in syncs
        for known in one["known"] or [{}]
    ]
    columns = ("sync", "profile", "knows", "version", "as of", "consent", "rejects")
    out.print(table("What destinations know", columns, rows))
    for one in syncs:
        for refused in one["rejects"]:
            field = f" of {refused['field']}" if refused["field"] else ""
            why = f"{refused['class']} {refused['code']}{field}"
            since = shown_time(refused["rejected_at"])
            say(out, (refused["state"], "yellow"), f" {one['sync']}: {why} since {since}")


def _knows(sync: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if sync["sends"] == "events":
        return "its events"
    return f"{known.get('op') or 'nothing'}{' (unsure)' if known.get('unsure_until') else ''}"


def _answer(consent: Mapping[str, Any]) -> str:
    if consent["column"] is None:
        return "not required"
    value = consent["value"]
    return "unknown" if value is None else "yes" if value is True else "no"


def _show_ops(out: Console, syncs: list[dict[str, Any]]) -> None:
    from orchestration.cli.render import table

    listed = [(one["sync"], op) for one in syncs for op in one["ops"]]
    listed.sort(key=lambda pair: pair[1]["settled_at"] or "9", reverse=True)
    rows = [
        (sync, op["op"], op["outcome"], shown_time(op["settled_at"]), op["plan_id"])
        for sync, op in listed[:SHOWN_OPS]
    ]
    columns = ("sync", "op", "outcome", "when", "plan")
    out.print(table("Last ops", columns, rows))
