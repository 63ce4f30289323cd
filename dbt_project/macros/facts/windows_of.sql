{#- What compiled SQL asks of occurred_at and the as-of, as conditions: the lookbacks by days and calendar days of the
    trait macros. An error if it asks for the as-of in any other way. Goes by the name, see check_occurred_at(). -#}
{%- macro windows_of(sql) -%}
    {%- set sql = modules.re.sub('\\s+', ' ', sql) -%}
    {%- set now = modules.re.escape(as_of()) -%}
    {%- set day, today = local_date('occurred_at'), local_date(as_of()) -%}
    {#- the column itself, and nothing that is reckoned on: `occurred_at <= now - interval ...` is another window -#}
    {%- set before = '(?<![\\w."+*/-])(?<![+*/-] )(?:(?:\\w+|"[^"]+")\\.)*' -%}
    {%- set after = '(?!\\s*(?:[^\\s\\w(),;]|(?i:at)\\b))' -%}
    {%- set days = before ~ 'occurred_at > ' ~ now ~ " - interval '([0-9]+) days'" ~ after -%}
    {%- set calendar_days = before ~ modules.re.escape(day ~ ' > ' ~ today) ~ ' - ([0-9]+)(?![0-9_])' ~ after -%}
    {%- set known = [days, calendar_days, before ~ 'occurred_at <= ' ~ now ~ after] | join('|') -%}
    {%- set rest = modules.re.sub(known, '', sql) -%}
    {%- if as_of() in rest -%}
        {%- do exceptions.raise_compiler_error(
            "facts that are kept may ask for the as-of by lookback only (days, calendar_days), so that it is known when"
            ~ " they change; found: ..." ~ rest.split(as_of())[0][-60:] ~ as_of()
            ~ ". What needs more is for a model that reads user_facts, such as user_traits"
        ) -%}
    {%- endif -%}
    {%- set windows = ['occurred_at <= ' ~ as_of()] -%}
    {%- for length in modules.re.findall(days, sql) | unique | sort -%}
        {%- do windows.append('occurred_at > ' ~ as_of() ~ " - interval '" ~ length ~ " days'") -%}
    {%- endfor -%}
    {#- the day of an old event is not looked for: in most zones that takes long -#}
    {%- for length in modules.re.findall(calendar_days, sql) | unique | sort -%}
        {%- do windows.append(
            'case when occurred_at > ' ~ as_of() ~ " - interval '" ~ (length | int + 2) ~ " days'"
            ~ ' then ' ~ day ~ ' > ' ~ today ~ ' - ' ~ length ~ ' else false end'
        ) -%}
    {%- endfor -%}
    {{- return(windows) -}}
{%- endmacro -%}
