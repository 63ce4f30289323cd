with tracks as (select * from {{ ref('stg_tracks') }}),

identity_map as (select * from {{ ref('identity_map') }})

select
    coalesce(tracks.message_id, tracks.row_id) as event_id,
    tracks.row_id,
    coalesce(tracks.user_id, identity_map.user_id) as user_id,
    tracks.anonymous_id,
    tracks.event,
    tracks.properties,
    tracks.occurred_at,
    tracks.received_at,
    identity_map.linked_at
from tracks
left join identity_map
    on
        tracks.anonymous_id = identity_map.anonymous_id
        and tracks.user_id is null
where
    tracks.row_id is not null
    and tracks.event is not null
    and tracks.occurred_at is not null
    and (tracks.user_id is not null or tracks.anonymous_id is not null)
