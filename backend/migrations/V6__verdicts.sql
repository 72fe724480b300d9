-- Who made an open or click: 1 a person, 2 a machine, 3 unsure; and the rules that applied, as bits.
-- Null: not judged, as on events of other kinds, and on those of a version that did not judge.
alter table events add column verdict smallint;
alter table events add column reasons integer;

-- Counters by verdict. What is neither human nor machine is suspect, or was not judged.
alter table contacts add column emails_human_opened_count bigint not null default 0;
alter table contacts add column emails_human_clicked_count bigint not null default 0;
alter table contacts add column emails_machine_opened_count bigint not null default 0;
alter table contacts add column emails_machine_clicked_count bigint not null default 0;
alter table contacts add column last_email_human_opened_at timestamptz;
alter table contacts add column last_email_human_clicked_at timestamptz;

alter table sends add column human_opened_at timestamptz;
alter table sends add column human_clicked_at timestamptz;
alter table sends add column human_opens_count bigint not null default 0;
alter table sends add column human_clicks_count bigint not null default 0;
alter table sends add column machine_opens_count bigint not null default 0;
alter table sends add column machine_clicks_count bigint not null default 0;

alter table rollups add column human_events_count bigint not null default 0;
alter table rollups add column machine_events_count bigint not null default 0;
-- Sends whose first event by a person happened in this hour.
alter table rollups add column human_firsts_count bigint not null default 0;
alter table rollups add column erased_human_events_count bigint not null default 0;
alter table rollups add column erased_machine_events_count bigint not null default 0;
alter table rollups add column erased_human_firsts_count bigint not null default 0;

alter table link_rollups add column human_clicks_count bigint not null default 0;
alter table link_rollups add column machine_clicks_count bigint not null default 0;
alter table link_rollups add column erased_human_clicks_count bigint not null default 0;
alter table link_rollups add column erased_machine_clicks_count bigint not null default 0;

-- Sends with events that have yet to be judged by their neighbours. Written with the events, and
-- emptied within a minute.
create table unsettled (
    tenant_id integer not null,
    send_id text collate "C" not null,
    contact_id uuid not null,
    primary key (tenant_id, send_id)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);

-- Clicks from one address, for whoever they are.
create index events_clicks_of_address on events (tenant_id, ip, id)
    where kind = 2 and ip is not null;

-- Where a tenant draws the lines of verdicts. Null: where this version draws them.
alter table tenants add column too_soon_millis integer check (too_soon_millis between 0 and 600000);
alter table tenants add column burst_millis integer check (burst_millis between 0 and 60000);
alter table tenants add column sweep_millis integer check (sweep_millis between 0 and 600000);
alter table tenants add column many_recipients integer check (many_recipients between 2 and 1000);
alter table tenants add column many_recipients_millis integer
    check (many_recipients_millis between 0 and 3600000);
