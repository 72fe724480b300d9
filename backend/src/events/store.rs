//! Events in Postgres: reading them, and writing those that are made here.

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, TenantId};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Event, EventFilter, EventType, lowest_id};
use crate::clock::Timestamp;
use crate::database::{DatabaseError, PartitionRange};
use crate::random;
use crate::rollups;
use crate::sends::Send;
use crate::tenants::store::key;
use crate::verdicts::{Reasons, Verdict};
use crate::webhooks::outbox::Notes;

/// What [`read`] reads, of `e`, and the tables that it comes from besides.
pub(crate) const COLUMNS: &str = "e.id, e.kind, e.send_id, e.contact_id, c.email, s.campaign, \
                                  e.link_index, e.url, e.ip, e.user_agent, e.verdict, e.reasons";
pub(crate) const JOINED: &str = "left join sends s on s.tenant_id = e.tenant_id and s.id = e.send_id \
     left join contacts c on c.tenant_id = e.tenant_id and c.id = e.contact_id";

/// Where columns begin that a query adds to these.
pub(crate) const COLUMNS_COUNT: usize = 12;

pub(crate) fn read(row: &Row) -> Option<Event> {
    Some(Event {
        id: row.get(0),
        // A kind of a newer version is left out of what this version shows.
        kind: EventType::from_number(row.get(1))?,
        send_id: row.get(2),
        contact_id: ContactId::from_uuid(row.get(3)),
        email: row.get(4),
        campaign: row.get(5),
        link_index: row.get(6),
        url: row.get(7),
        ip: row.get(8),
        user_agent: row.get(9),
        verdict: row.get::<_, Option<i16>>(10).and_then(Verdict::from_number),
        reasons: row.get::<_, Option<i32>>(11).map(Reasons::from_bits),
    })
}

/// Newest first.
pub(crate) async fn list(
    client: &impl GenericClient,
    tenant: TenantId,
    filter: &EventFilter,
    limit: i64,
) -> Result<Vec<Event>, DatabaseError> {
    let tenant = key(tenant);
    let kinds: Option<Vec<i16>> = filter
        .kinds
        .as_ref()
        .map(|kinds| kinds.iter().map(|kind| kind.number()).collect());
    let verdicts: Option<Vec<i16>> = filter
        .verdicts
        .as_ref()
        .map(|verdicts| verdicts.iter().map(|verdict| verdict.number()).collect());
    let contact = filter.contact.map(ContactId::uuid);
    let from = filter.from.map(lowest_id);
    // A send's events stand among its contact's, which have an index.
    let send_alone = filter.send.as_ref().filter(|_| contact.is_none());
    // The cursor is the smaller bound on every page but the first.
    let to = [filter.to.map(lowest_id), filter.before]
        .into_iter()
        .flatten()
        .min();

    // One statement for each set of filters, so that each is planned for what it asks.
    let mut conditions = vec!["e.tenant_id = $1".to_owned()];
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&tenant];
    let kinds = kinds.as_ref().map(|v| v as &(dyn ToSql + Sync));
    let optional = [
        ("e.kind = any($)", kinds),
        ("e.verdict = any($)", verdicts.as_ref().map(|v| v as _)),
        ("e.send_id = $", filter.send.as_ref().map(|v| v as _)),
        (
            "e.contact_id = (select contact_id from sends where tenant_id = $1 and id = $)",
            send_alone.map(|v| v as _),
        ),
        ("e.contact_id = $", contact.as_ref().map(|v| v as _)),
        ("s.campaign = $", filter.campaign.as_ref().map(|v| v as _)),
        ("e.id >= $", from.as_ref().map(|v| v as _)),
        ("e.id < $", to.as_ref().map(|v| v as _)),
    ];
    for (condition, value) in optional {
        if let Some(value) = value {
            values.push(value);
            let (before, after) = condition.rsplit_once('$').unwrap_or((condition, ""));
            conditions.push(format!("{before}${}{after}", values.len()));
        }
    }
    values.push(&limit);
    let sql = format!(
        "select {COLUMNS} from events e {JOINED} where {} order by e.id desc limit ${}",
        conditions.join(" and "),
        values.len(),
    );
    let statement = client.prepare_cached(&sql).await?;
    Ok(client
        .query(&statement, &values)
        .await?
        .iter()
        .filter_map(read)
        .collect())
}

