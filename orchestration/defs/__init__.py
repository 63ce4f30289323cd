"""What Dagster shows and schedules; the work itself is in `orchestration`."""
