{{ config(materialized='view') }}

{{ audience_exits('shallow_sessions') }}
