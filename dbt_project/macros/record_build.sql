{#- Records a run or build in tailrace.builds: which relations were built, at which as-of, and how it
    went. Does nothing before the engine has made its tables, or without an as-of. -#}
{%- macro record_build(results) -%}
    {%- if execute and flags.WHICH in ('run', 'build') and as_of_text() is not none -%}
        {%- set table = adapter.get_relation(target.database, 'tailrace', 'builds') -%}
        {%- if table is not none -%}
            {%- set relations = [] -%}
            {%- set failed = [] -%}
            {%- for result in results -%}
                {%- if result.status | string in ('error', 'fail', 'runtime error', 'skipped') -%}
                    {%- do failed.append(result.node.name) -%}
                {%- endif -%}
                {%- if result.node.resource_type | string in ('model', 'seed', 'snapshot') -%}
                    {%- do relations.append({
                        'name': result.node.name,
                        'resource_type': result.node.resource_type | string,
                        'status': result.status | string,
                    }) -%}
                {%- endif -%}
            {%- endfor -%}
            {%- set now = modules.datetime.datetime.now(modules.pytz.utc) -%}
            insert into {{ table }}
                (build_id, as_of, started_at, finished_at, success, relations)
            values (
                {{ dbt.string_literal(dbt.escape_single_quotes(invocation_id)) }},
                timestamp '{{ as_of_text() }}',
                timestamp '{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}',
                timestamp '{{ now.strftime("%Y-%m-%d %H:%M:%S.%f") }}',
                {{ 'false' if failed else 'true' }},
                {{ dbt.string_literal(dbt.escape_single_quotes(tojson(relations))) }}
            );
            commit
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}
