"""Segment's tracking plans, in the JSON forms that its APIs and its users hand around.

- Public API: `rules`, a list of `key`, `type`, `version`, `jsonSchema`; by itself, beside the
  plan's name, or under `data` (docs.segmentapis.com, "Tracking Plans"). Segment's Typewriter saves
  plans in this form too, and takes the envelope around the properties away.
- Config API: `rules.events`, a list of `name`, `description`, `rules`; beside it
  `rules.identify_traits` and others. Older exports have `events` at the top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from destinations.errors import DataError
from orchestration.tracking_plan.names import event_key
from orchestration.tracking_plan.places import Place
from orchestration.tracking_plan.rows import PlanRow
from orchestration.tracking_plan.schemas import NotCarried, rows_of

RULE_TYPES = ("TRACK", "IDENTIFY", "GROUP", "PAGE", "SCREEN", "COMMON")
FORMS = (
    'rules: [{"key", "type": "TRACK", "version", "jsonSchema"}]',
    'events: [{"name", "rules"}]',
    'rules: {"events": [{"name", "rules"}]}',
    "one of these under data",
)
NEVER = "0001-01-01"
"""What the Public API says of a rule that is not deprecated; Go's zero time."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that says nothing of an event's properties, or that a newer version replaces."""

    place: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """What a document says; `whole` is False if it is one page of a longer list of rules."""

    rows: tuple[PlanRow, ...]
    skipped: tuple[Skipped, ...]
    not_carried: tuple[NotCarried, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    version: float
    schema: Any
    place: Place
    schema_place: Place
    deprecated: str


def from_segment(document: object, file: str = "the plan") -> SegmentPlan:
    """Return the events and properties of a document that was JSON.

    Args:
        document: any of the forms above.
        file: what an error says the mistake is in.

    Raises:
        DataError: it is none of the forms, or says something that cannot be; names the place.
    """
    top, place = _unwrapped(document, Place(file))
    skipped: list[Skipped] = []
    rules = list(_rules(top, place, skipped))
    rows: list[PlanRow] = []
    not_carried: list[NotCarried] = []
    for rule in _newest(rules, skipped):
        rows.append(PlanRow(rule.name))
        if rule.deprecated:
            said = f"deprecated at {rule.deprecated}; the event stays expected"
            not_carried.append(NotCarried(rule.name, "", "deprecatedAt", said))
        rows += rows_of(rule.name, rule.schema, rule.schema_place, not_carried)
    pages = top.get("pagination")
    whole = not (isinstance(pages, Mapping) and (pages.get("next") or pages.get("previous")))
    return SegmentPlan(tuple(rows), tuple(skipped), tuple(not_carried), whole)


def _unwrapped(document: object, place: Place) -> tuple[Mapping[str, Any], Place]:
    top = place.mapping(document, "an object", FORMS)
    for key in ("data", "trackingPlan", "tracking_plan"):
        inner = top.get(key)
        if "rules" not in top and "events" not in top and isinstance(inner, Mapping):
            top, place = inner, place / key
    if "rules" not in top and "events" not in top:
        found = ", ".join(map(str, top)) or "nothing"
        raise place.wrong(f"not a tracking plan of Segment's: it has {found}", FORMS)
    return top, place


def _rules(top: Mapping[str, Any], place: Place, skipped: list[Skipped]) -> Iterator[_Rule]:
    if "rules" not in top:
        yield from _events(top["events"], place / "events")
        return
    rules, place = top["rules"], place / "rules"
    if isinstance(rules, Mapping):
        if "events" not in rules:
            raise place.wrong("there are no events", FORMS)
        yield from _events(rules["events"], place / "events")
        for key, value in rules.items():
            if key != "events" and value:
                skipped.append(Skipped((place / key).path, "", f"{key} is not about events"))
        return
    for index, rule in enumerate(place.items(rules, FORMS)):
        yield from _public(rule, place[index], skipped)


def _public(rule: object, place: Place, skipped: list[Skipped]) -> Iterator[_Rule]:
    found = place.mapping(rule, "a rule", ("key", "type", "version", "jsonSchema"))
    kind = found.get("type")
    if kind not in RULE_TYPES:
        raise (place / "type").wrong(f"{kind!r} is no type of a rule", RULE_TYPES)
    if kind != "TRACK":
        name = found.get("key")
        said = f"a rule of type {kind} is not about an event"
        skipped.append(Skipped(place.path, name if isinstance(name, str) else "", said))
        return
    deprecated = str(found.get("deprecatedAt") or "")
    yield _Rule(
        name=_name(found, "key", place),
        version=_version(found, place),
        schema=_schema(found, "jsonSchema", place),
        place=place,
        schema_place=place / "jsonSchema",
        deprecated="" if deprecated.startswith(NEVER) else deprecated,
    )


def _events(events: object, place: Place) -> Iterator[_Rule]:
    for index, event in enumerate(place.items(events, FORMS)):
        here = place[index]
        found = here.mapping(event, "an event", ("name", "description", "rules"))
        yield _Rule(
            name=_name(found, "name", here),
            version=_version(found, here),
            schema=_schema(found, "rules", here),
            place=here,
            schema_place=here / "rules",
            deprecated="",
        )


def _schema(found: Mapping[str, Any], key: str, place: Place) -> Any:
    if key not in found:
        raise place.wrong(f"there is no {key}", (f"{key}: a JSON schema, {{}} for any properties",))
    return found[key]


def _name(found: Mapping[str, Any], key: str, place: Place) -> str:
    name = (place / key).text(found.get(key), "an event's name")
    if not event_key(name):
        raise (place / key).wrong(f"{name!r} is no name", ("one with a letter or a digit",))
    return name


def _version(found: Mapping[str, Any], place: Place) -> float:
    version = found.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int | float):
        raise (place / "version").wrong(f"{version!r} is no version", ("a number",))
    try:
        return float(version)
    except OverflowError:
        raise (place / "version").wrong("so large a number is no version", ("a number",)) from None


def _newest(rules: Sequence[_Rule], skipped: list[Skipped]) -> list[_Rule]:
    """Return the rules that count: of one event's, the one of the highest version.

    Raises:
        DataError: two rules are of one event and one version, or spell its name differently.
    """
    newest: dict[str, _Rule] = {}
    for rule in rules:
        key = event_key(rule.name)
        other = newest.setdefault(key, rule)
        if other is rule:
            continue
        if other.name != rule.name or other.version == rule.version:
            raise _same_event(rule, other)
        old, new = sorted((rule, other), key=lambda one: one.version)
        newest[key] = new
        said = f"version {old.version:g}; version {new.version:g} counts"
        skipped.append(Skipped(old.place.path, old.name, said))
    return list(newest.values())


def _same_event(rule: _Rule, other: _Rule) -> DataError:
    return rule.place.wrong(
        f"{rule.name!r} is the event of {other.place.path} ({other.name!r}): both are "
        f"{event_key(rule.name)!r}, version {rule.version:g} and {other.version:g}",
        ("one rule for each event and version, spelt alike",),
    )
