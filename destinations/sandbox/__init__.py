"""A messaging endpoint to run on a laptop: it speaks Iterable's wire format over real HTTP.

What it is: users/update, users/bulkUpdate, events/track, events/trackBulk and the reading calls
beside them, with the key check, the size, count and rate limits, the identity rules, the locking
of field types and the answers to partial failures that the Iterable API reference documents.
Everything it received can be read from one SQLite file, so a rehearsal can be compared with the
warehouse.

What it is not: a simulator of Iterable. It applies every call at once, in order, where Iterable
has asynchronous pipelines with latencies of their own; it runs no campaigns, journeys, lists,
subscriptions or catalogues; it locks only top-level fields, and refuses a whole number in a
`double` field where Iterable may convert it; it has one project and no project-wide field limit.

Sources disagree whether an event of an unknown user creates that user: `track_creates_users` is a
switch, and a sync should work both ways.
"""

from __future__ import annotations

from destinations.sandbox.app import create_app
from destinations.sandbox.server import running, serve
from destinations.sandbox.settings import LOST, SandboxSettings
from destinations.sandbox.views import calls, profile

__all__ = ["LOST", "SandboxSettings", "calls", "create_app", "profile", "running", "serve"]
