"""dbt's manifest, read as audiences and syncs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from destinations.errors import ConfigError
from orchestration.audience_options import GuardLimits, read_audience_options
from orchestration.mapping import check_consent, check_mapping, within
from orchestration.options import MappedField, SyncOptions
from orchestration.sql.names import checked_name, ident
from orchestration.yaml_lines import line_of


@dataclass(frozen=True, slots=True)
class Model:
    """A dbt model as the engine reads it; `types` are those that its yml declares, by column."""

    name: str
    relation: str
    columns: tuple[str, ...]
    file: str
    types: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def contract(self) -> dict[str, str]:
        """Return the documented columns, each with its declared type or nothing."""
        return {name: self.types.get(name, "") for name in self.columns}


@dataclass(frozen=True, slots=True)
class Audience:
    """One file of `models/audiences/`: the members at the run's as_of."""

    key: str
    name: str
    owner: str
    description: str
    model: Model
    upstream: tuple[str, ...]
    sql_fingerprint: str
    limits: GuardLimits = field(default_factory=GuardLimits)


@dataclass(frozen=True, slots=True)
class Sync:
    """One dbt exposure with `config.meta.sync`: what goes where."""

    key: str
    description: str
    owner: str
    file: str
    options: SyncOptions
    model: Model
    audience: Audience | None

    @property
    def max_first(self) -> int:
        """Return how many ops the first plan may hold without approval."""
        if self.options.max_first is not None:
            return self.options.max_first
        identify = self.options.sends == "traits" or self.options.as_ == "identify"
        return 10_000 if identify else 0


@dataclass(frozen=True, slots=True)
class Project:
    """Everything the engine needs to know of the dbt project."""

    audiences: tuple[Audience, ...]
    syncs: tuple[Sync, ...]
    traits: Model
    events: Model
    emails: Model | None = None
    merges: Model | None = None
    violations: Model | None = None
    identities: Model | None = None

    def audience(self, key: str) -> Audience:
        """Return the audience of that key.

        Raises:
            ConfigError: there is none.
        """
        found = {audience.key: audience for audience in self.audiences}
        if key not in found:
            raise ConfigError(f"there is no audience {key!r}", key=key, accepted=sorted(found))
        return found[key]

    def sync(self, key: str) -> Sync:
        """Return the sync of that key.

        Raises:
            ConfigError: there is none.
        """
        found = {sync.key: sync for sync in self.syncs}
        if key not in found:
            raise ConfigError(f"there is no sync {key!r}", key=key, accepted=sorted(found))
        return found[key]


def read_project(manifest: Mapping[str, Any], project_dir: Path | None = None) -> Project:
    """Read a dbt manifest; the files of `project_dir` are only read to find a mistake's line.

    Raises:
        ConfigError: a name, key or value is wrong; says in which file, and what is accepted.
    """
    try:
        return _read(manifest)
    except ConfigError as error:
        if project_dir and error.file and error.key:
            error.line = error.line or line_of(project_dir / error.file, error.key)
        raise


def _read(manifest: Mapping[str, Any]) -> Project:
    nodes = {k: v for k, v in manifest["nodes"].items() if v["resource_type"] == "model"}
    models = {unique_id: _model(node) for unique_id, node in nodes.items()}
    by_name = {model.name: model for model in models.values()}
    for needed in ("user_traits", "events"):
        if needed not in by_name:
            raise ConfigError(f"the project has no model {needed}", file="dbt_project/models")
    audiences = {
        unique_id: _audience(node, nodes)
        for unique_id, node in nodes.items()
        if "audiences" in node["fqn"][1:-1]
    }
    _distinct_names(audiences.values())
    traits = by_name["user_traits"]
    for exposure in manifest["exposures"].values():
        _check_not_misspelt(exposure)
    syncs = [
        _sync(exposure, models, audiences)
        for exposure in manifest["exposures"].values()
        if "sync" in exposure["config"].get("meta", {})
    ]
    for sync in syncs:
        _check_columns(sync, traits)
    return Project(
        audiences=tuple(sorted(audiences.values(), key=lambda audience: audience.key)),
        syncs=_in_order(syncs),
        traits=traits,
        events=by_name["events"],
        emails=by_name.get("user_emails"),
        merges=by_name.get("user_merges"),
        violations=by_name.get("event_violations"),
        identities=by_name.get("identity_map"),
    )


def _model(node: Mapping[str, Any]) -> Model:
    return Model(
        name=node["name"],
        # Without the database: the manifest may have been parsed for another file.
        relation=f"{ident(node['schema'])}.{ident(node['alias'])}",
        columns=tuple(node["columns"]),
        file=node["original_file_path"],
        types={
            name: str(column["data_type"])
            for name, column in node["columns"].items()
            if column.get("data_type")
        },
    )


