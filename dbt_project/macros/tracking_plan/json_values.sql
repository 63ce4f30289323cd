{#- What is asked of the values of a JSON object. All types are found out at once, in one reading of the object, and
    what needs a value comes behind a `case` that asks for its type, so that few rows are read a second time. -#}

{#- The types of the values of some top-level keys, as a list in the engine's words; null for a key that is not there. -#}
{%- macro json_kinds(column, keys) -%}
    {{- return(adapter.dispatch('json_kinds', 'tailrace')(column, keys)) -}}
{%- endmacro -%}

{%- macro duckdb__json_kinds(column, keys) -%}
    {%- set pointers = [] -%}
    {%- for key in keys -%}
        {%- do pointers.append(json_pointer(key)) -%}
    {%- endfor -%}
    json_type({{ column }}, cast([{{ pointers | join(', ') }}] as varchar[]))
{%- endmacro -%}

{#- Whether a value is there and of none of some types of JSON Schema; a date-time is a text as of RFC 3339, of which
    the zone may be missing, and a number without a fraction is an integer however it is written. -#}
{%- macro is_of_other_types(column, key, kind, types) -%}
    {{- return(adapter.dispatch('is_of_other_types', 'tailrace')(column, key, kind, types)) -}}
{%- endmacro -%}

{%- macro duckdb__is_of_other_types(column, key, kind, types) -%}
    {%- set kinds_of = {
        'string': ['VARCHAR'],
        'number': ['BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE'],
        'integer': ['BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT'],
        'boolean': ['BOOLEAN'],
        'array': ['ARRAY'],
        'object': ['OBJECT'],
        'date-time': [],
        'null': [],
    } -%}
    {%- set right = ["'NULL'"] -%}
    {%- for type in types -%}
        {%- if type not in kinds_of -%}
            {%- do exceptions.raise_compiler_error(
                "seeds/tracking_plan.csv: the type of " ~ key ~ " is '" ~ type ~ "'; accepted: "
                ~ (kinds_of | join(', '))
            ) -%}
        {%- endif -%}
        {%- for kind_of in kinds_of[type] -%} {%- do right.append(quoted(kind_of)) -%} {%- endfor -%}
    {%- endfor -%}
    {%- set text = 'json_extract_string(' ~ column ~ ', ' ~ json_pointer(key) ~ ')' -%}
    {%- set texts = [] -%}
    {%- if 'date-time' in types -%}
        {%- set begins = "regexp_matches(" ~ text ~ ", '^\\d{4}-\\d{2}-\\d{2}[Tt ]\\d{2}:\\d{2}')" -%}
        {%- do texts.append('(' ~ begins ~ ' and try_cast(' ~ text ~ ' as timestamptz) is not null)') -%}
    {%- endif -%}
    {%- for type in ('array', 'object') if type in types and is_flat_layout() -%}
        {%- do texts.append(
            "json_type(try_cast(" ~ text ~ " as json)) is not distinct from '" ~ type | upper ~ "'"
        ) -%}
    {%- endfor -%}
    case
        when {{ kind }} is null or {{ is_one_of(kind, right) }} then false
        {%- if texts and 'string' not in types %}
        when {{ kind }} = 'VARCHAR' then not ({{ texts | join(' or ') }})
        {%- endif %}
        {%- if 'integer' in types and 'number' not in types %}
        when {{ kind }} = 'DOUBLE' then cast({{ text }} as double) <> trunc(cast({{ text }} as double))
        {%- endif %}
        else true
    end
{%- endmacro -%}

{#- Whether a value is there and none of a list of texts, numbers, booleans and null; 1 and 1.0 are one number, 1 and
    "1" are not. -#}
{%- macro is_not_allowed(column, key, kind, values) -%}
    {{- return(adapter.dispatch('is_not_allowed', 'tailrace')(column, key, kind, values)) -}}
{%- endmacro -%}

{%- macro duckdb__is_not_allowed(column, key, kind, values) -%}
    {%- set text = 'json_extract_string(' ~ column ~ ', ' ~ json_pointer(key) ~ ')' -%}
    {%- set texts, numbers, booleans = [], [], [] -%}
    {%- for value in values -%}
        {%- if value is boolean -%}
            {%- do booleans.append("'true'" if value else "'false'") -%}
        {%- elif value is number -%}
            {%- do numbers.append('cast(' ~ quoted(value | string) ~ ' as double)') -%}
        {%- elif value is string -%}
            {%- do texts.append(quoted(value)) -%}
        {%- endif -%}
    {%- endfor -%}
    case
        when coalesce({{ kind }}, 'NULL') = 'NULL' then false
        {%- if texts %}
        when {{ kind }} = 'VARCHAR' then not {{ is_one_of(text, texts) }}
        {%- endif %}
        {%- if booleans %}
        when {{ kind }} = 'BOOLEAN' then not {{ is_one_of(text, booleans) }}
        {%- endif %}
        {%- if numbers %}
        when {{ is_one_of(kind, ["'BIGINT'", "'UBIGINT'", "'HUGEINT'", "'UHUGEINT'", "'DOUBLE'"]) }}
            then not {{ is_one_of('cast(' ~ text ~ ' as double)', numbers) }}
        {%- endif %}
        else true
    end
{%- endmacro -%}

{#- Whether a value is a text in which a regular expression is found nowhere; one of another type has no pattern. -#}
{%- macro breaks_pattern(column, key, kind, pattern) -%}
    {{- return(adapter.dispatch('breaks_pattern', 'tailrace')(column, key, kind, pattern)) -}}
{%- endmacro -%}

{%- macro duckdb__breaks_pattern(column, key, kind, pattern) -%}
    case
        when {{ kind }} = 'VARCHAR' then not regexp_matches(
            json_extract_string({{ column }}, {{ json_pointer(key) }}), {{ quoted(pattern) }}
        )
        else false
    end
{%- endmacro -%}

{#- What may be told of the value of the key that a column names: its type, and of a text up to 20 characters with an
    `a` for every letter and a `9` for every digit. -#}
{%- macro json_shape(column, key) -%}
    {{- return(adapter.dispatch('json_shape', 'tailrace')(column, key)) -}}
{%- endmacro -%}

{%- macro duckdb__json_shape(column, key) -%}
    {%- set pointer = "'/' || replace(replace(" ~ key ~ ", '~', '~0'), '/', '~1')" -%}
    case coalesce(json_type({{ column }}, {{ pointer }}), 'NULL')
        when 'NULL' then 'nothing'
        when 'VARCHAR' then 'string ' || regexp_replace(
            regexp_replace(
                left(json_extract_string({{ column }}, {{ pointer }}), 20), '[\pL\pM]', 'a', 'g'
            ),
            '\pN', '9', 'g'
        )
        when 'BOOLEAN' then 'boolean'
        when 'ARRAY' then 'array'
        when 'OBJECT' then 'object'
        else 'number'
    end
{%- endmacro -%}
