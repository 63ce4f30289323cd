"""Send the rows with drt-core: run by the Python that has it, and importing nothing of ours.

competitor.py SOURCE URL WAY; tells JSON. Its state, history and rate limit are off.
"""

import json
import re
import sys
import time
from pathlib import Path

from drt.config.models import RateLimitConfig, RestApiDestinationConfig, SyncConfig, SyncOptions
from drt.config.profiles import DuckDBProfile
from drt.destinations.rest_api import RestApiDestination
from drt.engine.sync import run_sync
from drt.sources.duckdb import DuckDBSource

FIELDS = {f"field_{n}": f"c{n}" for n in range(8)}
FLAT = ", ".join(f"{column} as {name}" for name, column in FIELDS.items())
NESTED = ", ".join(f"'{name}': {column}" for name, column in FIELDS.items())
ONE = ",".join(f'"{name}":{{{{ r.{name} | tojson_safe }}}}' for name in FIELDS)

# How a user may write the same body, from the usual to the quickest: (model, users of the body,
# rows of a batch). It opens a client for each batch, which takes 25 ms: ten requests share one.
WAYS = {
    # each field in the template
    "template": (
        f"select email, {FLAT} from user_traits",
        '[{% for r in rows %}{"email":{{ r.email | tojson_safe }},"mergeNestedObjects":false,'
        f'"dataFields":{{{ONE}}}}}{{{{ "," if not loop.last }}}}{{% endfor %}}]',
        1_000,
    ),
    # nested by SQL, one filter over all rows
    "struct": (
        f'select email, false as "mergeNestedObjects", {{{NESTED}}} as "dataFields" '
        "from user_traits",
        "{{ rows | tojson_safe }}",
        10_000,
    ),
    # rendered by SQL, as we do
    "json": (
        "select cast(to_json({'email': email, 'mergeNestedObjects': false, 'dataFields': "
        f"{{{NESTED}}}}}) as varchar) as body from user_traits",
        '[{{ rows | map(attribute="body") | join(",") }}]',
        10_000,
    ),
}


def main() -> None:
    source, url, way = sys.argv[1:]
    model, users, batch = WAYS[way]
    sync = SyncConfig(
        name="bench",
        model=model,
        destination=RestApiDestinationConfig(
            type="rest_api",
            url=f"{url}/api/users/bulkUpdate",
            headers={"Api-Key": "bench-key", "Content-Type": "application/json"},
            body_mode="batch",
            max_records_per_request=1_000,
            batch_template=f'{{"createNewFields":true,"users":{users}}}',
        ),
        sync=SyncOptions(batch_size=batch, rate_limit=RateLimitConfig(requests_per_second=0)),
    )
    profile = DuckDBProfile(type="duckdb", database=source)
    begun = time.monotonic()
    result = run_sync(sync, DuckDBSource(), RestApiDestination(), profile, Path(source).parent)
    seconds = time.monotonic() - begun
    assert not result.failed, result.row_errors[:1]
    peak = int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps({"seconds": seconds, "rows": result.success, "peak_mb": peak}))


if __name__ == "__main__":
    main()
