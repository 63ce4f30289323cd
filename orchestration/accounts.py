"""destinations.yml: the accounts that syncs send to; secrets come from the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from destinations import CONNECTORS, connector
from destinations.base import Destination, Secret
from destinations.errors import ConfigError
from destinations.scrub import register
from orchestration.rate_limits import RateLimits, limited, read_rate_limits
from orchestration.sql.names import checked_name
from orchestration.yaml_lines import repeated_keys

OUR_KEYS = ("type", "max_daily_changes", "share", "limits")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What is in a variable of such a name is a secret, whatever key of a file reads it.
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*\Z")
_DBT_FILTERS = ("as_text", "as_native", "as_bool", "as_number")  # that a profile of dbt may use
# What the expression of somebody else may raise while it is evaluated, ConfigError apart.
_EXPRESSION_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Account:
    """One entry of destinations.yml, not yet rendered: secrets are read when they are needed."""

    name: str
    type: str
    settings: Mapping[str, object]
    file: Path
    daily: int | float | None = None
    """`max_daily_changes`: membership changes a day, a number or a share of those told."""

    limits: RateLimits = field(default_factory=RateLimits)


def read_accounts(project_dir: Path) -> dict[str, Account]:
    """Read destinations.yml.

    Raises:
        ConfigError: the file is missing or its shape is wrong.
    """
    path = project_dir / "destinations.yml"
    if not path.exists():
        raise ConfigError("the project has no destinations.yml", file=str(path))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"this is not YAML{line}", file=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("this is not UTF-8", file=str(path)) from None
    if not isinstance(content, dict) or not isinstance(content.get("destinations"), dict):
        raise ConfigError(
            "needs a mapping `destinations:` of name to settings",
            file=str(path),
            key="destinations",
        )
    extra = sorted(set(content) - {"destinations"})
    if extra:
        raise ConfigError(
            "unknown key", file=str(path), key=str(extra[0]), accepted=["destinations"]
        )
    for key, place in repeated_keys(path):
        raise ConfigError(
            "this key is given twice; one of them would not be used",
            file=str(path),
            key=key,
            line=place,
        )
    return {
        str(name): _account(str(name), entry, path)
        for name, entry in content["destinations"].items()
    }


def _account(name: str, entry: object, path: Path) -> Account:
    # The name is part of a file name in the state directory.
    where = f"destinations.{checked_name(name, 'destination', file=str(path))}"
    if not isinstance(entry, dict):
        raise ConfigError("needs a mapping of settings", file=str(path), key=where)
    kind = entry.get("type")
    if kind not in CONNECTORS:
        raise ConfigError(
            f"unknown type {kind!r}", file=str(path), key=f"{where}.type", accepted=CONNECTORS
        )
    settings = {str(key): value for key, value in entry.items() if key not in OUR_KEYS}
    hints = get_type_hints(connector(kind).settings)
    for key in settings:
        if key not in hints:
            raise ConfigError(
                "unknown key", file=str(path), key=f"{where}.{key}", accepted=[*OUR_KEYS, *hints]
            )
        if hints[key] is Secret and _is_written_out(settings[key]):
            raise ConfigError(
                "is a secret, and would be in every copy of this file: put it into the "
                "environment, and make a new one if this file has been shared",
                file=str(path),
                key=f"{where}.{key}",
                accepted=["{{ env_var('NAME') }}"],
            )
    daily = _daily(entry.get("max_daily_changes"), path, f"{where}.max_daily_changes")
    limits = read_rate_limits(entry, str(path), where)
    return Account(name, kind, settings, path, daily, limits)


def _is_written_out(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "{{" not in value


def _daily(value: object, path: Path, where: str) -> int | float | None:
    if value is None:
        return None
    share = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%", value) if isinstance(value, str) else None
    if share:
        return float(share[1]) / 100
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ConfigError(
        "must be a number of changes a day, or a share of the profiles that are in",
        file=str(path),
        key=where,
        accepted=["5000", "30%"],
    )


def open_account(
    account: Account, environment: Mapping[str, str], *, secrets: bool = True
) -> Destination:
    """Make the connector of an account.

    Args:
        account: the entry of destinations.yml.
        environment: where `env_var()` looks.
        secrets: whether a secret must be there; a plan needs none.

    Raises:
        ConfigError: a variable is missing, or a value is not one of those accepted.
    """
    made = connector(account.type)
    hints = get_type_hints(made.settings)
    values: dict[str, Any] = {}
    for item in fields(made.settings):
        where = f"destinations.{account.name}.{item.name}"
        if item.name in account.settings:
            given = account.settings[item.name]
            if isinstance(given, str) and given != given.strip():  # Jinja would drop a line feed
                msg = "begins or ends with white space"
                raise ConfigError(msg, file=str(account.file), key=where)
            need = secrets or hints[item.name] is not Secret
            raw = rendered(given, environment, account.file, where, need=need)
            if need and raw == "" and hints[item.name] in (Secret, str):
                raise ConfigError("is empty", file=str(account.file), key=where)
            values[item.name] = _typed(raw, hints[item.name], account.file, where)
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ConfigError("this key is missing", file=str(account.file), key=where)
    destination = made.create(made.settings(**values))
    destination.endpoints = limited(
        destination.endpoints, account.limits, str(account.file), f"destinations.{account.name}"
    )
    _check_url(destination.base_url, account)
    return destination


def rendered(
    value: object, environment: Mapping[str, str], file: Path, where: str, *, need: bool
) -> object:
    """Render `env_var()` in a value of a YAML file.

    Args:
        value: anything; only strings are rendered.
        environment: where `env_var()` looks.
        file: named in errors.
        where: the key, named in errors.
        need: whether a variable without a value is an error.

    Raises:
        ConfigError: a variable is missing, empty or padded, or the expression is not one.
    """
    if not isinstance(value, str):
        return value

    def env_var(name: str, default: str | None = None) -> str:
        found = environment.get(name, default)
        if found and _SECRET.search(name):
            register(found.strip())
        if found is not None and found != found.strip():
            problem = "begins or ends with white space"
        elif found or not need:
            return found or ""
        else:
            problem = "is not set" if found is None else "is empty"
        raise ConfigError(f"environment variable {name} {problem}", file=str(file), key=where)

    jinja = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    jinja.filters |= dict.fromkeys(_DBT_FILTERS, str)
    try:
        return jinja.from_string(value).render(env_var=env_var)
    except (TemplateError, *_EXPRESSION_ERRORS) as error:
        why = error.message if isinstance(error, TemplateError) else type(error).__name__
        raise ConfigError(
            f"cannot be rendered: {why}",
            file=str(file),
            key=where,
            accepted=["{{ env_var('NAME') }}", "{{ env_var('NAME', 'default') }}"],
        ) from None


def _typed(value: object, hint: Any, file: Path, where: str) -> object:
    if get_origin(hint) is UnionType or type(None) in get_args(hint):
        if value in (None, ""):
            return None
        hint = next(part for part in get_args(hint) if part is not type(None))
    if hint is Secret and isinstance(value, str):
        if not value.isascii() or not value.isprintable() or " " in value:
            msg = "holds characters that cannot be in a header; was it pasted whole?"
            raise ConfigError(msg, file=str(file), key=where, accepted=["printable ASCII"])
        return Secret(value)
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        raise ConfigError(
            f"unknown value {value!r}", file=str(file), key=where, accepted=get_args(hint)
        )
    if hint is bool and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if hint in (int, float) and re.fullmatch(r"\d+(\.\d+)?", str(value)):
        return hint(str(value))
    if hint is str and isinstance(value, str):
        return value
    names = ["true", "false"] if hint is bool else [getattr(hint, "__name__", str(hint))]
    raise ConfigError("has the wrong type", file=str(file), key=where, accepted=names)


def _check_url(url: str, account: Account) -> None:
    if not _fit_to_send_to(url):
        raise ConfigError(
            "must be an https address without user, query or fragment, of a host's name or of a "
            "public IP address (http is accepted for 127.0.0.1 only)",
            file=str(account.file),
            key=f"destinations.{account.name}.base_url",
        )


def _fit_to_send_to(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or set(url) & set(" @?#\\"):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        return False
    if not host or port == 0 or parts.scheme not in ("http", "https"):
        return False
    return host in LOOPBACK or (parts.scheme == "https" and _is_public(host))


def _is_public(host: str) -> bool:
    """Tell whether a host is a name, or an address of the internet in its usual notation.

    What ends in a number is an address to whoever connects, in octal or hexadecimal too.
    """
    try:
        address = ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        numeric = last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last)
        return not numeric and len(host) <= 253 and _HOST.match(host) is not None
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_global and not address.is_multicast and mapped is None


def check_rehearsal(
    accounts: Iterable[Account], environment: Mapping[str, str], sandbox: str
) -> None:
    """Refuse a rehearsal that would leave for an account with an address of its own.

    Args:
        accounts: those that the syncs send to.
        environment: where `env_var()` looks; it points at the sandbox by now.
        sandbox: its address.

    Raises:
        ConfigError: an account does not go to the sandbox; names its key.
    """
    for account in accounts:
        base_url = open_account(account, environment, secrets=False).base_url
        if base_url != sandbox.rstrip("/"):
            raise ConfigError(
                f"a rehearsal would go to {urlsplit(base_url).netloc}, not to the sandbox: this "
                "account does not take its address from ITERABLE_BASE_URL. Nothing was sent",
                file=str(account.file),
                key=f"destinations.{account.name}.base_url",
                accepted=[f"{{{{ env_var('ITERABLE_BASE_URL', '{base_url}') }}}}"],
            )


def endpoint_name(destination: Destination) -> str:
    """Return what tells one account's host from another's; ports of this machine do not."""
    host = urlsplit(destination.base_url).hostname or ""
    return "loopback" if host in LOOPBACK else host
