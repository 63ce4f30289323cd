{#- Whether a raw row is known at the as-of; `visibility` decides by which of its two times. -#}
{%- macro visible(occurred_at='occurred_at', received_at='received_at') -%}
    {{ known_at(occurred_at, received_at) }} <= {{ as_of() }}
{%- endmacro -%}
