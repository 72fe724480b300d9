//! A group of events in Postgres: rows, counters and rollups in one transaction.
//!
//! Rows are locked in one order everywhere: events, contacts, sends, rollups, rollups of links, each
//! by its key. Two writers can wait for each other, but never in a circle.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::EdgeEvent;
use super::deltas::{self, ContactDelta, Delta, SendDelta};
use super::group::Group;
use super::insertion::{self, Fate, Inserted, Way};
use super::queue::{Outcome, Writing};
use super::{lone_clicks, rollup_changes, strangers};
use crate::clock::Timestamp;
use crate::database::{DatabaseError, connect};
use crate::erasure;
use crate::rollups;
use crate::tenants::store::key;
use crate::webhooks;

/// What came of an attempt to write a group.
pub(super) enum Written {
    /// One outcome for each request, and the way in which a group like this is best written.
    Done(Vec<Outcome>, Way),
    /// Nothing: [`Way::Plain`] met an event that is known or a contact that is not.
    NotPlain,
}

/// Stores what is new of the group and counts it.
pub(super) async fn write(
    group: &Group,
    way: Way,
    writing: &Writing,
) -> Result<Written, DatabaseError> {
    let times = group.events.iter();
    let times = times.map(|(_, event)| Timestamp(event.id.time()));
    let Writing {
        pool,
        partitions,
        notes_neighbours,
    } = writing;
    partitions.ensure(pool, times).await?;
    let mut client = connect(pool).await?;
    let tx = client.transaction().await?;
    erasure::store::keep_erasures_out(&tx).await?;
    let Inserted {
        mut fates,
        with_webhooks,
    } = match insertion::insert(&tx, &group.events, way).await {
        Err(error) if way == Way::Plain && insertion::is_repeat(&error) => {
            return Ok(Written::NotPlain);
        }
        inserted => inserted?,
    };
    let mut contacts = deltas::of_contacts(new_ones(group, &fates));
    let mut strangers = false;
    if way == Way::Careful && !lock_contacts(&tx, &contacts).await? {
        strangers = true;
        take_in_strangers(&tx, group, &mut fates, &contacts).await?;
        contacts = deltas::of_contacts(new_ones(group, &fates));
        // Also those that another writer made meanwhile.
        if !lock_contacts(&tx, &contacts).await? {
            return Err(DatabaseError::Unreadable(
                "a contact that was made and is gone",
            ));
        }
    }
    if !add_to_contacts(&tx, &contacts).await? {
        return Ok(Written::NotPlain);
    }
    let sends = deltas::of_sends(new_ones(group, &fates));
    let all: Vec<Numbered<'_, '_>> = numbered(&sends).collect();
    let mut rows = add_to_sends(&tx, &all, *notes_neighbours).await?;
    if rows.len() < sends.len() {
        let found: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        let missing: Vec<_> = numbered(&sends)
            .filter(|(number, _)| !found.contains(number))
            .collect();
        strangers::make_sends(&tx, missing.iter().map(|(_, send)| *send)).await?;
        rows.extend(add_to_sends(&tx, &missing, *notes_neighbours).await?);
    }
    if *notes_neighbours {
        lone_clicks::note(&tx, &lone_clicks::of(group, &fates, &sends, &rows)).await?;
    }
    rollups::store::add(&tx, &rollup_changes::of(group, &fates, &sends, &rows)).await?;
    if !with_webhooks.is_empty() {
        let noted = new_ones(group, &fates)
            .map(|event| (key(event.tenant), event.kind, event.id.uuid()))
            .filter(|(tenant, ..)| with_webhooks.contains(tenant));
        webhooks::outbox::note(&tx, noted).await?;
    }
    tx.commit().await?;
    let known = fates.contains(&Fate::Known);
    // What was repeated, or strange, is likely to go on so: a journal is replayed, an edge sends again.
    let next = match known || strangers {
        true => Way::Careful,
        false => Way::Plain,
    };
    Ok(Written::Done(outcomes(group, &fates), next))
}

pub(super) fn new_ones<'g>(
    group: &'g Group,
    fates: &[Fate],
) -> impl Iterator<Item = &'g EdgeEvent> {
    let events = group.events.iter().zip(fates);
    events
        .filter(|(_, fate)| **fate == Fate::New)
        .map(|((_, event), _)| event)
}

