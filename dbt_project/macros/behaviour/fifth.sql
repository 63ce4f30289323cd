{#- Scores 1 to 5 of a user against the others, by fifths: 1 + the share of users with a smaller value, in fifths,
    rounded down. Equal values get equal scores, whatever their number. `column` null: no score. -#}
{%- macro fifth(column) -%}
    case
        when {{ column }} is not null
            then 1 + cast(floor(
                5.0 * (rank() over (order by {{ column }} nulls last) - 1) / count({{ column }}) over ()
            ) as bigint)
    end
{%- endmacro -%}
