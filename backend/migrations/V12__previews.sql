-- The mail of a campaign as all its recipients share it, for those whose batch asked to keep it; the
-- next one takes its place.
create table previews (
    tenant_id integer not null,
    campaign text collate "C" not null,
    kept_at timestamptz not null,
    -- UTF-8, with a mark in place of each tracked link's URL. Bytes, because a mail may hold what a
    -- text may not.
    html bytea not null,
    -- The URLs of the tracked links, by their index.
    urls text[] not null,
    -- SHA-256 of html.
    html_digest bytea not null check (length(html_digest) = 32),
    primary key (tenant_id, campaign)
);
