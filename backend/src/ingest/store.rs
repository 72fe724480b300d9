//! A group of events into Postgres: rows and counters in one transaction.
//!
//! Rows are locked in one order everywhere: events by tenant and id, contacts by tenant and id,
//! sends by tenant and id. Two writers can wait for each other, but never in a circle.

use std::collections::{BTreeMap, HashSet};

use kraiter_wire::{Day, EventId};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::queue::Outcome;
use super::{Click, EdgeEvent};
use crate::clock::Timestamp;
use crate::database::{DatabaseError, Partitions, Pool, connect};
use crate::events::EventType;
use crate::tenants::store::key;

/// The events of several requests, in the order in which they are locked.
pub(super) struct Group {
    /// Sorted and without repeats, each with the request it came with first.
    events: Vec<(usize, EdgeEvent)>,
    /// For each request, how many of its events stand in the group already.
    repeats: Vec<usize>,
}

impl Group {
    pub(super) fn new(batches: Vec<Vec<EdgeEvent>>) -> Self {
        let mut repeats = vec![0; batches.len()];
        let mut events: Vec<(usize, EdgeEvent)> = batches
            .into_iter()
            .enumerate()
            .flat_map(|(request, batch)| batch.into_iter().map(move |event| (request, event)))
            .collect();
        // Stable: of the same event twice, the request that came first keeps it.
        events.sort_by_key(|(_, event)| (event.tenant, event.id));
        events.dedup_by(|(later, b), (_, a)| {
            let same = (a.tenant, a.id) == (b.tenant, b.id);
            if same && let Some(count) = repeats.get_mut(*later) {
                *count += 1;
            }
            same
        });
        Self { events, repeats }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// A group for each request, in the order of the requests.
    pub(super) fn into_batches(self) -> Vec<Self> {
        let mut batches: Vec<Self> = self
            .repeats
            .iter()
            .map(|repeats| Self {
                events: Vec::new(),
                repeats: vec![*repeats],
            })
            .collect();
        for (request, event) in self.events {
            if let Some(batch) = batches.get_mut(request) {
                batch.events.push((0, event));
            }
        }
        batches
    }
}

/// Stores what is new of the group and counts it. Returns one outcome for each request.
pub(super) async fn write(
    group: &Group,
    pool: &Pool,
    partitions: &Partitions,
) -> Result<Vec<Outcome>, DatabaseError> {
    let times = group
        .events
        .iter()
        .map(|(_, event)| Timestamp(event.id.time()));
    partitions.ensure(pool, times).await?;
    let mut client = connect(pool).await?;
    let tx = client.transaction().await?;
    let inserted = insert_events(&tx, &group.events).await?;
    let mut outcomes: Vec<Outcome> = group
        .repeats
        .iter()
        .map(|repeats| Outcome {
            duplicates: *repeats,
            ..Outcome::default()
        })
        .collect();
    let mut contacts = BTreeMap::new();
    let mut sends = BTreeMap::new();
    for (request, event) in &group.events {
        let Some(outcome) = outcomes.get_mut(*request) else {
            continue;
        };
        match inserted.fate(event) {
            Fate::New => {
                outcome.accepted += 1;
                count(event, &mut contacts, &mut sends);
            }
            Fate::Known => outcome.duplicates += 1,
            Fate::Refused => outcome.without_consent += 1,
        }
    }
    if !contacts.is_empty() {
        // Prepared before, so that the first poll alone decides which is sent first: locks are taken
        // in one order. Both are sent before the first answers: one trip to the server.
        let to_contacts = tx.prepare_cached(ADD_TO_CONTACTS).await?;
        let to_sends = tx.prepare_cached(ADD_TO_SENDS).await?;
        tokio::try_join!(
            biased;
            add_to_contacts(&tx, &to_contacts, &contacts),
            add_to_sends(&tx, &to_sends, &sends),
        )?;
    }
    tx.commit().await?;
    Ok(outcomes)
}

/// What a group adds to one contact or one send.
#[derive(Default)]
struct Delta {
    opens: i64,
    clicks: i64,
    first_open: Option<Timestamp>,
    last_open: Option<Timestamp>,
    first_click: Option<Timestamp>,
    last_click: Option<Timestamp>,
    unsubscribed: Option<Timestamp>,
}

impl Delta {
    fn add(&mut self, kind: EventType, id: EventId) {
        let at = Timestamp(id.time());
        let earlier =
            |slot: &mut Option<Timestamp>| *slot = Some(slot.map_or(at, |old| old.min(at)));
        match kind {
            EventType::Opened => {
                self.opens += 1;
                earlier(&mut self.first_open);
                self.last_open = self.last_open.max(Some(at));
            }
            EventType::Clicked => {
                self.clicks += 1;
                earlier(&mut self.first_click);
                self.last_click = self.last_click.max(Some(at));
            }
            EventType::Unsubscribed => earlier(&mut self.unsubscribed),
            // No edge sees these.
            EventType::Sent | EventType::Delivered | EventType::Bounced | EventType::Complained => {
            }
        }
    }
}

/// By tenant and contact.
type ContactDeltas = BTreeMap<(i32, Uuid), (Day, Delta)>;
/// By tenant and send, with the send's contact and day in case the send is not known.
type SendDeltas<'a> = BTreeMap<(i32, &'a str), (Uuid, Day, Delta)>;