fn outcomes(group: &Group, fates: &[Fate]) -> Vec<Outcome> {
    let repeats = group.repeats.iter();
    let mut outcomes: Vec<Outcome> = repeats
        .map(|repeats| Outcome {
            duplicates: *repeats,
            ..Outcome::default()
        })
        .collect();
    for ((request, _), fate) in group.events.iter().zip(fates) {
        if let Some(outcome) = outcomes.get_mut(*request) {
            match fate {
                Fate::New => outcome.accepted += 1,
                Fate::Known => outcome.duplicates += 1,
                Fate::NoConsent => outcome.without_consent += 1,
                Fate::Erased => outcome.erased += 1,
            }
        }
    }
    outcomes
}

/// Sets that are unnested side by side are read as they come; as several arguments of one `unnest` each of
/// them would be written down first.
///
/// Rows are locked in the order of the arrays: the writers' connections look them up one by one.
const UPDATE_CONTACTS: &str = "\
     update contacts c set \
       emails_opened_count = c.emails_opened_count + d.opens, \
       emails_clicked_count = c.emails_clicked_count + d.clicks, \
       emails_human_opened_count = c.emails_human_opened_count + d.human_opens, \
       emails_human_clicked_count = c.emails_human_clicked_count + d.human_clicks, \
       emails_machine_opened_count = c.emails_machine_opened_count + d.machine_opens, \
       emails_machine_clicked_count = c.emails_machine_clicked_count + d.machine_clicks, \
       last_email_opened_at = greatest(c.last_email_opened_at, d.last_open), \
       last_email_clicked_at = greatest(c.last_email_clicked_at, d.last_click), \
       last_email_human_opened_at = greatest(c.last_email_human_opened_at, d.last_human_open), \
       last_email_human_clicked_at = greatest(c.last_email_human_clicked_at, d.last_human_click), \
       unsubscribed_at = least(c.unsubscribed_at, d.unsubscribed) \
     from (select unnest($1::int[]) as tenant_id, unnest($2::uuid[]) as id, \
       unnest($3::bigint[]) as opens, unnest($4::bigint[]) as clicks, \
       unnest($5::timestamptz[]) as last_open, unnest($6::timestamptz[]) as last_click, \
       unnest($7::timestamptz[]) as unsubscribed, unnest($8::bigint[]) as human_opens, \
       unnest($9::bigint[]) as human_clicks, unnest($10::bigint[]) as machine_opens, \
       unnest($11::bigint[]) as machine_clicks, unnest($12::timestamptz[]) as last_human_open, \
       unnest($13::timestamptz[]) as last_human_click) d \
     where c.tenant_id = d.tenant_id and c.id = d.id";

/// For groups that hold strangers: who is there is known, and locked, before anything is counted.
const LOCK_CONTACTS: &str = "\
     select count(*) from (select 1 from contacts c \
       where (c.tenant_id, c.id) in (select * from unnest($1::int[], $2::uuid[])) \
       order by c.tenant_id, c.id for no key update) locked";

/// Locks the contacts that are there. Whether all of them are.
async fn lock_contacts(
    tx: &Transaction<'_>,
    contacts: &[ContactDelta],
) -> Result<bool, DatabaseError> {
    if contacts.is_empty() {
        return Ok(true);
    }
    let (tenants, ids) = keys(contacts);
    let lock = tx.prepare_cached(LOCK_CONTACTS).await?;
    let locked: i64 = tx.query_one(&lock, &[&tenants, &ids]).await?.get(0);
    Ok(usize::try_from(locked) == Ok(contacts.len()))
}

fn keys(contacts: &[ContactDelta]) -> (Vec<i32>, Vec<Uuid>) {
    contacts
        .iter()
        .map(|contact| (contact.tenant, contact.id))
        .unzip()
}

