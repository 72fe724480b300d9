-- How many events of a kind happened in an hour. Several rows stand for one hour, one for each
-- shard: writers that commit at the same time use different shards and never wait for each other.
-- Readers add them up. Reports by tenant and time use the index, those of a campaign the key.
create table rollups (
    tenant_id integer not null,
    -- Empty for sends without a campaign.
    campaign text collate "C" not null,
    hour timestamptz not null,
    kind smallint not null,
    shard smallint not null,
    events_count bigint not null default 0,
    -- Opens and clicks: sends whose first one happened in this hour.
    firsts_count bigint not null default 0,
    -- How much of both belonged to contacts that were erased since: their events are gone, what
    -- was counted stays.
    erased_events_count bigint not null default 0,
    erased_firsts_count bigint not null default 0,
    primary key (tenant_id, campaign, hour, kind, shard)
) with (fillfactor = 70);

create index rollups_by_hour on rollups (tenant_id, hour);

-- Clicks of a campaign on one link, by day (UTC).
create table link_rollups (
    tenant_id integer not null,
    campaign text collate "C" not null,
    day date not null,
    link_index bigint not null,
    -- SHA-256 of the URL: a key of fixed size.
    url_digest bytea not null check (length(url_digest) = 32),
    shard smallint not null,
    url text not null,
    clicks_count bigint not null default 0,
    erased_clicks_count bigint not null default 0,
    primary key (tenant_id, campaign, link_index, url_digest, day, shard)
) with (fillfactor = 70);

-- What must not come back: HMAC-SHA256 of a contact's id under the tenant's erasure key.
create table erased_contacts (
    tenant_id integer not null,
    contact_hash bytea not null check (length(contact_hash) = 32),
    erased_at timestamptz not null,
    primary key (tenant_id, contact_hash)
);

-- Random, made with the first erasure.
alter table tenants add column erasure_key bytea check (length(erasure_key) = 32);

-- Events and sends before this moment have been removed; counters of contacts still hold them.
alter table tenants add column kept_since timestamptz;

-- Who did what to personal data and settings. It holds no personal data itself: a contact stands
-- here as the hash above.
create table audit (
    tenant_id integer not null,
    -- A UUID of version 7: its time is when it happened.
    id uuid not null,
    -- The id of the API key, or "operator".
    actor text not null,
    action text not null,
    subject text,
    detail jsonb,
    primary key (tenant_id, id)
);
