//! What settling reads, and its list of sends.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::found::{Click, Found, FoundEvent, FoundSend, LinesOf, SendKey, Span, spans};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::{EventType, lowest_id, time_of};
use crate::tenants::OwnLines;
use crate::verdicts::{Action, Reasons, Verdict};

fn read_key(row: &Row) -> SendKey {
    SendKey {
        tenant: row.get(0),
        id: row.get(1),
        contact: row.get(2),
    }
}

/// Sends that wait, in the order of their keys.
pub(super) async fn noted(
    client: &impl GenericClient,
    after: Option<&SendKey>,
    limit: i64,
) -> Result<Vec<SendKey>, DatabaseError> {
    let sql = "select tenant_id, send_id, contact_id from unsettled \
               where (tenant_id, send_id) > ($1, $2) order by tenant_id, send_id limit $3";
    let statement = client.prepare_cached(sql).await?;
    let (tenant, id) = after.map_or((0, ""), |send| (send.tenant, send.id.as_str()));
    let rows = client.query(&statement, &[&tenant, &id, &limit]).await?;
    Ok(rows.iter().map(read_key).collect())
}

/// Sends that wait no longer. Their contacts must be locked: no event of theirs is on its way.
pub(super) async fn strike_out(
    tx: &Transaction<'_>,
    sends: &[SendKey],
) -> Result<(), DatabaseError> {
    let (tenants, ids, _) = columns(sends);
    let sql = "delete from unsettled u using unnest($1::int[], $2::text[]) as d (tenant_id, id) \
               where u.tenant_id = d.tenant_id and u.send_id = d.id";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&tenants, &ids]).await?;
    Ok(())
}

/// Sends that were registered at or after a moment, in the order of their keys.
pub(crate) async fn sends_after(
    client: &impl GenericClient,
    tenant: Option<i32>,
    since: Option<Timestamp>,
    after: Option<&SendKey>,
    limit: i64,
) -> Result<Vec<SendKey>, DatabaseError> {
    let sql = "select tenant_id, id, contact_id from sends \
               where (tenant_id, id) > ($1, $2) and tenant_id <= $3 \
                 and ($4::timestamptz is null or registered_at >= $4) \
               order by tenant_id, id limit $5";
    let statement = client.prepare_cached(sql).await?;
    let start = (tenant.unwrap_or(0), "");
    let (first, id) = after.map_or(start, |send| (send.tenant, send.id.as_str()));
    let last = tenant.unwrap_or(i32::MAX);
    let rows = client
        .query(&statement, &[&first, &id, &last, &since, &limit])
        .await?;
    Ok(rows.iter().map(read_key).collect())
}

/// How many those are.
pub(crate) async fn count_sends(
    client: &impl GenericClient,
    tenant: Option<i32>,
    since: Option<Timestamp>,
) -> Result<u64, DatabaseError> {
    let sql = "select count(*) from sends where ($1::int is null or tenant_id = $1) \
                 and ($2::timestamptz is null or registered_at >= $2)";
    let row = client.query_one(sql, &[&tenant, &since]).await?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

fn columns(sends: &[SendKey]) -> (Vec<i32>, Vec<&str>, Vec<Uuid>) {
    let tenants = sends.iter().map(|send| send.tenant).collect();
    let ids = sends.iter().map(|send| send.id.as_str()).collect();
    let contacts = sends.iter().map(|send| send.contact).collect();
    (tenants, ids, contacts)
}

/// Whose sends these are.
pub(super) fn tenants_of(sends: &[SendKey]) -> Vec<i32> {
    let (mut tenants, ..) = columns(sends);
    tenants.sort_unstable();
    tenants.dedup();
    tenants
}

/// Where tenants draw their lines.
pub(super) async fn lines(
    client: &impl GenericClient,
    tenants: &[i32],
) -> Result<LinesOf, DatabaseError> {
    let sql = "select id, too_soon_millis, burst_millis, sweep_millis, many_recipients, \
                 many_recipients_millis from tenants where id = any($1)";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&tenants]).await?;
    let lines = rows.iter().map(|row| {
        let own = OwnLines {
            too_soon_millis: row.get(1),
            burst_millis: row.get(2),
            sweep_millis: row.get(3),
            many_recipients: row.get(4),
            many_recipients_millis: row.get(5),
        };
        (row.get(0), own.lines())
    });
    Ok(lines.collect())
}

