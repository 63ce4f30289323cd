{#- abandoned() of two instants, or null, instead of events: `hours` after `began`, once that long ago, if `ended` is
    null or before it. -#}
{%- macro abandoned_at(began, ended, hours) -%}
    {%- do whole_number('hours', hours) -%}
    case
        when
            {{ began }} + interval '{{ hours }} hours' <= {{ as_of() }}
            and coalesce({{ ended }} < {{ began }}, true)
            then {{ began }} + interval '{{ hours }} hours'
    end
{%- endmacro -%}
