{#- The names as a list: of one name, of a list of names, or of none. -#}
{%- macro named_events(event) -%}
    {{- return([] if event is none else [event] if event is string else event) -}}
{%- endmacro -%}
