//! The events themselves: consent first, then rows.
//!
//! Nearly always a group holds no event that is known. It is then copied, which costs half of what
//! `insert … on conflict` does; a repeat fails the copy, and the group is inserted the other way.

use std::collections::HashSet;
use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use deadpool_postgres::Transaction;
use futures_util::SinkExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Click, EdgeEvent};
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::tenants::store::key;
use crate::verdicts::{Reasons, Verdict};

/// What became of one event of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    New,
    Known,
    /// The contact has withdrawn its consent.
    NoConsent,
    /// The contact was erased.
    Erased,
}

/// How a group is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Copied and counted at once, which is fast. Comes to nothing if an event of the group is known
    /// or a contact is not.
    Plain,
    /// Leaves out events that are known and makes contacts that are not.
    Careful,
}

/// Whether a copy met an event that is known.
pub(super) fn is_repeat(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Query(error)
        if error.code() == Some(&SqlState::UNIQUE_VIOLATION))
}

/// What became of a group's events, and whose events are to be noted for webhooks.
pub(super) struct Inserted {
    pub(super) fates: Vec<Fate>,
    pub(super) with_webhooks: HashSet<i32>,
}

/// Inserts what may be stored and gives each event's fate. What a contact said before the group came
/// holds for the group.
pub(super) async fn insert(
    tx: &Transaction<'_>,
    events: &[(usize, EdgeEvent)],
    way: Way,
) -> Result<Inserted, DatabaseError> {
    let Wishes {
        refusing,
        with_webhooks,
    } = wishes(tx, events).await?;
    let mut fates: Vec<Fate> = events
        .iter()
        .map(|(_, event)| {
            let contact = (key(event.tenant), event.contact.uuid());
            match event.kind != EventType::Unsubscribed && refusing.contains(&contact) {
                true => Fate::NoConsent,
                false => Fate::New,
            }
        })
        .collect();
    let kept: Vec<&EdgeEvent> = events
        .iter()
        .zip(&fates)
        .filter(|(_, fate)| **fate == Fate::New)
        .map(|((_, event), _)| event)
        .collect();
    match way {
        Way::Plain => copy(tx, &kept).await?,
        Way::Careful => {
            let new = insert_missing(tx, &kept).await?;
            for ((_, event), fate) in events.iter().zip(&mut fates) {
                if *fate == Fate::New && !new.contains(&(key(event.tenant), event.id.uuid())) {
                    *fate = Fate::Known;
                }
            }
        }
    }
    Ok(Inserted {
        fates,
        with_webhooks,
    })
}

struct Wishes {
    /// Contacts, by tenant, that have withdrawn their consent.
    refusing: HashSet<(i32, Uuid)>,
    /// Tenants that have endpoints of webhooks.
    with_webhooks: HashSet<i32>,
}

/// What contacts and tenants of these events want.
async fn wishes(
    tx: &Transaction<'_>,
    events: &[(usize, EdgeEvent)],
) -> Result<Wishes, DatabaseError> {
    let mut tenants: Vec<i32> = events.iter().map(|(_, event)| key(event.tenant)).collect();
    // Sorted already.
    tenants.dedup();
    let sql = "select t.id, \
                 exists (select from contacts c \
                   where c.tenant_id = t.id and c.tracking_consent = false), \
                 exists (select from webhook_endpoints w where w.tenant_id = t.id) \
               from unnest($1::int[]) as t (id)";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&tenants]).await?;
    let those = |column: usize| -> HashSet<i32> {
        let rows = rows.iter().filter(|row| row.get(column));
        rows.map(|row| row.get(0)).collect()
    };
    let (tenants, with_webhooks) = (those(1), those(2));
    if tenants.is_empty() {
        return Ok(Wishes {
            refusing: HashSet::new(),
            with_webhooks,
        });
    }
    let mut contacts: Vec<(i32, Uuid)> = events
        .iter()
        .map(|(_, event)| (key(event.tenant), event.contact.uuid()))
        .filter(|(tenant, _)| tenants.contains(tenant))
        .collect();
    contacts.sort_unstable();
    contacts.dedup();
    let (tenants, ids): (Vec<i32>, Vec<Uuid>) = contacts.into_iter().unzip();
    let sql = "select c.tenant_id, c.id from unnest($1::int[], $2::uuid[]) as d (tenant_id, id) \
               join contacts c on c.tenant_id = d.tenant_id and c.id = d.id \
               where c.tracking_consent = false";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[&tenants, &ids]).await?;
    Ok(Wishes {
        refusing: rows.iter().map(|row| (row.get(0), row.get(1))).collect(),
        with_webhooks,
    })
}

/// Bytes that are handed to the connection at a time.
const CHUNK_BYTES: usize = 64 << 10;

async fn copy(tx: &Transaction<'_>, events: &[&EdgeEvent]) -> Result<(), DatabaseError> {
    let sql = "copy events (tenant_id, id, kind, contact_id, send_id, link_index, url, ip, \
                 user_agent, accept_language, sec_purpose, purpose, x_purpose, x_moz, \
                 verdict, reasons) \
               from stdin (format binary)";
    let statement = tx.prepare_cached(sql).await?;
    let sink = tx.copy_in::<_, Bytes>(&statement).await?;
    futures_util::pin_mut!(sink);
    let mut rows = BytesMut::with_capacity(CHUNK_BYTES + 8192);
    // The signature, no flags, no extension of the header.
    rows.put_slice(b"PGCOPY\n\xFF\r\n\0");
    rows.put_u64(0);
    for event in events {
        put_row(event, &mut rows);
        if rows.len() >= CHUNK_BYTES {
            sink.feed(rows.split().freeze()).await?;
        }
    }
    rows.put_i16(-1);
    sink.feed(rows.freeze()).await?;
    sink.finish().await?;
    Ok(())
}

