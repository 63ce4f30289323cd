{#- Events with the user they are of, and since when that is known (linked_at; null if the event itself said it): those
    with a user under the id that stands for all of theirs, those of a device alone under the user who was identified
    on it. Reads the CTEs user_merges and identity_map beside its two arguments. -#}
{%- macro identified(of_users, of_devices) -%}
    select
        {{ of_users }}.* replace (coalesce(user_merges.user_id, {{ of_users }}.user_id) as user_id),
        user_merges.merged_at as linked_at
    from {{ of_users }}
    left join user_merges on {{ of_users }}.user_id = user_merges.merged_user_id
    union all
    select
        {{ of_devices }}.* replace (identity_map.user_id as user_id),
        identity_map.linked_at
    from {{ of_devices }}
    left join identity_map on {{ of_devices }}.anonymous_id = identity_map.anonymous_id
{%- endmacro -%}