/// Counts on the contacts that are there. Whether all of them are.
async fn add_to_contacts(
    tx: &Transaction<'_>,
    contacts: &[ContactDelta],
) -> Result<bool, DatabaseError> {
    if contacts.is_empty() {
        return Ok(true);
    }
    let (tenants, ids) = keys(contacts);
    let statement = tx.prepare_cached(UPDATE_CONTACTS).await?;
    let deltas = || contacts.iter().map(|contact| &contact.delta);
    let counts = |pick: fn(&Delta) -> i64| -> Vec<i64> { deltas().map(pick).collect() };
    let times = |pick: fn(&Delta) -> Option<Timestamp>| -> Vec<_> { deltas().map(pick).collect() };
    let values: [&(dyn ToSql + Sync); 13] = [
        &tenants,
        &ids,
        &counts(|delta| delta.opens.count.all),
        &counts(|delta| delta.clicks.count.all),
        &times(|delta| delta.opens.last),
        &times(|delta| delta.clicks.last),
        &times(|delta| delta.unsubscribed),
        &counts(|delta| delta.opens.count.human),
        &counts(|delta| delta.clicks.count.human),
        &counts(|delta| delta.opens.count.machine),
        &counts(|delta| delta.clicks.count.machine),
        &times(|delta| delta.opens.last_human),
        &times(|delta| delta.clicks.last_human),
    ];
    let counted = tx.execute(&statement, &values).await?;
    Ok(usize::try_from(counted) == Ok(contacts.len()))
}

/// Makes the contacts that are not there, and takes back the events of those that were erased.
async fn take_in_strangers(
    tx: &Transaction<'_>,
    group: &Group,
    fates: &mut [Fate],
    contacts: &[ContactDelta],
) -> Result<(), DatabaseError> {
    let missing = strangers::missing(tx, contacts).await?;
    let erased = erasure::store::erased_among(tx, &missing).await?;
    let mut taken_back = Vec::new();
    for ((_, event), fate) in group.events.iter().zip(fates) {
        let contact = (key(event.tenant), event.contact.uuid());
        if *fate == Fate::New && erased.contains(&contact) {
            *fate = Fate::Erased;
            taken_back.push(event);
        }
    }
    if !taken_back.is_empty() {
        insertion::take_back(tx, &taken_back).await?;
    }
    let made: Vec<ContactDelta> = contacts
        .iter()
        .filter(|contact| {
            let contact = (contact.tenant, contact.id);
            missing.contains(&contact) && !erased.contains(&contact)
        })
        .cloned()
        .collect();
    strangers::make_contacts(tx, &made).await
}

