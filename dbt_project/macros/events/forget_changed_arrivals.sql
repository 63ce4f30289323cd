{#- Before an incremental build: takes out of the model's table every hour of arrival whose rows are no longer
    those of its source, so that the build reads these hours, and new ones, once more. It is noticed when rows
    come (however late), go, or are replaced under another key; not when a row changes under its own key. -#}
{%- macro forget_changed_arrivals(source) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where arrived_in in (
            with there as (
                {{ arrivals(ref(source), arrival_hour('received_at')) }}
            ),

            known as (
                {{ arrivals(this, 'arrived_in') }}
            )

            select known.arrived_in
            from known
            left join there on known.arrived_in = there.arrived_in
            where
                there.arrived_in is null
                or known.arrived_rows <> there.arrived_rows
                or known.fingerprint <> there.fingerprint
        )
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro -%}
