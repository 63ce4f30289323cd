"""What the manifest cannot tell: exposures or keys of one name, of which dbt keeps the last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from destinations.errors import ConfigError
from orchestration.yaml_lines import line_of, repeated_keys


def check_exposure_names(project_dir: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse two exposures of one name, or two keys: the first would vanish without a word.

    Raises:
        ConfigError: a name is given twice; names both files, or the line.
    """
    seen: dict[str, str] = {}
    files = {exposure["original_file_path"] for exposure in manifest["exposures"].values()}
    for file in sorted(files):
        for key, line in repeated_keys(project_dir / file):
            if key == "exposures" or key.startswith("exposures."):
                raise ConfigError(
                    "this key is given twice; one of them would not be used",
                    file=file,
                    key=key,
                    line=line,
                )
        content = yaml.safe_load((project_dir / file).read_text(encoding="utf-8")) or {}
        for exposure in content.get("exposures") or ():
            name = str(exposure.get("name"))
            if name in seen:
                both = file if seen[name] == file else f"{seen[name]} and {file}"
                raise ConfigError(
                    f"two exposures are called {name!r} ({both}); one of them would not be sent",
                    file=file,
                    key=f"exposures.{name}",
                    line=line_of(project_dir / file, f"exposures.{name}"),
                )
            seen[name] = file
