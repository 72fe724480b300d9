//! A tenant's data of any size, the same for the same seed: contacts, sends, events, and counters
//! and rollups that are what the events say.
//!
//! Postgres makes it from numbers: nothing but statements crosses the connection, and what is
//! counted is counted from the events themselves.

use indicatif::{ProgressBar, ProgressStyle};
use kraiter_wire::Day;
use tokio_postgres::Client;

use crate::trouble::{Outcome, Trouble};

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct DataSet {
    pub seed: i64,
    pub contacts: u64,
    /// Each to one contact, evenly over the time; each makes an event that it was sent.
    pub sends: u64,
    /// Opens, clicks and a few unsubscribes, besides the events of sending.
    pub edge_events: u64,
    pub campaigns: u64,
    /// Milliseconds of the first and of the last event.
    pub from: u64,
    pub until: u64,
}

/// Mails are opened and clicked within a day, on average, but for these, which are taken up again at
/// any time.
const LATE: f64 = 0.1;

/// Events that are made in one statement.
const SLICE: u64 = 200_000;

const AT: &str = "('x' || encode(substr(uuid_send(id), 1, 6), 'hex'))::bit(48)::bigint";

impl DataSet {
    /// Fills the migrated database at `url`, in which `tenant` exists and has nothing yet.
    pub fn load(&self, url: &str, tenant: u32) -> Outcome<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Trouble::io("making a runtime"))?;
        let load = async {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
            let work = async {
                let loaded = self.run(&client, tenant).await;
                drop(client);
                loaded
            };
            let (loaded, _) = tokio::join!(work, connection);
            loaded
        };
        let trouble = |error: tokio_postgres::Error| {
            let cause = error.as_db_error().map(ToString::to_string);
            std::io::Error::other(cause.unwrap_or_else(|| error.to_string()))
        };
        let loaded = runtime.block_on(load).map_err(trouble);
        loaded.map_err(Trouble::io("filling the data set"))
    }

    async fn run(&self, client: &Client, tenant: u32) -> Result<(), tokio_postgres::Error> {
        let total = self.sends + self.edge_events;
        let progress = ProgressBar::new(total + self.sends + self.contacts + total);
        if let Ok(style) = ProgressStyle::with_template("  {msg:12} {bar:40} {percent}% {eta}") {
            progress.set_style(style);
        }
        // Everything is joined whole. A plan that looks rows up one by one, made before the tables
        // are analysed, would take hours.
        let session = "set enable_nestloop = off; set work_mem = '256MB'; set jit = off";
        client.batch_execute(session).await?;
        client.batch_execute(&self.preparation(tenant)).await?;
        let index = "select pg_get_indexdef('events_of_contact'::regclass)";
        let index: String = client.query_one(index, &[]).await?.get(0);
        client.batch_execute("drop index events_of_contact").await?;
        progress.set_message("events");
        let slices = total.div_ceil(SLICE).max(1);
        for slice in 0..slices {
            client.batch_execute(&self.events(slice, slices)).await?;
            progress.inc(total / slices);
        }
        client
            .batch_execute(&index.replacen(" ON ONLY ", " ON ", 1))
            .await?;
        client.batch_execute("analyze events").await?;
        progress.set_message("sends");
        client.batch_execute(&self.send_rows()).await?;
        progress.inc(self.sends);
        progress.set_message("contacts");
        client.batch_execute(&self.contact_rows()).await?;
        progress.inc(self.contacts);
        client.batch_execute("analyze sends").await?;
        progress.set_message("rollups");
        client.batch_execute(ROLLUPS).await?;
        client.batch_execute(LINK_ROLLUPS).await?;
        progress.set_message("statistics");
        for table in ["contacts", "sends", "events", "rollups", "link_rollups"] {
            client
                .batch_execute(&format!("vacuum analyze {table}"))
                .await?;
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// Functions of this session, from numbers to ids and times, and the partitions.
    fn preparation(&self, tenant: u32) -> String {
        let Self {
            seed,
            contacts,
            sends,
            campaigns,
            from,
            until,
            ..
        } = self;
        let (contacts, sends) = (contacts.max(&1), sends.max(&1));
        let span = until.saturating_sub(*from);
        let a_day = *sends as f64 * Day::MILLIS as f64 / span.max(1) as f64;
        format!(
            "set statement_timeout = 0; set work_mem = '256MB'; \
             set maintenance_work_mem = '512MB'; \
             create function pg_temp.tenant() returns int immutable language sql as 'select {tenant}'; \
             create function pg_temp.dice(number bigint, salt bigint) returns float8 \
               immutable language sql as \
               'select (hashint8extended(number, {seed} + salt) & 4294967295) / 4294967296.0::float8'; \
             create function pg_temp.id(ms bigint, number bigint, salt bigint) returns uuid \
               immutable language sql as \
               $$select (lpad(to_hex(ms), 12, '0') || '7' \
                 || lpad(to_hex(hashint8extended(number, {seed} + salt) & 4095), 3, '0') || '8' \
                 || to_hex(salt) || lpad(to_hex(number), 14, '0'))::uuid$$; \
             create function pg_temp.send_at(j bigint) returns bigint immutable language sql as \
               'select {from} + (j * {span}::float8 / {sends})::bigint'; \
             create function pg_temp.contact(i bigint) returns uuid immutable language sql as \
               'select pg_temp.id({from} - 86400000 + i % 86400000, i, 1)'; \
             create function pg_temp.contact_of(j bigint) returns uuid immutable language sql as \
               'select pg_temp.contact((j * 7919) % {contacts})'; \
             create function pg_temp.send(j bigint) returns text immutable language sql as \
               $$select 'snd_' || translate(encode(uuid_send(pg_temp.id(pg_temp.send_at(j), j, 2)), \
                 'base64'), '+/=', '-_')$$; \
             create function pg_temp.campaign(j bigint) returns text immutable language sql as \
               $$select 'campaign-' || j * {campaigns} / {sends}$$; \
             create function pg_temp.seen(sent float8, k bigint) returns bigint immutable \
               language sql as \
               $$select greatest(0, floor(case when pg_temp.dice(k, 7) < {LATE} \
                 then pg_temp.dice(k, 5) * sent \
                 else sent + ln(1 - pg_temp.dice(k, 5)) * {a_day} end))::bigint$$; \
             do $$ declare month timestamp; begin \
               for month in select generate_series( \
                   date_trunc('month', to_timestamp({from} / 1000) at time zone 'UTC'), \
                   to_timestamp({until} / 1000) at time zone 'UTC', interval '1 month') loop \
                 execute format('create table if not exists %I partition of events \
                   for values from (%L) to (%L)', to_char(month, '\"events_\"YYYY_MM'), \
                   rpad(lpad(to_hex(extract(epoch from month)::bigint * 1000), 12, '0'), 32, '0'), \
                   rpad(lpad(to_hex(extract(epoch from month + interval '1 month')::bigint * 1000), \
                     12, '0'), 32, '0')); \
               end loop; end $$;"
        )
    }

    /// The events of one slice of the time: those of sending, and what became of mail sent before.
    fn events(&self, slice: u64, slices: u64) -> String {
        let part = |all: u64| (all * slice / slices, all * (slice + 1) / slices);
        let (first_send, end_send) = part(self.sends);
        let (first_event, end_event) = part(self.edge_events);
        let (from, span) = (self.from, self.until.saturating_sub(self.from));
        let (sends, edge_events) = (self.sends.max(1), self.edge_events.max(1));
        format!(
            "insert into events (tenant_id, id, kind, contact_id, send_id, link_index, url, ip, \
               user_agent) \
             select pg_temp.tenant(), id, kind, pg_temp.contact_of(j), pg_temp.send(j), link, \
               'https://shop.example/products/' || link, ip, agent from ( \
               select pg_temp.id(pg_temp.send_at(j), j, 3) as id, 4 as kind, j, null::bigint as link, \
                 null::inet as ip, null as agent \
               from generate_series({first_send}::bigint, {end_send}::bigint - 1) as j \
               union all \
               select pg_temp.id({from} + (k * {span}::float8 / {edge_events})::bigint, k, 4), kind, \
                 pg_temp.seen(k * {sends}::float8 / {edge_events}, k), \
                 case when kind = 2 then k % 5 end, \
                 '198.51.100.0'::inet + k % 250, \
                 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
Chrome/' || 100 + k % 40 || '.0.0.0 Safari/537.36' \
               from (select k, case when pg_temp.dice(k, 6) < 0.7 then 1 \
                   when pg_temp.dice(k, 6) < 0.98 then 2 else 3 end as kind \
                 from generate_series({first_event}::bigint, {end_event}::bigint - 1) as k) as drawn \
             ) as made order by id"
        )
    }

    fn send_rows(&self) -> String {
        let sends = self.sends;
        format!(
            "insert into sends (tenant_id, id, contact_id, campaign, status, registered_at, sent_at, \
               opened_at, clicked_at, unsubscribed_at, opens_count, clicks_count) \
             select pg_temp.tenant(), pg_temp.send(j), pg_temp.contact_of(j), pg_temp.campaign(j), \
               'sent', {sent}, {sent}, opened, clicked, unsubscribed, coalesce(opens, 0), \
               coalesce(clicks, 0) \
             from generate_series(0::bigint, {sends}::bigint - 1) as j \
             left join (select send_id, count(*) filter (where kind = 1) as opens, \
                 count(*) filter (where kind = 2) as clicks, \
                 to_timestamp(min({AT}) filter (where kind = 1) / 1000.0) as opened, \
                 to_timestamp(min({AT}) filter (where kind = 2) / 1000.0) as clicked, \
                 to_timestamp(min({AT}) filter (where kind = 3) / 1000.0) as unsubscribed \
               from events where tenant_id = pg_temp.tenant() and kind <= 3 group by 1) as seen \
               on seen.send_id = pg_temp.send(j) \
             order by j",
            sent = "to_timestamp(pg_temp.send_at(j) / 1000.0)"
        )
    }

    fn contact_rows(&self) -> String {
        let (contacts, from) = (self.contacts, self.from);
        format!(
            "insert into contacts (tenant_id, id, email, email_key, created_at, emails_sent_count, \
               emails_opened_count, emails_clicked_count, last_email_sent_at, \
               last_email_opened_at, last_email_clicked_at, unsubscribed_at) \
             select pg_temp.tenant(), pg_temp.contact(i), 'contact' || i || '@example.com', \
               'contact' || i || '@example.com', to_timestamp({from} / 1000), coalesce(sent, 0), \
               coalesce(opened, 0), coalesce(clicked, 0), last_sent, last_opened, last_clicked, \
               unsubscribed \
             from generate_series(0::bigint, {contacts}::bigint - 1) as i \
             left join (select contact_id, count(*) filter (where kind = 4) as sent, \
                 count(*) filter (where kind = 1) as opened, \
                 count(*) filter (where kind = 2) as clicked, \
                 to_timestamp(max({AT}) filter (where kind = 4) / 1000.0) as last_sent, \
                 to_timestamp(max({AT}) filter (where kind = 1) / 1000.0) as last_opened, \
                 to_timestamp(max({AT}) filter (where kind = 2) / 1000.0) as last_clicked, \
                 to_timestamp(min({AT}) filter (where kind = 3) / 1000.0) as unsubscribed \
               from events where tenant_id = pg_temp.tenant() group by 1) as seen \
               on seen.contact_id = pg_temp.contact(i) \
             order by i"
        )
    }
}

const ROLLUPS: &str = "\
    insert into rollups (tenant_id, campaign, hour, kind, shard, events_count, firsts_count) \
    select tenant_id, campaign, to_timestamp(at / 3600000 * 3600), kind, 0, count(*), \
      count(*) filter (where (kind = 1 and at = opened) or (kind = 2 and at = clicked)) \
    from (select e.tenant_id, s.campaign, e.kind, \
        ('x' || encode(substr(uuid_send(e.id), 1, 6), 'hex'))::bit(48)::bigint as at, \
        (extract(epoch from s.opened_at) * 1000)::bigint as opened, \
        (extract(epoch from s.clicked_at) * 1000)::bigint as clicked \
      from events e join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id \
      where e.tenant_id = pg_temp.tenant()) as counted \
    group by 1, 2, 3, 4 order by 1, 2, 3, 4";

const LINK_ROLLUPS: &str = "\
    insert into link_rollups (tenant_id, campaign, day, link_index, url_digest, shard, url, \
      clicks_count) \
    select e.tenant_id, s.campaign, (to_timestamp(('x' \
        || encode(substr(uuid_send(e.id), 1, 6), 'hex'))::bit(48)::bigint / 1000) \
        at time zone 'UTC')::date, \
      e.link_index, sha256(convert_to(e.url, 'UTF8')), 0, e.url, count(*) \
    from events e join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id \
    where e.tenant_id = pg_temp.tenant() and e.kind = 2 group by 1, 2, 3, 4, 5, e.url";
