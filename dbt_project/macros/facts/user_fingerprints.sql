{#- A select of (user_id, fingerprint): a number per user with an event that says of what a row of facts is made: of
    which events (by their content_hash), within which of the windows that `sql` looks back on, of which rows of
    `of_users`, by which SQL, and by which version of the engine. -#}
{%- macro user_fingerprints(sql, events, of_users) -%}
    {%- set made_by = local_md5(sql | replace(as_of(), 'as_of')) -%}
    select
        events.user_id,
        hash(
            '{{ made_by }}', version(), events.fingerprint
            {%- for name in of_users %}, {{ name }}.fingerprint{% endfor %}
        ) as fingerprint
    from (
        select
            user_id,
            sum(hash(
                content_hash, linked_at
                {%- for window in windows_of(sql) %}, {{ window }}{% endfor %}
            )) as fingerprint
        from {{ events }}
        where user_id is not null
        group by user_id
    ) as events
    {%- for name in of_users %}
    left join (
        select user_id, sum(hash(part)) as fingerprint
        from {{ ref(name) }} as part
        group by user_id
    ) as {{ name }} on events.user_id = {{ name }}.user_id
    {%- endfor %}
{%- endmacro -%}
