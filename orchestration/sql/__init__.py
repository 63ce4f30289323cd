"""SQL text: names, literals and the one function per type that renders a value as JSON."""
