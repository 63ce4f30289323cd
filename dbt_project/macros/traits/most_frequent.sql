{#- Per user the text that a property has most often. Of equals, tie='alphabet' takes the first in the alphabet
    (of bytes), tie='recent' the one used last, by moment(). A select of (user_id, `as`) over users who have any.
    Other arguments: see counted_event. -#}
{%- macro most_frequent(events, event, property, as='value', tie='alphabet') -%}
    {%- if tie not in ('alphabet', 'recent') -%}
        {%- do exceptions.raise_compiler_error("tie is '" ~ tie ~ "'; accepted: alphabet, recent") -%}
    {%- endif -%}
    select
        user_id,
        value as {{ as }}
    from (
        select
            user_id,
            value,
            row_number() over (
                partition by user_id
                order by uses desc, {{ 'latest desc' if tie == 'recent' else 'value' }}
            ) as place
        from (
            select
                user_id,
                {{ event_text(event, property, **kwargs) }} as value,
                {{ 'max(' ~ moment() ~ ') as latest,' if tie == 'recent' }}
                count(*) as uses
            from {{ events }}
            where user_id is not null and {{ named_event(event) }}
            group by 1, 2
        ) as counted
        where value is not null
    ) as placed
    where place = 1
{%- endmacro -%}