/// Takes the locks of their contacts in the order that every writer uses.
pub(super) async fn lock_contacts(
    tx: &Transaction<'_>,
    sends: &[SendKey],
) -> Result<(), DatabaseError> {
    let (tenants, _, contacts) = columns(sends);
    let sql = "select count(*) from (select 1 from contacts c \
                 where (c.tenant_id, c.id) in (select * from unnest($1::int[], $2::uuid[])) \
                 order by c.tenant_id, c.id for no key update) locked";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&tenants, &contacts]).await?;
    Ok(())
}

/// Where and when these sends were clicked, as far as addresses are known.
pub(super) async fn clicks_of(
    client: &impl GenericClient,
    sends: &[SendKey],
) -> Result<Vec<(i32, IpAddr, Timestamp)>, DatabaseError> {
    let (tenants, ids, contacts) = columns(sends);
    let sql = "select d.tenant_id, e.ip, e.id \
               from unnest($1::int[], $2::text[], $3::uuid[]) as d (tenant_id, send_id, contact_id) \
               cross join lateral (select e.ip, e.id from events e \
                 where e.tenant_id = d.tenant_id and e.contact_id = d.contact_id \
                   and e.send_id = d.send_id and e.kind = 2 and e.ip is not null offset 0) as e";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[&tenants, &ids, &contacts])
        .await?;
    let clicks = rows.iter();
    Ok(clicks
        .map(|row| (row.get(0), row.get(1), time_of(row.get(2))))
        .collect())
}

/// Addresses, and the ids between which their clicks lie that are looked at.
#[derive(Default)]
pub(super) struct Near {
    pub(super) tenants: Vec<i32>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) first: Vec<Uuid>,
    /// Not included.
    pub(super) last: Vec<Uuid>,
}

impl Near {
    pub(super) fn of(spans: BTreeMap<(i32, IpAddr), Vec<Span>>) -> Self {
        let mut near = Self::default();
        for ((tenant, ip), spans) in spans {
            for span in spans {
                near.tenants.push(tenant);
                near.addresses.push(ip);
                near.first.push(lowest_id(span.from));
                let last = span.to.plus(std::time::Duration::from_millis(1));
                near.last.push(lowest_id(last));
            }
        }
        near
    }
}

/// Clicks that may decide about these, and those themselves.
pub(super) async fn neighbours(
    client: &impl GenericClient,
    clicks: &[(i32, IpAddr, Timestamp)],
    lines: &LinesOf,
) -> Result<Vec<Click>, DatabaseError> {
    let near = Near::of(spans(clicks.iter().copied(), lines));
    if near.tenants.is_empty() {
        return Ok(Vec::new());
    }
    // `limit 1` keeps the planner from reading all of `unsettled`, whose size it can only guess.
    let sql = "select d.tenant_id, e.send_id, e.contact_id, e.id, d.ip, e.user_agent, e.reasons, \
                 u.noted is not null \
               from unnest($1::int[], $2::inet[], $3::uuid[], $4::uuid[]) \
                 as d (tenant_id, ip, first, last) \
               cross join lateral (select * from events e \
                 where e.tenant_id = d.tenant_id and e.ip = d.ip and e.kind = 2 \
                   and e.id >= d.first and e.id < d.last offset 0) as e \
               left join lateral (select true as noted from unsettled u \
                 where u.tenant_id = d.tenant_id and u.send_id = e.send_id limit 1) as u on true";
    let statement = client.prepare_cached(sql).await?;
    let values: [&(dyn ToSql + Sync); 4] =
        [&near.tenants, &near.addresses, &near.first, &near.last];
    let rows = client.query(&statement, &values).await?;
    let neighbours = rows.iter().map(|row| Click {
        send: read_key(row),
        id: row.get(3),
        ip: row.get(4),
        user_agent: row.get(5),
        reasons: row.get::<_, Option<i32>>(6).map(Reasons::from_bits),
        is_noted: row.get(7),
    });
    Ok(neighbours.collect())
}

