//! The recount, in Postgres: each check is one statement that aggregates events and joins the sums
//! with what is stored.
//!
//! Retention has removed what is older than a tenant's `kept_since`. Contacts that are older may
//! have counted more than is left; hours and days before it are not compared; an event that outlived
//! its send has lost its campaign, so that many may be stored beyond what is found. The first
//! event of a send that is older may be gone, so the send is believed.

use deadpool_postgres::Transaction;
use kraiter_wire::TenantId;

use super::{Checked, Difference, MAX_EXAMPLES};
use crate::database::{Client, DatabaseError};
use crate::tenants::store::key;

/// What is compared, in this order.
pub(crate) const CHECKS: [(&str, &str); 4] = [
    ("contacts", CONTACTS),
    ("sends", SENDS),
    ("rollups", ROLLUPS),
    ("links", LINKS),
];

/// One moment of the database.
pub(crate) struct Snapshot<'c> {
    tx: Transaction<'c>,
}

impl<'c> Snapshot<'c> {
    pub(crate) async fn take(client: &'c mut Client) -> Result<Self, DatabaseError> {
        let builder = client.build_transaction().read_only(true);
        let level = tokio_postgres::IsolationLevel::RepeatableRead;
        let tx = builder.isolation_level(level).start().await?;
        // Aggregates over all events are large, and take as long as they take.
        tx.batch_execute("set local statement_timeout = 0; set local work_mem = '128MB'")
            .await?;
        Ok(Self { tx })
    }

