-- Every tenant has an erasure key from the start, whoever makes it: the audit log names contacts by
-- it, and no backend has to make one while others look. 32 bytes of strong randomness.
alter table tenants alter column erasure_key
    set default uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
update tenants set erasure_key = uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    where erasure_key is null;
