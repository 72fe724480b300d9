-- Clicks that are the only one of their send yet: all that their neighbours can still tell is whether
-- their address follows links for many. A row holds the ids of those that one transaction stored, so
-- noting them costs next to nothing; it bears the id of the first of them.
create table unsettled_clicks (
    tenant_id integer not null,
    id uuid not null,
    click_ids uuid[] not null,
    primary key (tenant_id, id)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
