"""`share:` and `limits:` of an account: how much of the vendor's limit is ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from destinations.base import Destination, Kind, Window
from destinations.errors import ConfigError
from orchestration.accounts import open_account, read_accounts


def opened(directory: Path, **entry: Any) -> Destination:
    account = {
        "type": "iterable",
        "api_key": "{{ env_var('KEY') }}",
        "identifier": "email",
        **entry,
    }
    content = yaml.safe_dump({"destinations": {"mine": account}})
    (directory / "destinations.yml").write_text(content)
    return open_account(read_accounts(directory)["mine"], {"KEY": "k"})


def windows(directory: Path, kind: Kind = Kind.IDENTIFY, **entry: Any) -> tuple[Window, ...]:
    return opened(directory, **entry).endpoints[kind].windows


def test_without_either_the_limit_is_the_vendors(tmp_path: Path) -> None:
    assert windows(tmp_path) == (Window(5, 1.0),)


@pytest.mark.parametrize("share", ["50%", "50 %", 0.5])
def test_a_share_leaves_the_rest_to_others(tmp_path: Path, share: object) -> None:
    assert windows(tmp_path, share=share) == (Window(2.5, 1.0),)
    assert windows(tmp_path, Kind.TRACK, share=share) == (Window(5.0, 1.0),)


def test_a_limit_takes_the_place_of_the_vendors(tmp_path: Path) -> None:
    limits = {"identify": {"requests": 100, "seconds": 10}}
    made = opened(tmp_path, limits=limits)
    assert made.endpoints[Kind.IDENTIFY].windows == (Window(100, 10.0),)
    assert made.endpoints[Kind.TRACK].windows == (Window(10, 1.0),)
    usual = opened(tmp_path).endpoints[Kind.IDENTIFY]
    assert made.endpoints[Kind.IDENTIFY].max_rows == usual.max_rows


def test_a_limit_may_have_several_windows_and_a_share_is_of_each(tmp_path: Path) -> None:
    limits = {"track": [{"requests": 10, "seconds": 1}, {"requests": 5000, "seconds": 3600}]}
    found = windows(tmp_path, Kind.TRACK, limits=limits, share="20%")
    assert found == (Window(2.0, 1.0), Window(1000.0, 3600.0))


def test_accounts_of_one_type_do_not_share_their_limits(tmp_path: Path) -> None:
    opened(tmp_path, share="10%")
    assert windows(tmp_path) == (Window(5, 1.0),)


@pytest.mark.parametrize(
    ("entry", "key", "word"),
    [
        ({"share": 0}, "share", "50%"),
        ({"share": "0%"}, "share", "50%"),
        ({"share": 1.5}, "share", "50%"),
        ({"share": "150%"}, "share", "50%"),
        ({"share": True}, "share", "50%"),
        ({"share": "half"}, "share", "50%"),
        ({"share": [0.5]}, "share", "50%"),
        ({"limits": 5}, "limits", "identify"),
        ({"limits": {"profile": {"requests": 5, "seconds": 1}}}, "limits.profile", "identify"),
        ({"limits": {"subscribe": {"requests": 5, "seconds": 1}}}, "limits.subscribe", "track"),
        ({"limits": {"track": 5}}, "limits.track", "requests"),
        ({"limits": {"track": []}}, "limits.track", "requests"),
        ({"limits": {"track": {"requests": 5}}}, "limits.track", "seconds"),
        ({"limits": {"track": {"requests": 5, "per": 1}}}, "limits.track", "seconds"),
        ({"limits": {"track": {"requests": 0, "seconds": 1}}}, "limits.track.requests", "number"),
        ({"limits": {"track": {"requests": -1, "seconds": 1}}}, "limits.track.requests", "number"),
        ({"limits": {"track": {"requests": "5", "seconds": 1}}}, "limits.track.requests", "number"),
        ({"limits": {"track": {"requests": 5, "seconds": 0}}}, "limits.track.seconds", "number"),
        (
            {"limits": {"track": {"requests": 5, "seconds": float("nan")}}},
            "limits.track.seconds",
            "number",
        ),
    ],
)
def test_mistakes_name_file_key_and_what_would_do(
    tmp_path: Path, entry: dict[str, Any], key: str, word: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        opened(tmp_path, **entry)
    error = refused.value
    assert error.file == str(tmp_path / "destinations.yml")
    assert error.key == f"destinations.mine.{key}"
    assert word in " ".join((error.message, *error.accepted))
