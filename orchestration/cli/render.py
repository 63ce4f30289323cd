"""Results as tables for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rich.table import Table
from rich.text import Text

from destinations.scrub import scrubbed_values, without_breaks, without_secrets

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.breaches import Breaches
    from orchestration.dbt import DbtRun
    from orchestration.memberships import Evaluation
    from orchestration.plan import Plan
    from orchestration.sync_runs import SyncRun

T = TypeVar("T")
MESSAGE_LINES = 12
COLOURS = {"failed": "red", "held": "yellow", "incomplete": "yellow", "waiting": "yellow"}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table; numbers go right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    listed = [tuple(row) for row in rows]
    for index, column in enumerate(columns):
        numbers = bool(listed) and isinstance(listed[0][index], int | float)
        made.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in listed:
        # Text: what a vendor or somebody's data says is not markup.
        made.add_row(*(v if isinstance(v, Text) else Text(_text(v)) for v in row))
    return made


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return "" if value is None else without_secrets(str(value))


def coloured(value: T) -> T | Text:
    """Return a status with its colour, anything else as it is."""
    return Text(value, COLOURS[value]) if isinstance(value, str) and value in COLOURS else value


def say(out: Console, *parts: str | Text | tuple[str, str]) -> None:
    """Print one line of texts, or pairs of text and style; none of them is markup."""
    line = Text()
    for part in parts:
        text, style = part if isinstance(part, tuple) else (part, "")
        line.append(text) if isinstance(text, Text) else line.append(_plain(text), style)
    out.print(line, highlight=False)


def _plain(text: str) -> str:
    space = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{space[0]}{without_breaks(without_secrets(text))}{space[1]}" if text.strip() else text


_CALL_STACK = re.compile(r"\n\s*> (in macro|called by)")


def show_build(out: Console, run: DbtRun, breaches: Breaches) -> None:
    """Show what dbt built, breaches of the tracking plan, and each failure in dbt's words."""
    built = [node for node in run.nodes if node.resource_type == "model"]
    done = sum(node.status == "success" for node in built)
    out.print(f"dbt built {done} models in {run.seconds:.1f} s")
    if breaches.found:
        kept_out = f"{breaches.blocked:,} of them kept out" if breaches.blocked else "none kept out"
        out.print(
            f"tracking plan: {breaches.found:,} breach{'' if breaches.found == 1 else 'es'}, "
            f"{kept_out}; see event_violations",
            highlight=False,
        )
    for node in run.failures:
        if node.status != "skipped":
            say(out, (node.status, "red"), f" {node.file} ({node.name})")
            for line in _said(node.message):
                out.print(f"  {line}", markup=False, highlight=False)


def _said(message: str) -> list[str]:
    """Return dbt's words without its own call stack and blank lines."""
    lines = _CALL_STACK.split(message)[0].splitlines()
    return [line.strip() for line in lines if line.strip()][:MESSAGE_LINES]


def show_evaluations(out: Console, evaluations: Iterable[Evaluation]) -> None:
    """Show one line per audience, then the reasons of those that did not take effect."""
    listed = list(evaluations)
    columns = ("audience", "status", "members", "entered", "exited")
    out.print(
        table(
            "Audiences",
            columns,
            [(e.audience, coloured(e.status), e.members, e.entered, e.exited) for e in listed],
        )
    )
    for evaluation in listed:
        _reasons(out, evaluation.audience, evaluation.status, evaluation.reasons)
        if evaluation.status == "held":
            _approve(out, evaluation.evaluation_id, evaluation.exited)


def show_syncs(out: Console, runs: Iterable[SyncRun]) -> None:
    """Show one line per sync that was tried, then the reasons of those that did not get through."""
    listed = list(runs)
    columns = ("sync", "status", "calls", "delivered", "rejected", "skipped", "rows/s")
    rows = [
        (
            run.sync,
            coloured(run.status),
            run.calls,
            run.delivered,
            run.rejected,
            run.skipped,
            run.delivered / run.seconds if run.seconds else 0.0,
        )
        for run in listed
        if run.status != "waiting"
    ]
    if rows or not listed:
        out.print(table("Syncs", columns, rows))
    for run in listed:
        same = [other.sync for other in listed if other.reasons == run.reasons]
        if run.sync == same[0]:
            _reasons(out, ", ".join(same), run.status, run.reasons)
        if run.error is not None:
            for name in ("file", "key", "accepted"):
                if value := getattr(run.error, name):
                    shown = ", ".join(value) if isinstance(value, tuple) else value
                    say(out, "  ", f"{name}: {shown}")
        if run.status == "held" and run.plan_id:
            out.print(f"  see it: tailrace plan {run.sync}", highlight=False)
            _approve(out, run.plan_id, run.held_exits)
        if run.unsendable:
            said = (
                f": {run.unsendable:,} rows have a value that cannot be sent; "
                f"`tailrace rejects {run.sync}` says which"
            )
            say(out, "  ", (run.sync, "yellow"), said)
        for name, count in run.warnings.items():
            say(out, "  ", (run.sync, "yellow"), f": {name} ({count:,})")


def show_plans(out: Console, plans: Iterable[Plan]) -> None:
    """Show one line per sync and one masked payload per kind of op."""
    listed = list(plans)
    columns = (
        "sync", "verdict", "enter", "exit", "update", "event", "skipped", "calls", "bytes", "time",
    )  # fmt: skip
    rows = [
        (
            plan.sync,
            coloured(plan.verdict),
            *(plan.counts.get(op, 0) for op in ("enter", "exit", "update", "event")),
            plan.skipped,
            plan.calls,
            plan.bytes,
            f"{plan.seconds_at_limit:.1f} s",
        )
        for plan in listed
    ]
    out.print(table("Plans", columns, rows))
    for plan in listed:
        _reasons(out, plan.sync, plan.verdict, plan.reasons)
        _left_out(out, plan)
        for sample in plan.sample:
            out.print(f"  {plan.sync} {sample['op']}: ", end="", highlight=False)
            body = scrubbed_values(sample["body"], without_secrets)
            out.print_json(data=body, indent=None, ensure_ascii=True)


def _left_out(out: Console, plan: Plan) -> None:
    """Say who is not sent, and why."""
    counts = {
        "users without a usable identifier": plan.skipped,
        "rows with a value that cannot be sent": plan.unsendable,
        "without consent": plan.no_consent,
        "suppressed": plan.suppressed,
        "profiles whose user is gone": plan.gone,
        "events that came too late": plan.too_late,
        "changes that are not worth a call": plan.silent,
    }
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    if said:
        out.print(f"  {plan.sync} leaves out: {said}", highlight=False)


def _reasons(out: Console, name: str, status: str, reasons: Iterable[str]) -> None:
    for reason in reasons:
        say(out, coloured(status), f" {name}: ", reason)


def _approve(out: Console, held_id: str | None, exits: int) -> None:
    expect = f" --expect-exits {exits}" if exits else ""
    out.print(f"  if that is right: tailrace approve {held_id}{expect}", highlight=False)
