with events as (select * from {{ ref('events_as_of') }})

select
    user_id,
    min(occurred_at) as first_event_at,
    {{ event_last_at('Session Started') }} as last_session_at,
    {{ event_count('Session Started', days=30) }} as sessions_30d,
    {{ event_count('Session Started', days=90) }} as sessions_90d,
    {{ event_count('Session Started') }} as sessions_total,
    {{ event_count('Order Completed') }} as orders_total,
    {{ event_sum('Order Completed', 'total') }} as revenue_total,
    {{ event_last_at('Order Completed') }} as last_order_at,
    {{ event_count('Nudge Responded', days=90) }} as nudges_answered_90d,
    {{ ratio(
        "count(*) filter (where " ~ event_text('Nudge Responded', 'response', days=90) ~ " = 'clicked')",
        event_count('Nudge Responded', days=90)
    ) }} as nudge_click_rate,
    {{ event_last_at('Product Added') }} as last_added_at,
    {{ event_last_at('Onboarding Completed') }} as last_onboarded_at,
    {{ event_last_at('Report Generated') }} as last_report_at,
    {{ event_last_at('Dashboard Viewed') }} as last_dashboard_at,
    {{ event_last_at('Data Exported') }} as last_export_at
from events
where user_id is not null
group by user_id