/// One tuple of Postgres's binary copy format, in the order of the columns named above.
fn put_row(event: &EdgeEvent, out: &mut BytesMut) {
    out.put_i16(16);
    out.put_i32(4);
    out.put_i32(key(event.tenant));
    put(out, Some(event.id.uuid().as_bytes().as_slice()));
    out.put_i32(2);
    out.put_i16(event.kind.number());
    put(out, Some(event.contact.as_bytes().as_slice()));
    put(out, Some(event.send.as_bytes()));
    let index = event.click.as_ref().map(|click| i64::from(click.index));
    put(
        out,
        index
            .map(i64::to_be_bytes)
            .as_ref()
            .map(|bytes| bytes.as_slice()),
    );
    let url = event.click.as_ref().map(|click| click.url.as_bytes());
    put(out, url);
    put_address(out, event.signals.ip);
    let signals = &event.signals;
    for text in [
        &signals.user_agent,
        &signals.accept_language,
        &signals.sec_purpose,
        &signals.purpose,
        &signals.x_purpose,
        &signals.x_moz,
    ] {
        put(out, text.as_ref().map(String::as_bytes));
    }
    let verdict = event
        .verdict()
        .map(|verdict| verdict.number().to_be_bytes());
    put(out, verdict.as_ref().map(<[u8; 2]>::as_slice));
    let reasons = event.reasons.map(|reasons| reasons.bits().to_be_bytes());
    put(out, reasons.as_ref().map(<[u8; 4]>::as_slice));
}

/// A value's length and bytes; a length of -1 says that there is none.
fn put(out: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        // No text of an event is longer than its line.
        Some(value) => {
            out.put_i32(i32::try_from(value.len()).unwrap_or(0));
            out.put_slice(value);
        }
        None => out.put_i32(-1),
    }
}

/// `inet`: family, bits of the prefix, no network, length, bytes.
fn put_address(out: &mut BytesMut, address: Option<IpAddr>) {
    match address {
        None => out.put_i32(-1),
        Some(IpAddr::V4(v4)) => {
            out.put_i32(8);
            out.put_slice(&[2, 32, 0, 4]);
            out.put_slice(&v4.octets());
        }
        Some(IpAddr::V6(v6)) => {
            out.put_i32(20);
            out.put_slice(&[3, 128, 0, 16]);
            out.put_slice(&v6.octets());
        }
    }
}

/// Inserts those that are not known; gives them by tenant and id.
async fn insert_missing(
    tx: &Transaction<'_>,
    events: &[&EdgeEvent],
) -> Result<HashSet<(i32, Uuid)>, DatabaseError> {
    let sql = "insert into events (tenant_id, id, kind, contact_id, send_id, link_index, url, ip, \
                 user_agent, accept_language, sec_purpose, purpose, x_purpose, x_moz, \
                 verdict, reasons) \
               select * from unnest($1::int[], $2::uuid[], $3::smallint[], $4::uuid[], \
                 $5::text[], $6::bigint[], $7::text[], $8::inet[], $9::text[], $10::text[], \
                 $11::text[], $12::text[], $13::text[], $14::text[], $15::smallint[], $16::int[]) \
               on conflict do nothing returning tenant_id, id";
    let statement = tx.prepare_cached(sql).await?;
    fn column<'a, T>(events: &[&'a EdgeEvent], pick: impl Fn(&'a EdgeEvent) -> T) -> Vec<T> {
        events.iter().map(|event| pick(event)).collect()
    }
    let click = |event: &EdgeEvent| {
        let click = event.click.as_ref();
        click.map(|Click { index, .. }| i64::from(*index))
    };
    let url = |event: &EdgeEvent| event.click.as_ref().map(|click| click.url.clone());
    let values: [&(dyn ToSql + Sync); 16] = [
        &column(events, |event| key(event.tenant)),
        &column(events, |event| event.id.uuid()),
        &column(events, |event| event.kind.number()),
        &column(events, |event| event.contact.uuid()),
        &column(events, |event| event.send.as_str()),
        &column(events, click),
        &column(events, url),
        &column(events, |event| event.signals.ip),
        &column(events, |event| event.signals.user_agent.as_deref()),
        &column(events, |event| event.signals.accept_language.as_deref()),
        &column(events, |event| event.signals.sec_purpose.as_deref()),
        &column(events, |event| event.signals.purpose.as_deref()),
        &column(events, |event| event.signals.x_purpose.as_deref()),
        &column(events, |event| event.signals.x_moz.as_deref()),
        &column(events, |event| event.verdict().map(Verdict::number)),
        &column(events, |event| event.reasons.map(Reasons::bits)),
    ];
    let rows = tx.query(&statement, &values).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Takes events back that this transaction inserted.
pub(super) async fn take_back(
    tx: &Transaction<'_>,
    events: &[&EdgeEvent],
) -> Result<(), DatabaseError> {
    let tenants: Vec<i32> = events.iter().map(|event| key(event.tenant)).collect();
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.uuid()).collect();
    let sql = "delete from events e using unnest($1::int[], $2::uuid[]) as d (tenant_id, id) \
               where e.tenant_id = d.tenant_id and e.id = d.id";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&tenants, &ids]).await?;
    Ok(())
}
