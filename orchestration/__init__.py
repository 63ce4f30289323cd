"""Warehouse work and scheduling: what to send, to whom, since when, and what became of it."""
