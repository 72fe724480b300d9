-- Where a tenant wants its events sent.
create table webhook_endpoints (
    tenant_id integer not null,
    id uuid not null,
    url text not null,
    description text,
    -- Event types as events.kind holds them. Null: all.
    kinds smallint[],
    -- Verdicts of opens and clicks as events.verdict holds them. Null: all, and those without one.
    verdicts smallint[],
    batch_size integer not null check (batch_size between 1 and 500),
    created_at timestamptz not null,
    -- What requests are signed with; it has to be known to sign, so it is not hashed.
    secret bytea not null,
    -- Signs beside the new one until then.
    previous_secret bytea,
    previous_secret_until timestamptz,
    paused_at timestamptz,
    paused_by text collate "C" check (paused_by in ('tenant', 'service')),
    pause_reason text,
    -- Attempts that failed since one was accepted.
    failures integer not null default 0,
    failing_since timestamptz,
    last_accepted_at timestamptz,
    last_failed_at timestamptz,
    last_error text,
    primary key (tenant_id, id)
) with (fillfactor = 70);

-- Events that were stored and are on no delivery yet: ids of one kind by the hundred, written in the
-- transaction of the events and taken out within seconds. What an event says is read from events
-- when it is sent.
create table webhook_outbox (
    tenant_id integer not null,
    id uuid not null,
    kind smallint not null,
    event_ids uuid[] not null,
    primary key (tenant_id, id)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 100000);

-- One request to one endpoint, with all its attempts: what is to be done, and the log of it.
create table webhook_deliveries (
    tenant_id integer not null,
    endpoint_id uuid not null,
    -- A UUID of version 7: its time is when the delivery was made.
    id uuid not null,
    status text collate "C" not null check (status in ('pending', 'delivered', 'dead')),
    -- Empty once it is delivered.
    event_ids uuid[] not null,
    events_count integer not null,
    attempts integer not null default 0,
    first_attempt_at timestamptz,
    -- While an attempt is under way: when it counts as lost.
    next_attempt_at timestamptz not null,
    last_attempt_at timestamptz,
    last_duration_millis integer,
    -- Of the HTTP answer, if there was one.
    last_status smallint,
    last_error text,
    delivered_at timestamptz,
    primary key (tenant_id, endpoint_id, id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index webhook_deliveries_due on webhook_deliveries (tenant_id, endpoint_id, next_attempt_at)
    where status = 'pending';