    /// Runs one of [`CHECKS`], for one tenant or for all.
    pub(crate) async fn check(
        &self,
        (check, differences): (&'static str, &str),
        tenant: Option<TenantId>,
    ) -> Result<Checked, DatabaseError> {
        let sql = format!(
            "with t as (select id, kept_since from tenants where $1::int is null or id = $1), \
               e as (select e.tenant_id, e.id, e.kind, e.contact_id, e.send_id, e.link_index, \
                 e.url, e.verdict, \
                 ('x' || encode(substr(uuid_send(e.id), 1, 6), 'hex'))::bit(48)::bigint as at \
                 from events e where $1::int is null or e.tenant_id = $1), \
               d (tenant_id, name, field, stored, found) as ({differences}) \
             select *, count(*) over () from d order by tenant_id, name, field \
             limit {MAX_EXAMPLES}"
        );
        let rows = self.tx.query(&sql, &[&tenant.map(key)]).await?;
        let examples = rows.iter().map(|row| Difference {
            tenant: row.get(0),
            of: row.get(1),
            field: row.get(2),
            stored: row.get(3),
            found: row.get(4),
        });
        Ok(Checked {
            check,
            differences: rows.first().map_or(0, |row| row.get(5)),
            examples: examples.collect(),
        })
    }
}

/// Of a contact that is older than what is kept, at least what is found must have been counted.
const CONTACTS: &str = "\
    with found as ( \
      select tenant_id, contact_id as id, \
        count(*) filter (where kind = 4) as sent, count(*) filter (where kind = 1) as opened, \
        count(*) filter (where kind = 2) as clicked, max(at) filter (where kind = 4) as last_sent, \
        max(at) filter (where kind = 1) as last_opened, \
        max(at) filter (where kind = 2) as last_clicked, \
        count(*) filter (where kind = 1 and verdict = 1) as human_opened, \
        count(*) filter (where kind = 2 and verdict = 1) as human_clicked, \
        count(*) filter (where kind = 1 and verdict = 2) as machine_opened, \
        count(*) filter (where kind = 2 and verdict = 2) as machine_clicked, \
        max(at) filter (where kind = 1 and verdict = 1) as last_human_opened, \
        max(at) filter (where kind = 2 and verdict = 1) as last_human_clicked, \
        min(at) filter (where kind = 3) as unsubscribed, \
        min(at) filter (where kind in (6, 7)) as suppressed \
      from e group by 1, 2), \
    stored as ( \
      select c.*, t.kept_since is not null and c.created_at < t.kept_since as partial \
      from contacts c join t on t.id = c.tenant_id) \
    select tenant_id, coalesce(c.id, f.id)::text, v.field, v.stored, v.found \
    from stored c full join found f using (tenant_id, id), \
      lateral (values \
        ('emailsSentCount', c.emails_sent_count, coalesce(f.sent, 0), 1), \
        ('emailsOpenedCount', c.emails_opened_count, coalesce(f.opened, 0), 1), \
        ('emailsClickedCount', c.emails_clicked_count, coalesce(f.clicked, 0), 1), \
        ('emailsHumanOpenedCount', c.emails_human_opened_count, coalesce(f.human_opened, 0), 1), \
        ('emailsHumanClickedCount', c.emails_human_clicked_count, \
          coalesce(f.human_clicked, 0), 1), \
        ('emailsMachineOpenedCount', c.emails_machine_opened_count, \
          coalesce(f.machine_opened, 0), 1), \
        ('emailsMachineClickedCount', c.emails_machine_clicked_count, \
          coalesce(f.machine_clicked, 0), 1), \
        ('lastEmailHumanOpenedAt', \
          (extract(epoch from c.last_email_human_opened_at) * 1000)::bigint, \
          f.last_human_opened, 1), \
        ('lastEmailHumanClickedAt', \
          (extract(epoch from c.last_email_human_clicked_at) * 1000)::bigint, \
          f.last_human_clicked, 1), \
        ('lastEmailSentAt', (extract(epoch from c.last_email_sent_at) * 1000)::bigint, \
          f.last_sent, 1), \
        ('lastEmailOpenedAt', (extract(epoch from c.last_email_opened_at) * 1000)::bigint, \
          f.last_opened, 1), \
        ('lastEmailClickedAt', (extract(epoch from c.last_email_clicked_at) * 1000)::bigint, \
          f.last_clicked, 1), \
        ('unsubscribedAt', (extract(epoch from c.unsubscribed_at) * 1000)::bigint, \
          f.unsubscribed, -1), \
        ('suppressedAt', (extract(epoch from c.suppressed_at) * 1000)::bigint, \
          f.suppressed, -1) \
      ) as v (field, stored, found, sign) \
    where v.stored is distinct from v.found \
      and not (coalesce(c.partial, false) \
        and (v.found is null or coalesce(v.stored * v.sign >= v.found * v.sign, false)))";

/// A send that is older than what is kept is about to go, or has gone.
const SENDS: &str = "\
    with found as ( \
      select tenant_id, send_id as id, \
        count(*) filter (where kind = 1) as opens, count(*) filter (where kind = 2) as clicks, \
        min(at) filter (where kind = 1) as opened, min(at) filter (where kind = 2) as clicked, \
        count(*) filter (where kind = 1 and verdict = 1) as human_opens, \
        count(*) filter (where kind = 2 and verdict = 1) as human_clicks, \
        count(*) filter (where kind = 1 and verdict = 2) as machine_opens, \
        count(*) filter (where kind = 2 and verdict = 2) as machine_clicks, \
        min(at) filter (where kind = 1 and verdict = 1) as human_opened, \
        min(at) filter (where kind = 2 and verdict = 1) as human_clicked, \
        min(at) filter (where kind = 3) as unsubscribed, min(at) filter (where kind = 4) as sent, \
        min(at) filter (where kind = 5) as delivered, min(at) filter (where kind = 6) as bounced, \
        min(at) filter (where kind = 7) as complained \
      from e group by 1, 2), \
    stored as (select s.* from sends s join t on t.id = s.tenant_id) \
    select tenant_id, coalesce(s.id, f.id), v.field, v.stored, v.found \
    from stored s full join found f using (tenant_id, id) join t on t.id = tenant_id, \
      lateral (values \
        ('opensCount', s.opens_count, coalesce(f.opens, 0)), \
        ('clicksCount', s.clicks_count, coalesce(f.clicks, 0)), \
        ('humanOpensCount', s.human_opens_count, coalesce(f.human_opens, 0)), \
        ('humanClicksCount', s.human_clicks_count, coalesce(f.human_clicks, 0)), \
        ('machineOpensCount', s.machine_opens_count, coalesce(f.machine_opens, 0)), \
        ('machineClicksCount', s.machine_clicks_count, coalesce(f.machine_clicks, 0)), \
        ('humanOpenedAt', (extract(epoch from s.human_opened_at) * 1000)::bigint, \
          f.human_opened), \
        ('humanClickedAt', (extract(epoch from s.human_clicked_at) * 1000)::bigint, \
          f.human_clicked), \
        ('openedAt', (extract(epoch from s.opened_at) * 1000)::bigint, f.opened), \
        ('clickedAt', (extract(epoch from s.clicked_at) * 1000)::bigint, f.clicked), \
        ('unsubscribedAt', (extract(epoch from s.unsubscribed_at) * 1000)::bigint, \
          f.unsubscribed), \
        ('sentAt', (extract(epoch from s.sent_at) * 1000)::bigint, f.sent), \
        ('deliveredAt', (extract(epoch from s.delivered_at) * 1000)::bigint, f.delivered), \
        ('bouncedAt', (extract(epoch from s.bounced_at) * 1000)::bigint, f.bounced), \
        ('complainedAt', (extract(epoch from s.complained_at) * 1000)::bigint, f.complained) \
      ) as v (field, stored, found) \
    where v.stored is distinct from v.found \
      and (t.kept_since is null or least(s.registered_at, s.sent_at, s.delivered_at, s.bounced_at, \
        s.complained_at) >= t.kept_since)";

const ROLLUPS: &str = "\
    with counted as ( \
      select e.tenant_id, s.id is null as lost, coalesce(s.campaign, '') as campaign, \
        e.at / 3600000 as hour, e.kind, count(*) as events, \
        count(*) filter (where e.kind in (1, 2) and e.verdict = 1) as human, \
        count(*) filter (where e.kind in (1, 2) and e.verdict = 2) as machine \
      from e left join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id \
      group by 1, 2, 3, 4, 5), \
    firsts as ( \
      select f.tenant_id, coalesce(s.campaign, '') as campaign, \
        case when s.registered_at < t.kept_since + interval '1 hour' then (extract(epoch from \
          case f.kind when 1 then s.opened_at else s.clicked_at end) * 1000)::bigint \
          else f.at end / 3600000 as hour, f.kind, count(*) as firsts \
      from (select tenant_id, send_id, kind, min(at) as at from e where kind in (1, 2) \
            group by 1, 2, 3) f \
      join sends s on s.tenant_id = f.tenant_id and s.id = f.send_id join t on t.id = s.tenant_id \
      group by 1, 2, 3, 4), \
    human_firsts as ( \
      select f.tenant_id, coalesce(s.campaign, '') as campaign, \
        case when s.registered_at < t.kept_since + interval '1 hour' then (extract(epoch from \
          case f.kind when 1 then s.human_opened_at else s.human_clicked_at end) * 1000)::bigint \
          else f.at end / 3600000 as hour, f.kind, count(*) as human_firsts \
      from (select tenant_id, send_id, kind, min(at) as at from e \
            where kind in (1, 2) and verdict = 1 group by 1, 2, 3) f \
      join sends s on s.tenant_id = f.tenant_id and s.id = f.send_id join t on t.id = s.tenant_id \
      group by 1, 2, 3, 4), \
    stored as ( \
      select tenant_id, campaign, extract(epoch from hour)::bigint / 3600 as hour, kind, \
        (sum(events_count) - sum(erased_events_count))::bigint as events, \
        (sum(firsts_count) - sum(erased_firsts_count))::bigint as firsts, \
        (sum(human_events_count) - sum(erased_human_events_count))::bigint as human, \
        (sum(machine_events_count) - sum(erased_machine_events_count))::bigint as machine, \
        (sum(human_firsts_count) - sum(erased_human_firsts_count))::bigint as human_firsts \
      from rollups join t on t.id = tenant_id group by 1, 2, 3, 4), \
    lost as (select tenant_id, hour, kind, sum(events)::bigint as events, \
        sum(human)::bigint as human, sum(machine)::bigint as machine \
      from counted where lost group by 1, 2, 3) \
    select tenant_id, \
      format('%s %s kind %s', campaign, to_timestamp(hour * 3600) at time zone 'UTC', kind), \
      v.field, v.stored, v.found \
    from stored r \
      full join (select * from counted where not lost) c using (tenant_id, campaign, hour, kind) \
      full join firsts f using (tenant_id, campaign, hour, kind) \
      full join human_firsts h using (tenant_id, campaign, hour, kind) \
      left join lost l using (tenant_id, hour, kind) join t on t.id = tenant_id, \
      lateral (values ('events', coalesce(r.events, 0), coalesce(c.events, 0), l.events), \
        ('firsts', coalesce(r.firsts, 0), coalesce(f.firsts, 0), l.events), \
        ('human events', coalesce(r.human, 0), coalesce(c.human, 0), l.human), \
        ('machine events', coalesce(r.machine, 0), coalesce(c.machine, 0), l.machine), \
        ('human firsts', coalesce(r.human_firsts, 0), coalesce(h.human_firsts, 0), l.human)) \
        as v (field, stored, found, lost) \
    where not v.stored between v.found and v.found + coalesce(v.lost, 0) \
      and (t.kept_since is null or to_timestamp(hour * 3600) >= t.kept_since)";

const LINKS: &str = "\
    with counted as ( \
      select e.tenant_id, s.id is null as lost, coalesce(s.campaign, '') as campaign, \
        e.at / 86400000 as day, e.link_index, e.url, count(*) as clicks, \
        count(*) filter (where e.verdict = 1) as human, \
        count(*) filter (where e.verdict = 2) as machine \
      from e left join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id \
      where e.kind = 2 and e.url is not null group by 1, 2, 3, 4, 5, 6), \
    stored as ( \
      select tenant_id, campaign, day - date '1970-01-01' as day, link_index, url_digest, \
        (sum(clicks_count) - sum(erased_clicks_count))::bigint as clicks, \
        (sum(human_clicks_count) - sum(erased_human_clicks_count))::bigint as human, \
        (sum(machine_clicks_count) - sum(erased_machine_clicks_count))::bigint as machine \
      from link_rollups join t on t.id = tenant_id group by 1, 2, 3, 4, 5), \
    present as ( \
      select tenant_id, campaign, day::int, link_index, sha256(convert_to(url, 'UTF8')) \
        as url_digest, clicks, human, machine \
      from counted where not lost), \
    lost as (select tenant_id, day, sum(clicks)::bigint as clicks, \
        sum(human)::bigint as human, sum(machine)::bigint as machine \
      from counted where lost group by 1, 2) \
    select tenant_id, format('%s %s link %s %s', campaign, date '1970-01-01' + day::int, \
        link_index, encode(url_digest, 'hex')), \
      v.field, v.stored, v.found \
    from stored r full join present p using (tenant_id, campaign, day, link_index, url_digest) \
      left join lost l using (tenant_id, day) join t on t.id = tenant_id, \
      lateral (values ('clicks', coalesce(r.clicks, 0), coalesce(p.clicks, 0), l.clicks), \
        ('human clicks', coalesce(r.human, 0), coalesce(p.human, 0), l.human), \
        ('machine clicks', coalesce(r.machine, 0), coalesce(p.machine, 0), l.machine)) \
        as v (field, stored, found, lost) \
    where not v.stored between v.found and v.found + coalesce(v.lost, 0) \
      and (t.kept_since is null \
        or (date '1970-01-01' + day::int)::timestamp at time zone 'UTC' >= t.kept_since)";