fn count<'a>(event: &'a EdgeEvent, contacts: &mut ContactDeltas, sends: &mut SendDeltas<'a>) {
    let tenant = key(event.tenant);
    let contact = event.contact.uuid();
    let of_contact = contacts
        .entry((tenant, contact))
        .or_insert_with(|| (event.day, Delta::default()));
    of_contact.1.add(event.kind, event.id);
    let of_send = sends
        .entry((tenant, event.send.as_str()))
        .or_insert_with(|| (contact, event.day, Delta::default()));
    of_send.2.add(event.kind, event.id);
}

/// What became of a group's events.
#[derive(Default)]
struct Inserted {
    /// By tenant and event; `None` if all were new.
    new: Option<HashSet<(i32, Uuid)>>,
    /// Contacts, by tenant, that have withdrawn their consent.
    without_consent: HashSet<(i32, Uuid)>,
}

enum Fate {
    New,
    Known,
    Refused,
}

impl Inserted {
    fn fate(&self, event: &EdgeEvent) -> Fate {
        let tenant = key(event.tenant);
        match &self.new {
            None => Fate::New,
            Some(new) if new.contains(&(tenant, event.id.uuid())) => Fate::New,
            Some(_) => match self
                .without_consent
                .contains(&(tenant, event.contact.uuid()))
            {
                true if event.kind != EventType::Unsubscribed => Fate::Refused,
                _ => Fate::Known,
            },
        }
    }
}

/// One statement: consent is looked up where the events are inserted, so it costs no trip to the
/// server, and what a contact said before the batch came holds for the batch.
async fn insert_events(
    tx: &deadpool_postgres::Transaction<'_>,
    events: &[(usize, EdgeEvent)],
) -> Result<Inserted, DatabaseError> {
    let sql = "with seen as ( \
                 select * from unnest($1::int[], $2::uuid[], $3::smallint[], $4::uuid[], \
                   $5::text[], $6::bigint[], $7::text[], $8::inet[], $9::text[], $10::text[], \
                   $11::text[], $12::text[], $13::text[], $14::text[]) \
                   as s (tenant_id, id, kind, contact_id, send_id, link_index, url, ip, \
                     user_agent, accept_language, sec_purpose, purpose, x_purpose, x_moz)), \
               refused as materialized ( \
                 select c.tenant_id, c.id from contacts c where c.tracking_consent = false \
                   and (c.tenant_id, c.id) in (select tenant_id, contact_id from seen)), \
               inserted as ( \
                 insert into events (tenant_id, id, kind, contact_id, send_id, link_index, url, \
                   ip, user_agent, accept_language, sec_purpose, purpose, x_purpose, x_moz) \
                 select * from seen where kind = $15 \
                   or (tenant_id, contact_id) not in (select tenant_id, id from refused) \
                 order by tenant_id, id \
                 on conflict do nothing returning tenant_id, id) \
               select true, tenant_id, id from inserted \
               union all select false, tenant_id, id from refused";
    let statement = tx.prepare_cached(sql).await?;
    fn column<'a, T>(
        events: &'a [(usize, EdgeEvent)],
        pick: impl Fn(&'a EdgeEvent) -> T,
    ) -> Vec<T> {
        events.iter().map(|(_, event)| pick(event)).collect()
    }
    let click = |event: &EdgeEvent| {
        event
            .click
            .as_ref()
            .map(|Click { index, .. }| i64::from(*index))
    };
    let values: [&(dyn ToSql + Sync); 15] = [
        &column(events, |event| key(event.tenant)),
        &column(events, |event| event.id.uuid()),
        &column(events, |event| event.kind.number()),
        &column(events, |event| event.contact.uuid()),
        &column(events, |event| event.send.as_str()),
        &column(events, click),
        &column(events, |event| {
            event.click.as_ref().map(|click| click.url.as_str())
        }),
        &column(events, |event| event.signals.ip),
        &column(events, |event| event.signals.user_agent.as_deref()),
        &column(events, |event| event.signals.accept_language.as_deref()),
        &column(events, |event| event.signals.sec_purpose.as_deref()),
        &column(events, |event| event.signals.purpose.as_deref()),
        &column(events, |event| event.signals.x_purpose.as_deref()),
        &column(events, |event| event.signals.x_moz.as_deref()),
        &EventType::Unsubscribed.number(),
    ];
    let rows = tx.query(&statement, &values).await?;
    let mut inserted = Inserted::default();
    let mut new = HashSet::new();
    for row in &rows {
        let key = (row.get(1), row.get(2));
        match row.get(0) {
            true => new.insert(key),
            false => inserted.without_consent.insert(key),
        };
    }
    inserted.new = (new.len() < events.len()).then_some(new);
    Ok(inserted)
}

