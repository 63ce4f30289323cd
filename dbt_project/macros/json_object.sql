{#- A JSON column made safe to read keys from: anything but an object becomes {}. -#}
{%- macro json_object(column) -%}
    {{- return(adapter.dispatch('json_object', 'tailrace')(column)) -}}
{%- endmacro -%}

{#- Nearly all begin with the brace: of those nothing more is read. The others may have blanks before it. -#}
{%- macro duckdb__json_object(column) -%}
    case
        when left(try_cast({{ column }} as json), 1) = '{' then try_cast({{ column }} as json)
        when json_type(try_cast({{ column }} as json)) = 'OBJECT' then try_cast({{ column }} as json)
        else cast('{}' as json)
    end
{%- endmacro -%}
