"""The tracking plan: which events and properties are expected, as a CSV seed of the project."""