/// Opens and clicks of a send, oldest first, without what the send itself says: its contact's address and
/// its campaign. Nothing is joined, since planning that takes longer than reading a few events.
pub(crate) async fn of_send(
    client: &impl GenericClient,
    tenant: TenantId,
    send: &Send,
) -> Result<Vec<Event>, DatabaseError> {
    let seen = [send.opened_at, send.clicked_at].into_iter().flatten();
    let Some(first) = seen.min() else {
        return Ok(Vec::new());
    };
    let count = send.opens_count + send.clicks_count;
    let kinds = [EventType::Opened, EventType::Clicked].map(EventType::number);
    // The subquery keeps the planner from planning anew for each id.
    let read_from = async |table: &str, from: Uuid, limit: i64| {
        let sql = format!(
            "select id, kind, send_id, contact_id, null::text, null::text, link_index, url, ip, \
               user_agent, verdict, reasons \
             from {table} where tenant_id = $1 and contact_id = $2 and id >= (select $3::uuid) \
               and send_id = $4 and kind = any($5) order by id limit $6"
        );
        let contact = send.contact_id.uuid();
        let statement = client.prepare_cached(&sql).await?;
        let values: [&(dyn ToSql + Sync); 6] = [
            &key(tenant),
            &contact,
            &from,
            &send.id,
            &kinds.as_slice(),
            &limit,
        ];
        let rows = client.query(&statement, &values).await?;
        Ok::<Vec<Event>, DatabaseError>(rows.iter().filter_map(read).collect())
    };
    // Most have all their events in one month. Every partition would be opened to read one.
    let month = PartitionRange::at(first);
    let mut events = match read_from(&month.name, lowest_id(first), count).await {
        Err(error) if error.is_missing_table() => Vec::new(),
        read => read?,
    };
    let missing = count - events.len() as i64;
    if missing > 0 {
        events.extend(read_from("events", month.to, missing).await?);
    }
    Ok(events)
}

/// An event that a report makes, not an edge.
#[derive(Debug)]
pub(crate) struct ReportedEvent {
    pub(crate) kind: EventType,
    pub(crate) at: Timestamp,
    pub(crate) send_id: String,
    pub(crate) contact_id: ContactId,
    pub(crate) campaign: Option<String>,
}

/// Inserts events and adds them to the rollups, which come last in the order of locks. The
/// partitions must be there: see [`Partitions`](crate::database::Partitions).
pub(crate) async fn insert_reported(
    client: &impl GenericClient,
    tenant: TenantId,
    events: &[ReportedEvent],
) -> Result<(), DatabaseError> {
    let tenant = key(tenant);
    let ids: Vec<Uuid> = events
        .iter()
        .map(|event| random::uuid_v7(event.at))
        .collect();
    let noted = ids.iter().zip(events);
    let noted = Notes::of(noted.map(|(id, event)| (tenant, event.kind, *id)));
    let (rows, noted_kinds, noted_ids) = noted.columns();
    let kinds: Vec<i16> = events.iter().map(|event| event.kind.number()).collect();
    let contacts: Vec<Uuid> = events.iter().map(|event| event.contact_id.uuid()).collect();
    let sends: Vec<&str> = events.iter().map(|event| event.send_id.as_str()).collect();
    // Noted for webhooks as well, if the tenant has some.
    let sql = "with noted as ( \
                 insert into webhook_outbox (tenant_id, id, kind, event_ids) \
                 select $1, note, kind, array_agg(id) \
                 from unnest($6::uuid[], $7::smallint[], $8::uuid[]) as n (note, kind, id) \
                 where exists (select from webhook_endpoints where tenant_id = $1) \
                 group by note, kind) \
               insert into events (tenant_id, id, kind, contact_id, send_id) \
               select $1, * from unnest($2::uuid[], $3::smallint[], $4::uuid[], $5::text[])";
    let statement = client.prepare_cached(sql).await?;
    let values: [&(dyn ToSql + Sync); 8] = [
        &tenant,
        &ids,
        &kinds,
        &contacts,
        &sends,
        &rows,
        &noted_kinds,
        &noted_ids,
    ];
    client.execute(&statement, &values).await?;
    let mut changes = rollups::Changes::default();
    for event in events {
        let of = rollups::Of {
            tenant,
            campaign: event.campaign.as_deref(),
        };
        changes.add_events(of, event.kind, event.at, rollups::Tally::of(None));
    }
    rollups::store::add(client, &changes).await
}
