{#- One aggregate as a share of another (double); null if the second is 0 or null. -#}
{%- macro ratio(numerator, denominator) -%}
    (cast({{ numerator }} as double) / nullif({{ denominator }}, 0))
{%- endmacro -%}