/// Answers for each send its number, its campaign, and of its opens, clicks, human opens and human
/// clicks: how many there are now, and the first one until now where this group brings an earlier
/// one. Notes the sends whose events have to be judged together: several clicks may be a burst and
/// an open part of it, and only the send knows whether an event came too soon. A click that is alone
/// in its send, or comes later after the other than any tenant's lines reach, is noted by
/// [`lone_clicks`]. The last argument says whether any are noted.
///
/// What was until now is read as it was when the statement began. That is right because whoever
/// changes a send holds the lock of its contact's row, and a statement before this one has taken
/// it.
const UPDATE_SENDS: &str = "\
     with counted as ( \
       update sends s set \
         opens_count = s.opens_count + d.opens, \
         clicks_count = s.clicks_count + d.clicks, \
         opened_at = least(s.opened_at, d.opened_at), \
         clicked_at = least(s.clicked_at, d.clicked_at), \
         unsubscribed_at = least(s.unsubscribed_at, d.unsubscribed_at), \
         human_opens_count = s.human_opens_count + d.human_opens, \
         human_clicks_count = s.human_clicks_count + d.human_clicks, \
         human_opened_at = least(s.human_opened_at, d.human_opened_at), \
         human_clicked_at = least(s.human_clicked_at, d.human_clicked_at), \
         machine_opens_count = s.machine_opens_count + d.machine_opens, \
         machine_clicks_count = s.machine_clicks_count + d.machine_clicks \
       from (select unnest($1::bigint[]) as number, unnest($2::int[]) as tenant_id, \
         unnest($3::text[]) as id, unnest($4::bigint[]) as opens, unnest($5::bigint[]) as clicks, \
         unnest($6::timestamptz[]) as opened_at, unnest($7::timestamptz[]) as clicked_at, \
         unnest($8::timestamptz[]) as unsubscribed_at, unnest($9::bigint[]) as human_opens, \
         unnest($10::bigint[]) as human_clicks, unnest($11::timestamptz[]) as human_opened_at, \
         unnest($12::timestamptz[]) as human_clicked_at, unnest($13::bigint[]) as machine_opens, \
         unnest($14::bigint[]) as machine_clicks) d \
       where s.tenant_id = d.tenant_id and s.id = d.id \
       returning d.number, s.campaign, s.opens_count, s.clicks_count, s.human_opens_count, \
         s.human_clicks_count, \
         case when d.opens > 0 and s.opens_count > d.opens then (select o.opened_at from sends o \
           where o.tenant_id = s.tenant_id and o.id = s.id and o.opened_at > s.opened_at) end \
           as opened_before, \
         case when d.clicks > 0 and s.clicks_count > d.clicks then (select o.clicked_at \
           from sends o where o.tenant_id = s.tenant_id and o.id = s.id \
             and o.clicked_at > s.clicked_at) end as clicked_before, \
         case when d.human_opens > 0 and s.human_opens_count > d.human_opens then ( \
           select o.human_opened_at from sends o where o.tenant_id = s.tenant_id and o.id = s.id \
             and o.human_opened_at > s.human_opened_at) end as human_opened_before, \
         case when d.human_clicks > 0 and s.human_clicks_count > d.human_clicks then ( \
           select o.human_clicked_at from sends o where o.tenant_id = s.tenant_id and o.id = s.id \
             and o.human_clicked_at > s.human_clicked_at) end as human_clicked_before, \
         s.tenant_id, s.id, s.contact_id, \
         d.clicks = 1 and (s.clicks_count = 1 or s.clicks_count = 2 \
           and d.clicked_at > s.clicked_at + interval '10 minutes') as alone, \
         s.clicks_count > 1 and (d.clicks > 0 or d.opens > 0) as several, \
         least(d.opened_at, d.clicked_at) < s.sent_at + interval '10 minutes' \
           and least(d.opened_at, d.clicked_at) < s.sent_at + interval '1 ms' \
             * coalesce((select t.too_soon_millis \
               from tenants t where t.id = s.tenant_id), 2000) as too_soon), \
     noted as ( \
       insert into unsettled (tenant_id, send_id, contact_id) \
       select tenant_id, id, contact_id from counted \
       where $15 and (several and not alone or too_soon) order by tenant_id, id \
       on conflict do nothing) \
     select number, campaign, opens_count, clicks_count, human_opens_count, human_clicks_count, \
       opened_before, clicked_before, human_opened_before, human_clicked_before, alone \
     from counted";

/// A send of a group with its place in it.
type Numbered<'s, 'g> = (i64, &'s SendDelta<'g>);

fn numbered<'s, 'g>(sends: &'s [SendDelta<'g>]) -> impl Iterator<Item = Numbered<'s, 'g>> {
    (0..).zip(sends)
}

/// Counts on the sends that are there.
async fn add_to_sends(
    tx: &Transaction<'_>,
    sends: &[Numbered<'_, '_>],
    notes_neighbours: bool,
) -> Result<Vec<Row>, DatabaseError> {
    if sends.is_empty() {
        return Ok(Vec::new());
    }
    let statement = tx.prepare_cached(UPDATE_SENDS).await?;
    let numbers: Vec<i64> = sends.iter().map(|(number, _)| *number).collect();
    let tenants: Vec<i32> = sends.iter().map(|(_, send)| send.tenant).collect();
    let ids: Vec<&str> = sends.iter().map(|(_, send)| send.id).collect();
    let deltas = || sends.iter().map(|(_, send)| &send.delta);
    let counts = |pick: fn(&Delta) -> i64| -> Vec<i64> { deltas().map(pick).collect() };
    let times = |pick: fn(&Delta) -> Option<Timestamp>| -> Vec<_> { deltas().map(pick).collect() };
    let values: [&(dyn ToSql + Sync); 15] = [
        &numbers,
        &tenants,
        &ids,
        &counts(|delta| delta.opens.count.all),
        &counts(|delta| delta.clicks.count.all),
        &times(|delta| delta.opens.first),
        &times(|delta| delta.clicks.first),
        &times(|delta| delta.unsubscribed),
        &counts(|delta| delta.opens.count.human),
        &counts(|delta| delta.clicks.count.human),
        &times(|delta| delta.opens.first_human),
        &times(|delta| delta.clicks.first_human),
        &counts(|delta| delta.opens.count.machine),
        &counts(|delta| delta.clicks.count.machine),
        &notes_neighbours,
    ];
    Ok(tx.query(&statement, &values).await?)
}
