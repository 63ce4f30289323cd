"""What every verb needs: the project, the way into the warehouse, the accounts, the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from destinations.base import Destination
from destinations.clock import Clock
from destinations.delivery.steps import Ending
from destinations.delivery.transport import HttpTransport, Transport
from destinations.errors import ConfigError
from orchestration.accounts import Account, open_account
from orchestration.dbt import DbtPaths
from orchestration.plan_guard import Limits
from orchestration.progress import Quiet, Watch
from orchestration.project import Project, Sync
from orchestration.warehouse import Connect

USER_AGENT = "tailrace/0.1"


def http(destination: Destination) -> Transport:
    """Open HTTP to an account."""
    return HttpTransport(destination.base_url, destination.auth, USER_AGENT)


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a verb is handed; tests hand in their own clock, randomness and transport."""

    dbt: DbtPaths
    project: Project
    connect: Connect
    accounts: Mapping[str, Account]
    environment: Mapping[str, str]
    state_dir: Path
    clock: Clock
    random: Random
    transport: Callable[[Destination], Transport] = http
    watch: Watch = field(default_factory=Quiet)
    new_journal: bool = False
    ending: Ending = field(default_factory=Ending)

    def plan_limits(self, sync: Sync) -> Limits:
        """Return how much a plan of this sync may do by itself."""
        account = self.accounts[sync.options.destination]
        return Limits() if account.daily is None else Limits(daily_changes=account.daily)

    def destination(self, sync: Sync, *, secrets: bool = True) -> Destination:
        """Return the connector of a sync's account.

        Raises:
            ConfigError: the sync names no account, or its settings are wrong or incomplete.
        """
        name = sync.options.destination
        if name not in self.accounts:
            raise ConfigError(
                f"destinations.yml has no destination {name!r}",
                file=sync.file,
                key=f"exposures.{sync.key}.config.meta.sync.destination",
                accepted=sorted(self.accounts),
            )
        return open_account(self.accounts[name], self.environment, secrets=secrets)
