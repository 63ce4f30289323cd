"""Random tracking plans."""

from __future__ import annotations

from hypothesis import strategies as st

from orchestration.tracking_plan.asking import refused_pattern
from orchestration.tracking_plan.names import event_key
from orchestration.tracking_plan.rows import CONTROLS, TYPES, PlanRow, is_of

# No surrogates, which are no text, and no line breaks, which a cell may not hold.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
CELL = TEXT.filter(lambda text: not CONTROLS.search(text))
ODD = st.sampled_from(
    ['"', "'", ",", "|", "[", "\\", "null", "NULL", " ", "#", ";", "\ufeff", "\x85"]
)
NAME = st.lists(ODD | CELL, min_size=1, max_size=4).map("".join)
VALUES = st.lists(
    NAME
    | TEXT
    | st.integers()
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False),
    max_size=4,
).map(tuple)
PATTERN = (st.just("") | NAME).filter(lambda text: not text or refused_pattern(text) is None)


@st.composite
def plans(draw: st.DrawFn) -> list[PlanRow]:
    """Rows that a tracking plan may hold, in any order."""
    events = draw(st.lists(NAME.filter(event_key), max_size=4, unique_by=event_key))
    rows = []
    for event in events:
        rows.append(PlanRow(event, enforcement=draw(st.sampled_from(["", "block", "alert"]))))
        names = draw(st.lists(NAME.filter(str.strip), max_size=3, unique=True))
        for name in names:
            types = tuple(draw(st.lists(st.sampled_from(TYPES), max_size=3, unique=True)))
            values = draw(VALUES)
            if types and not any(is_of(value, types) for value in values):
                values = ()
            rows.append(PlanRow(event, name, types, draw(st.booleans()), values, draw(PATTERN)))
    return draw(st.permutations(rows))