/// A contact that is not there becomes a placeholder without an address.
const ADD_TO_CONTACTS: &str = "\
     insert into contacts as c (tenant_id, id, created_at, emails_opened_count, \
       emails_clicked_count, last_email_opened_at, last_email_clicked_at, unsubscribed_at) \
     select * from unnest($1::int[], $2::uuid[], $3::timestamptz[], $4::bigint[], \
       $5::bigint[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[]) \
     on conflict (tenant_id, id) do update set \
       emails_opened_count = c.emails_opened_count + excluded.emails_opened_count, \
       emails_clicked_count = c.emails_clicked_count + excluded.emails_clicked_count, \
       last_email_opened_at = \
         greatest(c.last_email_opened_at, excluded.last_email_opened_at), \
       last_email_clicked_at = \
         greatest(c.last_email_clicked_at, excluded.last_email_clicked_at), \
       unsubscribed_at = coalesce(c.unsubscribed_at, excluded.unsubscribed_at)";

async fn add_to_contacts(
    tx: &deadpool_postgres::Transaction<'_>,
    statement: &Statement,
    deltas: &ContactDeltas,
) -> Result<(), DatabaseError> {
    let tenants: Vec<i32> = deltas.keys().map(|(tenant, _)| *tenant).collect();
    let ids: Vec<Uuid> = deltas.keys().map(|(_, id)| *id).collect();
    let created: Vec<_> = deltas
        .values()
        .map(|(day, _)| Timestamp(day.start()))
        .collect();
    let opens: Vec<_> = deltas.values().map(|(_, delta)| delta.opens).collect();
    let clicks: Vec<_> = deltas.values().map(|(_, delta)| delta.clicks).collect();
    let last_opens: Vec<_> = deltas.values().map(|(_, delta)| delta.last_open).collect();
    let last_clicks: Vec<_> = deltas.values().map(|(_, delta)| delta.last_click).collect();
    let unsubscribed: Vec<_> = deltas
        .values()
        .map(|(_, delta)| delta.unsubscribed)
        .collect();
    tx.execute(
        statement,
        &[
            &tenants,
            &ids,
            &created,
            &opens,
            &clicks,
            &last_opens,
            &last_clicks,
            &unsubscribed,
        ],
    )
    .await?;
    Ok(())
}

/// A send that is not there becomes a placeholder: it was sent, or nobody could have opened it,
/// but it counts as sent only once it is registered.
const ADD_TO_SENDS: &str = "\
     insert into sends as s (tenant_id, id, contact_id, status, registered_at, \
       opens_count, clicks_count, opened_at, clicked_at, unsubscribed_at) \
     select d.tenant_id, d.id, d.contact_id, 'sent', d.registered_at, d.opens, \
       d.clicks, d.opened_at, d.clicked_at, d.unsubscribed_at \
     from unnest($1::int[], $2::text[], $3::uuid[], $4::timestamptz[], $5::bigint[], \
       $6::bigint[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[]) \
       as d (tenant_id, id, contact_id, registered_at, opens, clicks, opened_at, \
             clicked_at, unsubscribed_at) \
     on conflict (tenant_id, id) do update set \
       opens_count = s.opens_count + excluded.opens_count, \
       clicks_count = s.clicks_count + excluded.clicks_count, \
       opened_at = least(s.opened_at, excluded.opened_at), \
       clicked_at = least(s.clicked_at, excluded.clicked_at), \
       unsubscribed_at = coalesce(s.unsubscribed_at, excluded.unsubscribed_at)";

async fn add_to_sends(
    tx: &deadpool_postgres::Transaction<'_>,
    statement: &Statement,
    deltas: &SendDeltas<'_>,
) -> Result<(), DatabaseError> {
    let tenants: Vec<i32> = deltas.keys().map(|(tenant, _)| *tenant).collect();
    let ids: Vec<&str> = deltas.keys().map(|(_, id)| *id).collect();
    let contacts: Vec<Uuid> = deltas.values().map(|(contact, ..)| *contact).collect();
    let registered: Vec<_> = deltas
        .values()
        .map(|(_, day, _)| Timestamp(day.start()))
        .collect();
    let opens: Vec<_> = deltas.values().map(|(.., delta)| delta.opens).collect();
    let clicks: Vec<_> = deltas.values().map(|(.., delta)| delta.clicks).collect();
    let opened: Vec<_> = deltas
        .values()
        .map(|(.., delta)| delta.first_open)
        .collect();
    let clicked: Vec<_> = deltas
        .values()
        .map(|(.., delta)| delta.first_click)
        .collect();
    let unsubscribed: Vec<_> = deltas
        .values()
        .map(|(.., delta)| delta.unsubscribed)
        .collect();
    tx.execute(
        statement,
        &[
            &tenants,
            &ids,
            &contacts,
            &registered,
            &opens,
            &clicks,
            &opened,
            &clicked,
            &unsubscribed,
        ],
    )
    .await?;
    Ok(())
}
