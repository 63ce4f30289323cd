"""Desired versus known: what each destination should be told, and what it has been told."""
