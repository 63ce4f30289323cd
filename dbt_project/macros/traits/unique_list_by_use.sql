{#- Per user the different texts of a property as a JSON array in the order of their first use, or, with
    order='last', the one used last first; with `cap` only the first so many. Uses at equal times stand in the order
    of moment(). A select of (user_id, `as`) over users who have any. Other arguments: see counted_event. -#}
{%- macro unique_list_by_use(events, event, property, as='value', order='first', cap=none) -%}
    {%- if order not in ('first', 'last') -%}
        {%- do exceptions.raise_compiler_error("order is '" ~ order ~ "'; accepted: first, last") -%}
    {%- endif -%}
    {%- if cap is not none -%} {%- do whole_number('cap', cap) -%} {%- endif -%}
    {%- set used = 'min(' ~ moment() ~ ')' if order == 'first' else 'max(' ~ moment() ~ ')' -%}
    select
        user_id,
        {{ json_list('value', 'place') }} as {{ as }}
    from (
        select
            user_id,
            value,
            row_number() over (partition by user_id order by used{{ ' desc' if order == 'last' }}) as place
        from (
            select
                user_id,
                {{ event_text(event, property, **kwargs) }} as value,
                {{ used }} as used
            from {{ events }}
            where user_id is not null and {{ named_event(event) }}
            group by 1, 2
        ) as uses
        where value is not null
    ) as placed
    {%- if cap is not none %}
    where place <= {{ cap }}
    {%- endif %}
    group by user_id
{%- endmacro -%}
