{#- Per user the gaps between consecutive events of this name, or of these names (a list): how many (`as`_gaps), and
    their median in days of 24 hours (`as`_gap_median_days, double; of an even number the mean of the two in the
    middle; null without a gap), and when the latest happened (last_`as`_at). Events at the same instant are a gap
    of 0. A select over users who have such an event. -#}
{%- macro interval_stats(events, event, as) -%}
    {%- do given_argument('as', as, 'what the columns begin with') -%}
    select
        user_id,
        greatest(count(occurred_at) - 1, 0) as {{ as }}_gaps,
        {{ median_gap_seconds('occurred_at') }} / 86400 as {{ as }}_gap_median_days,
        max(occurred_at) as last_{{ as }}_at
    from {{ events }}
    where user_id is not null and {{ named_event(event) }}
    group by user_id
{%- endmacro -%}