/// These sends as far as they are there, of which the first `whole` are known with all that is near
/// their clicks.
pub(super) async fn find(
    client: &impl GenericClient,
    sends: &[SendKey],
    whole: usize,
) -> Result<Found, DatabaseError> {
    let lines = lines(client, &tenants_of(sends)).await?;
    let (tenants, ids, contacts) = columns(sends);
    let sql = "select d.number, s.tenant_id, s.id, s.contact_id, s.campaign, s.sent_at, \
                 s.human_opened_at, s.human_clicked_at \
               from unnest($1::int[], $2::text[]) with ordinality as d (tenant_id, id, number) \
               join sends s on s.tenant_id = d.tenant_id and s.id = d.id \
               order by d.number";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[&tenants, &ids]).await?;
    let mut found = Vec::with_capacity(rows.len());
    let mut places = HashMap::with_capacity(rows.len());
    for row in &rows {
        let number: i64 = row.get(0);
        places.insert(number, found.len());
        found.push(FoundSend {
            key: SendKey {
                tenant: row.get(1),
                id: row.get(2),
                contact: row.get(3),
            },
            is_whole: usize::try_from(number).is_ok_and(|number| number <= whole),
            campaign: row.get(4),
            sent_at: row.get(5),
            human_opened_at: row.get(6),
            human_clicked_at: row.get(7),
            events: Vec::new(),
        });
    }
    let sql = "select d.number, e.id, e.kind, e.link_index, e.url, e.ip, e.user_agent, \
                 e.sec_purpose, e.purpose, e.x_purpose, e.x_moz, e.verdict, e.reasons \
               from unnest($1::int[], $2::text[], $3::uuid[]) with ordinality \
                 as d (tenant_id, send_id, contact_id, number) \
               cross join lateral (select * from events e \
                 where e.tenant_id = d.tenant_id and e.contact_id = d.contact_id \
                   and e.send_id = d.send_id and e.kind in (1, 2) offset 0) as e";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[&tenants, &ids, &contacts])
        .await?;
    for row in &rows {
        let place = places.get(&row.get::<_, i64>(0)).copied();
        let (Some(send), Some(event)) = (place.and_then(|place| found.get_mut(place)), event(row))
        else {
            continue;
        };
        send.events.push(event);
    }
    let clicks: Vec<_> = found
        .iter()
        .filter(|send| send.is_whole)
        .flat_map(|send| {
            let clicks = send.events.iter();
            let clicks = clicks.filter(|event| event.action == Action::Click);
            clicks.filter_map(|event| Some((send.key.tenant, event.ip?, event.at())))
        })
        .collect();
    let neighbours = neighbours(client, &clicks, &lines).await?;
    Ok(Found {
        lines,
        sends: found,
        neighbours,
    })
}

fn event(row: &Row) -> Option<FoundEvent> {
    let action = match EventType::from_number(row.get(2))? {
        EventType::Opened => Action::Open,
        EventType::Clicked => Action::Click,
        _ => return None,
    };
    Some(FoundEvent {
        id: row.get(1),
        action,
        link: row.get(3),
        url: row.get(4),
        ip: row.get(5),
        user_agent: row.get(6),
        purposes: [7, 8, 9, 10].map(|column| row.get(column)),
        verdict: row.get::<_, Option<i16>>(11).and_then(Verdict::from_number),
        reasons: row.get::<_, Option<i32>>(12).map(Reasons::from_bits),
    })
}
