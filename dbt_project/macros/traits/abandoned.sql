{#- Aggregate: when the latest of `first` was abandoned, null if it was not: `hours` after it, if none of `then`
    came at its instant or later. It counts from that instant on, not before. Only the latest counts: who adds once
    more has not abandoned anything until that is abandoned as well, and a late `then` ends it. -#}
{%- macro abandoned(first, then, hours) -%}
    {{ abandoned_at(event_last_at(first), event_last_at(then), hours) }}
{%- endmacro -%}