def _audience(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> Audience:
    file = node["original_file_path"]
    options = read_audience_options(node)
    upstream = _ancestors(node, nodes)
    code = [node["checksum"]["checksum"]]
    code += [nodes[unique_id]["checksum"]["checksum"] for unique_id in sorted(upstream)]
    return Audience(
        key=checked_name(node["name"], "audience", file=file),
        name=options.name or node["name"].replace("_", " ").capitalize(),
        owner=str(node["config"].get("meta", {}).get("owner", "")),
        description=node["description"],
        model=_model(node),
        upstream=tuple(
            nodes[unique_id]["name"]
            for unique_id in sorted(upstream)
            if nodes[unique_id]["config"]["materialized"] not in ("ephemeral", "view")
        ),
        sql_fingerprint=hashlib.sha256("\n".join(code).encode()).hexdigest()[:16],
        limits=options.guard,
    )


def _ancestors(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    queue = list(node["depends_on"]["nodes"])
    while queue:
        unique_id = queue.pop()
        if unique_id in nodes and unique_id not in found:
            found.add(unique_id)
            queue += nodes[unique_id]["depends_on"]["nodes"]
    return found


def _distinct_names(audiences: Iterable[Audience]) -> None:
    seen: dict[str, Audience] = {}
    for audience in audiences:
        slug = re.sub(r"[\W_]+", "_", audience.name.lower()).strip("_") or audience.name
        if slug in seen:
            raise ConfigError(
                f"two audiences are called {audience.name!r} (as {slug}): "
                f"{seen[slug].model.file} and {audience.model.file}",
                file=audience.model.file,
                key="config.meta.audience.name",
            )
        seen[slug] = audience


def _sync(
    exposure: Mapping[str, Any],
    models: Mapping[str, Model],
    audiences: Mapping[str, Audience],
) -> Sync:
    file = exposure["original_file_path"]
    where = f"exposures.{exposure['name']}.config.meta.sync"
    try:
        options = SyncOptions.model_validate(exposure["config"]["meta"]["sync"])
    except ValidationError as error:
        raise _as_config_error(error, file, where) from None
    parents = exposure["depends_on"]["nodes"]
    members = [audiences[parent] for parent in parents if parent in audiences]
    if len(members) > 1:
        raise ConfigError(
            f"a sync depends on one audience, this one on {', '.join(a.key for a in members)}",
            file=file,
            key=f"{where}.depends_on",
        )
    audience = members[0] if members else None
    model = audience.model if audience else next((models[p] for p in parents if p in models), None)
    if model is None:
        raise ConfigError(
            "a sync depends on the model it sends", file=file, key=f"{where}.depends_on"
        )
    sync = Sync(
        key=checked_name(options.key or exposure["name"], "sync", file=file),
        description=exposure["description"],
        owner=str(exposure["owner"].get("name") or exposure["owner"].get("email") or ""),
        file=file,
        options=options,
        model=model,
        audience=audience,
    )
    _check_shape(sync, where)
    return sync


def _check_not_misspelt(exposure: Mapping[str, Any]) -> None:
    """Refuse what looks like a sync under another key: it would never be sent, without a word."""
    where, config = f"exposures.{exposure['name']}.config", exposure["config"]
    meta = config.get("meta", {})
    wrong = [(f"{where}.meta", "sync")] if _is_sync(meta) else []
    wrong += [(f"{where}.meta.{k}", "sync") for k, v in meta.items() if k != "sync" and _is_sync(v)]
    for key, value in config.items():
        inner = value.get("sync") if isinstance(value, Mapping) else None
        if key != "meta" and (_is_sync(value) or _is_sync(inner)):
            wrong.append((f"{where}.{key}", "meta"))
    for key, accepted in wrong:
        raise ConfigError(
            "this looks like a sync, which has to be under config.meta.sync",
            file=exposure["original_file_path"],
            key=key,
            accepted=[accepted],
        )


def _is_sync(value: object) -> bool:
    return isinstance(value, Mapping) and {"destination", "sends"} <= set(value)


def _check_shape(sync: Sync, where: str) -> None:
    """Refuse combinations of keys that cannot mean anything."""
    options = sync.options
    problem: tuple[str, str, tuple[str, ...]] | None = None
    if options.sends == "membership" and sync.audience is None:
        problem = ("depends_on", "sends: membership needs an audience to depend on", ())
    elif options.sends == "membership" and options.as_ is None:
        problem = ("as", "sends: membership needs `as:`", ("identify", "track"))
    elif options.sends != "membership" and options.as_ is not None:
        problem = ("as", "`as:` is for sends: membership", ())
    elif options.send_updates and options.as_ != "identify":
        problem = ("send_updates", "a column changes at a profile: for `as: identify` only", ())
    elif options.on_rekey is not None and options.as_ != "track":
        problem = ("on_rekey", "a changed address is an event for `as: track` only", ())
    elif options.on_gone != "leave" and options.sends != "traits":
        problem = ("on_gone", "is for sends: traits; a member who is gone has left", ())
    elif options.emails != "primary" and options.sends == "events":
        problem = ("emails", "an event belongs to one profile, that of the primary e-mail", ())
    elif options.sends == "traits" and not options.fields:
        problem = ("fields", "sends: traits needs `fields:` (destination field: column)", ())
    elif options.sends == "events" and not options.events:
        problem = ("events", "sends: events needs `events:`, the names to send", ())
    elif options.sends == "events" and options.fields:
        problem = ("fields", "sends: events sends each event's own properties", ())
    elif not all(options.fields):
        problem = ("fields", "a field at the destination needs a name", ())
    elif not options.max_age:
        problem = ("max_age", "has to be more than nothing", ())
    if problem:
        key, message, accepted = problem
        raise ConfigError(message, file=sync.file, key=f"{where}.{key}", accepted=accepted)


def _check_columns(sync: Sync, traits: Model) -> None:
    """Refuse what the models' own documentation speaks against, before anything is built."""
    members = sync.model if sync.audience else None
    documented = traits.columns and (members is None or members.columns)
    known = {**traits.contract, **(members.contract if members else {})} if documented else None
    try:
        check_consent(sync.options.consent, traits.contract)
        check_mapping(sync.options, sync.audience.key if sync.audience else None, known)
    except ConfigError as error:
        wrong = within(error, f"exposures.{sync.key}.config.meta.sync")
        raise ConfigError(
            wrong.message, file=sync.file, key=wrong.key, accepted=wrong.accepted
        ) from None


def _as_config_error(error: ValidationError, file: str, where: str) -> ConfigError:
    first = error.errors(include_url=False)[0]
    key = ".".join([where, *(str(part) for part in first["loc"])])
    accepted: tuple[str, ...] = ()
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        model = MappedField if first["loc"][0] == "fields" else SyncOptions
        accepted = tuple(f.alias or name for name, f in model.model_fields.items())
        message = "unknown key"
    elif first["type"] == "literal_error":
        accepted = tuple(re.findall(r"'([^']*)'", first["ctx"]["expected"]))
        message = "unknown value"
    elif first["type"] == "tuple_type":
        message, accepted = "needs a list", ("[one]", "[one, another]")
    elif first["type"] in ("dict_type", "model_type", "model_attributes_type"):
        message = "needs a mapping"
        options = tuple(f.alias or name for name, f in SyncOptions.model_fields.items())
        accepted = ("{name at the destination: column}",) if first["loc"] else options
    return ConfigError(message, file=file, key=key, accepted=accepted)


def _same_key(syncs: list[Sync]) -> tuple[Sync, Sync]:
    first: dict[str, Sync] = {}
    return next((first[s.key], s) for s in syncs if first.setdefault(s.key, s) is not s)


def _in_order(syncs: list[Sync]) -> tuple[Sync, ...]:
    """Order syncs so that each comes after those it names in `after:`."""
    by_key = {sync.key: sync for sync in sorted(syncs, key=lambda sync: sync.key)}
    if len(by_key) < len(syncs):
        first, second = _same_key(syncs)
        raise ConfigError(
            f"two syncs have the key {second.key}: in {first.file} and in {second.file}",
            file=second.file,
            key="config.meta.sync.key",
        )
    done: dict[str, Sync] = {}

    def place(sync: Sync, path: tuple[str, ...]) -> None:
        for key in sync.options.after:
            if key not in by_key:
                raise ConfigError(
                    f"`after:` of {sync.key} names no sync: {key}",
                    file=sync.file,
                    key=f"exposures.{sync.key}.config.meta.sync.after",
                    accepted=sorted(by_key),
                )
            if key in path:
                raise ConfigError(
                    f"`after:` goes in a circle: {' -> '.join((*path, key))}",
                    file=sync.file,
                    key=f"exposures.{sync.key}.config.meta.sync.after",
                )
            if key not in done:
                place(by_key[key], (*path, key))
        done.setdefault(sync.key, sync)

    for sync in by_key.values():
        place(sync, (sync.key,))
    return tuple(done.values())
