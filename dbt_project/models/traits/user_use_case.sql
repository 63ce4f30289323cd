{{ config(materialized='ephemeral') }}

with events as (select * from {{ ref('events_as_of') }})

{{ most_frequent('events', 'Feature Used', 'feature_category', as='primary_use_case') }}
