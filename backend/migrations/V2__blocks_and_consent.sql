-- What the edge refuses to serve. Tenant 0 is no tenant: its rows are hosts that are blocked for all.
create table blocks (
    tenant_id integer not null check (tenant_id >= 0),
    kind text collate "C" not null check (kind in ('tenant', 'send', 'host')),
    -- Empty for the tenant itself. Compared as bytes, so that every replica sorts alike.
    value text collate "C" not null,
    -- What the operator blocked, the tenant cannot unblock.
    set_by text collate "C" not null check (set_by in ('tenant', 'operator')),
    reason text,
    created_at timestamptz not null,
    primary key (tenant_id, kind, value, set_by)
);

-- Null: never asked, which counts as yes until the contact says no.
alter table contacts add column tracking_consent boolean;

-- Ingest looks every contact up in it. It holds only those who said no, and counting does not
-- touch it.
create index contacts_without_consent on contacts (tenant_id, id) where tracking_consent = false;
