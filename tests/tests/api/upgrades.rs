//! A schema that is brought up to date while an older backend still reads and writes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kraiter_tests::{database, wait};

use crate::service::{Service, counts, register};

/// What the older backend's schema was made of.
const OLDER: [&str; 2] = [
    include_str!("../../../backend/migrations/V1__tenants_contacts_sends_events.sql"),
    include_str!("../../../backend/migrations/V2__blocks_and_consent.sql"),
];

/// A database as the older backend's `migrate` left it, with this month's partition.
fn older_database() -> String {
    let url = database::fresh().unwrap();
    let statements = [
        "create schema kept;
         create table kept.history as select * from refinery_schema_history where version <= 2;
         drop schema public cascade;
         create schema public;",
        OLDER[0],
        OLDER[1],
        "create table refinery_schema_history (version int4 primary key, name varchar(255),
           applied_on varchar(255), checksum varchar(255));
         insert into refinery_schema_history select * from kept.history;
         drop schema kept cascade;
         do $$ declare month timestamp := date_trunc('month', now() at time zone 'UTC'); begin
           execute format('create table %I partition of events for values from (%L) to (%L)',
             to_char(month, '\"events_\"YYYY_MM'),
             rpad(lpad(to_hex(extract(epoch from month)::bigint * 1000), 12, '0'), 32, '0'),
             rpad(lpad(to_hex(extract(epoch from month + interval '1 month')::bigint * 1000), 12,
               '0'), 32, '0'));
         end $$;",
    ];
    database::execute(&url, &statements.concat()).unwrap();
    url
}

/// What the older backend says to Postgres for one mail that is registered, sent, opened and
/// clicked, a contact that withdraws its consent, and a block.
fn one_mail(number: u32) -> String {
    let contact = format!("'00000000-0000-7000-8000-{number:012}'::uuid");
    let event = "(lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7000' \
                 || '8' || substr(md5(random()::text), 1, 15))::uuid";
    format!(
        "begin;
         insert into contacts (tenant_id, id, email, email_key, created_at)
           values (1, {contact}, 'r{number}@example.com', 'r{number}@example.com', now())
           on conflict (tenant_id, email_key) where email_key is not null do nothing;
         insert into sends (tenant_id, id, contact_id, campaign, status, registered_at)
           values (1, 'old-{number}', {contact}, 'spring', 'queued', now())
           on conflict (tenant_id, id) do nothing;
         update sends set status = 'sent', sent_at = now()
           where tenant_id = 1 and id = 'old-{number}';
         insert into events (tenant_id, id, kind, contact_id, send_id)
           values (1, {event}, 4, {contact}, 'old-{number}');
         update contacts set emails_sent_count = emails_sent_count + 1, last_email_sent_at = now()
           where tenant_id = 1 and id = {contact};
         commit;
         begin;
         insert into events (tenant_id, id, kind, contact_id, send_id, link_index, url, ip,
             user_agent, accept_language, sec_purpose, purpose, x_purpose, x_moz)
           values (1, {event}, 1, {contact}, 'old-{number}', null, null, '198.51.100.7', 'x', null,
               null, null, null, null),
             (1, {event}, 2, {contact}, 'old-{number}', 0, 'https://shop.example/', null, null,
               null, null, null, null, null)
           on conflict do nothing;
         update contacts set emails_opened_count = emails_opened_count + 1,
             emails_clicked_count = emails_clicked_count + 1,
             last_email_opened_at = greatest(last_email_opened_at, now()),
             last_email_clicked_at = greatest(last_email_clicked_at, now())
           where tenant_id = 1 and id = {contact};
         update sends set opens_count = opens_count + 1, clicks_count = clicks_count + 1,
             opened_at = least(opened_at, now()), clicked_at = least(clicked_at, now())
           where tenant_id = 1 and id = 'old-{number}';
         commit;
         update contacts set tracking_consent = {number} % 2 = 0
           where tenant_id = 1 and id = {contact};
         insert into blocks (tenant_id, kind, value, set_by, reason, created_at)
           values (1, 'send', 'old-{number}', 'tenant', null, now());
         delete from blocks where tenant_id = 1 and value = 'old-{number}';
         select e.id, e.kind, e.send_id, e.contact_id, c.email, s.campaign, e.link_index, e.url,
             e.ip, e.user_agent
           from events e left join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id
           left join contacts c on c.tenant_id = e.tenant_id and c.id = e.contact_id
           where e.tenant_id = 1 and e.contact_id = {contact};"
    )
}

#[test]
fn an_older_backend_serves_on_while_the_schema_is_migrated_and_after() {
    let url = older_database();
    database::execute(
        &url,
        "insert into tenants (id, name, created_at, tracking_origin) \
         values (1, 'shop', now(), 'https://t.example')",
    )
    .unwrap();
    let service = Service::start_unready("upgrade", &url);
    let (done, written) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let older = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                database::execute(&url, &one_mail(written.load(Ordering::Relaxed))).unwrap();
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        let more = |mails: u32| {
            let goal = written.load(Ordering::Relaxed) + mails;
            wait::until("the older backend to write", || {
                let so_far = written.load(Ordering::Relaxed);
                match so_far >= goal || older.is_finished() {
                    true => Ok(()),
                    false => Err(format!("{so_far} of {goal}")),
                }
            })
            .unwrap();
        };
        more(3);
        let applied = service.backend.json(&["migrate", "--json"]).unwrap();
        assert!(
            applied["applied"].as_array().unwrap().len() > 1,
            "{applied}"
        );
        more(3);
        done.store(true, Ordering::Relaxed);
        older.join().unwrap();
    });
    // The newer one takes over with everything that the older one wrote.
    let api = service
        .backend
        .api_key("shop", "render,read,admin")
        .unwrap();
    for number in 0..written.load(Ordering::Relaxed) {
        assert_eq!(counts(&api, &format!("r{number}@example.com")), [1, 1, 1]);
        let send = api.sent(&format!("old-{number}")).unwrap();
        assert_eq!(send["opens"].as_array().unwrap().len(), 1);
        assert_eq!(send["clicks"].as_array().unwrap().len(), 1);
    }
    register(&api, "snd-1", "new@example.com");
    assert_eq!(counts(&api, "new@example.com"), [1, 0, 0]);
}
