-- Idempotency-Key: which send a request with a key has made or is making, so that the same request
-- sent again makes no second one. Key and body are hashes; rows are kept for a day.
create table idempotency_keys (
    tenant_id integer not null,
    key_hash bytea not null,
    -- Of operation and body, keyed by the client's own key, which is not stored.
    fingerprint bytea not null,
    -- Chosen before the request does anything, so that a request cut short is taken up again.
    resource_id text not null,
    created_at timestamptz not null,
    -- Until then a request is at it.
    running_until timestamptz,
    primary key (tenant_id, key_hash)
);
-- For erasure, and for retention.
create index idempotency_keys_resource on idempotency_keys (tenant_id, resource_id);
create index idempotency_keys_age on idempotency_keys (tenant_id, created_at);
