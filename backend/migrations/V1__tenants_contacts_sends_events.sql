-- Every primary key starts with the tenant: nothing is unique, numbered or referenced across
-- tenants, so the schema can be distributed by tenant as it stands.

create table tenants (
    id integer primary key check (id > 0),
    name text not null,
    created_at timestamptz not null,
    -- Where recipients reach the edge: scheme, host and port, and a path prefix or nothing.
    tracking_origin text not null,
    tracking_path_prefix text not null default '',
    tracking_enabled boolean not null default true,
    address_mode text not null default 'full' check (address_mode in ('full', 'truncated', 'none')),
    retention_days integer not null default 400 check (retention_days between 1 and 3650),
    -- Events on older mail are not recorded; its links work all the same. Null: no limit.
    recording_max_age_days integer check (recording_max_age_days between 1 and 3650)
);

create table api_keys (
    tenant_id integer not null,
    id uuid not null,
    name text not null,
    -- SHA-256 of the secret, which is 32 random bytes, so nothing slower is needed.
    secret_hash bytea not null check (length(secret_hash) = 32),
    scopes text[] not null,
    created_at timestamptz not null,
    revoked_at timestamptz,
    primary key (tenant_id, id)
);

-- No counter is indexed, and pages keep room, so that counting is a heap-only update.
create table contacts (
    tenant_id integer not null,
    id uuid not null,
    -- As it was given, and lower-cased for look-up; null for a placeholder made by an event.
    email text,
    email_key text,
    created_at timestamptz not null,
    emails_sent_count bigint not null default 0,
    emails_opened_count bigint not null default 0,
    emails_clicked_count bigint not null default 0,
    last_email_sent_at timestamptz,
    last_email_opened_at timestamptz,
    last_email_clicked_at timestamptz,
    unsubscribed_at timestamptz,
    suppressed_at timestamptz,
    primary key (tenant_id, id)
) with (fillfactor = 80);

create unique index contacts_email on contacts (tenant_id, email_key) where email_key is not null;

-- Ids are compared as bytes, so that the order of locks does not depend on the database's locale.
create table sends (
    tenant_id integer not null,
    id text collate "C" not null,
    contact_id uuid not null,
    campaign text,
    status text not null
        check (status in ('queued', 'sent', 'failed', 'delivered', 'bounced', 'complained')),
    -- The day of this moment is signed into the send's links.
    registered_at timestamptz not null,
    sent_at timestamptz,
    failed_at timestamptz,
    delivered_at timestamptz,
    bounced_at timestamptz,
    complained_at timestamptz,
    opened_at timestamptz,
    clicked_at timestamptz,
    unsubscribed_at timestamptz,
    opens_count bigint not null default 0,
    clicks_count bigint not null default 0,
    primary key (tenant_id, id)
) with (fillfactor = 80);

create index sends_of_contact on sends (tenant_id, contact_id);

-- An event's id is a UUID of version 7: its first 48 bits are the event's time in milliseconds, so
-- ordering and partitioning by id is ordering and partitioning by time, and no other column says
-- when. The same id again is the same event.
create table events (
    tenant_id integer not null,
    id uuid not null,
    kind smallint not null,
    contact_id uuid not null,
    send_id text collate "C" not null,
    link_index bigint,
    url text,
    ip inet,
    user_agent text,
    accept_language text,
    sec_purpose text,
    purpose text,
    x_purpose text,
    x_moz text,
    primary key (tenant_id, id)
) partition by range (id);

-- The one secondary index: a contact's events, and a send's through its contact.
create index events_of_contact on events (tenant_id, contact_id, id);
