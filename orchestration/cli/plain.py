"""A console that writes no secret and obeys no text: what is on it was put there by us."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from destinations.scrub import without_controls, without_secrets


class Plain(Console):
    """Rich's console; control characters in what it is given are written out."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield segments whose texts are safe to print."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                text = without_controls(without_secrets(segment.text))
                yield Segment(text, segment.style)
