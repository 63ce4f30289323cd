{#- Aggregate: when the latest of `first` was abandoned, null if it was not: `hours` after it, if none of `then`
    came at its instant or later. It counts from that instant on, not before. Only the latest counts: who adds once
    more has not abandoned anything until that is abandoned as well, and a late `then` ends it. -#}
{%- macro abandoned(first, then, hours) -%}
    {%- do whole_number('hours', hours) -%}
    {%- set began = event_last_at(first) -%}
    case
        when
            {{ began }} + interval '{{ hours }} hours' <= {{ as_of() }}
            and coalesce({{ event_last_at(then) }} < {{ began }}, true)
            then {{ began }} + interval '{{ hours }} hours'
    end
{%- endmacro -%}
