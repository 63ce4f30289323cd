{#- The share happened / cases, drawn towards an expected share as if 20 further cases had shown just
    that (double): few cases move it little, many decide it, none leave it as expected. Counts are
    whole numbers from 0 on; null in any argument gives null. -#}
{%- macro shrunk_rate(happened, cases, expected) -%}
    ({{ happened }} + cast(20 as double) * {{ expected }}) / ({{ cases }} + cast(20 as double))
{%- endmacro -%}
