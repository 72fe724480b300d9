//! Writes down what was judged anew: verdicts, counters, times and rollups, in that order. The
//! contacts must be locked.

use std::collections::{BTreeMap, HashSet};

use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::found::{Found, FoundEvent, FoundSend};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::events::{EventType, time_of};
use crate::rollups::{self, Changes, Of, Tally, Whose};
use crate::verdicts::{Action, Reasons, Verdict};

/// How much was looked at and what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Corrected {
    pub(crate) sends: u64,
    pub(crate) events: u64,
    /// Events whose reasons changed, those whose verdict changed among them.
    pub(crate) reasons_changed: u64,
    /// By verdict before and after.
    pub(crate) verdicts_changed: BTreeMap<(Option<Verdict>, Verdict), u64>,
}

impl Corrected {
    pub(super) fn of(found: &Found, after: &[Vec<Reasons>]) -> Self {
        let mut corrected = Self {
            sends: found.sends.len() as u64,
            ..Self::default()
        };
        for (_, event, reasons) in all(found, after) {
            corrected.events += 1;
            corrected.reasons_changed += u64::from(event.reasons != Some(reasons));
            if event.verdict != Some(reasons.verdict()) {
                let change = (event.verdict, reasons.verdict());
                *corrected.verdicts_changed.entry(change).or_default() += 1;
            }
        }
        corrected
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.sends += other.sends;
        self.events += other.events;
        self.reasons_changed += other.reasons_changed;
        for (change, events) in &other.verdicts_changed {
            *self.verdicts_changed.entry(*change).or_default() += events;
        }
    }

    pub(super) fn record(&self) {
        metrics::counter!("kraiter_settled_sends_total").increment(self.sends);
        for ((_, after), events) in &self.verdicts_changed {
            metrics::counter!("kraiter_verdicts_corrected_total", "verdict" => after.as_str())
                .increment(*events);
        }
    }
}

fn all<'f>(
    found: &'f Found,
    after: &'f [Vec<Reasons>],
) -> impl Iterator<Item = (&'f FoundSend, &'f FoundEvent, Reasons)> {
    let sends = found.sends.iter().zip(after);
    sends.flat_map(|(send, after)| {
        let events = send.events.iter().zip(after);
        events.map(move |(event, reasons)| (send, event, *reasons))
    })
}

/// Opens and clicks, by what their verdicts change.
#[derive(Clone, Copy, Debug, Default)]
struct Shift {
    opens: Tally,
    clicks: Tally,
}

impl Shift {
    fn add(&mut self, event: &FoundEvent, reasons: Reasons) {
        let change = Tally::of(Some(reasons.verdict())) - Tally::of(event.verdict);
        match event.action {
            Action::Open => self.opens += change,
            Action::Click => self.clicks += change,
        }
    }
}

pub(super) async fn write(
    tx: &Transaction<'_>,
    found: &Found,
    after: &[Vec<Reasons>],
) -> Result<Corrected, DatabaseError> {
    let corrected = Corrected::of(found, after);
    if corrected.reasons_changed == 0 && corrected.verdicts_changed.is_empty() {
        return Ok(corrected);
    }
    write_events(tx, found, after).await?;
    if corrected.verdicts_changed.is_empty() {
        return Ok(corrected);
    }
    let mut contacts: BTreeMap<(i32, Uuid), Shift> = BTreeMap::new();
    let mut changes = Changes::default();
    let mut taken = HashSet::new();
    for (send, event, reasons) in all(found, after) {
        if event.verdict == Some(reasons.verdict()) {
            continue;
        }
        let contact = (send.key.tenant, send.key.contact);
        contacts.entry(contact).or_default().add(event, reasons);
        if event.verdict == Some(Verdict::Human) {
            taken.insert((contact, event.kind().number(), event.at().millis()));
        }
        let of = of(send);
        let change = Tally::of(Some(reasons.verdict())) - Tally::of(event.verdict);
        changes.add_events(of, event.kind(), event.at(), change);
        if let (Some(index), Some(url), Action::Click) = (event.link, &event.url, event.action) {
            changes.add_clicks(of, index, url, event.at(), change);
        }
    }
    write_contacts(tx, &contacts, &taken).await?;
    write_sends(tx, found, after, &mut changes).await?;
    rollups::store::add(tx, &changes).await?;
    Ok(corrected)
}

fn of(send: &FoundSend) -> Of<'_> {
    Of {
        tenant: send.key.tenant,
        campaign: send.campaign.as_deref(),
    }
}

async fn write_events(
    tx: &Transaction<'_>,
    found: &Found,
    after: &[Vec<Reasons>],
) -> Result<(), DatabaseError> {
    let mut changed: Vec<(i32, Uuid, Reasons)> = all(found, after)
        .filter(|(_, event, reasons)| {
            event.reasons != Some(*reasons) || event.verdict != Some(reasons.verdict())
        })
        .map(|(send, event, reasons)| (send.key.tenant, event.id, reasons))
        .collect();
    changed.sort_unstable_by_key(|(tenant, id, _)| (*tenant, *id));
    let tenants: Vec<i32> = changed.iter().map(|(tenant, ..)| *tenant).collect();
    let ids: Vec<Uuid> = changed.iter().map(|(_, id, _)| *id).collect();
    let reasons = || changed.iter().map(|(.., reasons)| *reasons);
    let verdicts: Vec<i16> = reasons().map(|it| it.verdict().number()).collect();
    let bits: Vec<i32> = reasons().map(Reasons::bits).collect();
    let sql = "update events e set verdict = d.verdict, reasons = d.reasons \
               from unnest($1::int[], $2::uuid[], $3::smallint[], $4::int[]) \
                 as d (tenant_id, id, verdict, reasons) \
               where e.tenant_id = d.tenant_id and e.id = d.id";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[&tenants, &ids, &verdicts, &bits])
        .await?;
    Ok(())
}

/// When a contact last opened or clicked by itself is read off the events. Where retention has
/// removed those, the time stays, unless it was one that is `taken` away now.
async fn write_contacts(
    tx: &Transaction<'_>,
    contacts: &BTreeMap<(i32, Uuid), Shift>,
    taken: &HashSet<((i32, Uuid), i16, u64)>,
) -> Result<(), DatabaseError> {
    let tenants: Vec<i32> = contacts.keys().map(|(tenant, _)| *tenant).collect();
    let ids: Vec<Uuid> = contacts.keys().map(|(_, id)| *id).collect();
    let last = "(select e.id from events e where e.tenant_id = d.tenant_id \
                   and e.contact_id = d.id and e.verdict = 1 and e.kind = $ \
                 order by e.id desc limit 1)";
    let sql = format!(
        "select c.last_email_human_opened_at, {}, c.last_email_human_clicked_at, {} \
         from unnest($1::int[], $2::uuid[]) with ordinality as d (tenant_id, id, number) \
         left join contacts c on c.tenant_id = d.tenant_id and c.id = d.id order by d.number",
        last.replace('$', "1"),
        last.replace('$', "2"),
    );
    let statement = tx.prepare_cached(&sql).await?;
    let rows = tx.query(&statement, &[&tenants, &ids]).await?;
    let times = |kind: EventType, column: usize| -> Vec<Option<Timestamp>> {
        let rows = contacts.keys().zip(&rows);
        rows.map(|(contact, row)| {
            let left: Option<Uuid> = row.get(column + 1);
            let known: Option<Timestamp> = row.get(column);
            let known = known.filter(|at| !taken.contains(&(*contact, kind.number(), at.millis())));
            left.map(time_of).or(known)
        })
        .collect()
    };
    let counts = |pick: fn(&Shift) -> i64| -> Vec<i64> { contacts.values().map(pick).collect() };
    let sql = "update contacts c set \
                 emails_human_opened_count = c.emails_human_opened_count + d.human_opens, \
                 emails_human_clicked_count = c.emails_human_clicked_count + d.human_clicks, \
                 emails_machine_opened_count = c.emails_machine_opened_count + d.machine_opens, \
                 emails_machine_clicked_count = c.emails_machine_clicked_count \
                   + d.machine_clicks, \
                 last_email_human_opened_at = d.last_open, \
                 last_email_human_clicked_at = d.last_click \
               from unnest($1::int[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], \
                 $6::bigint[], $7::timestamptz[], $8::timestamptz[]) \
                 as d (tenant_id, id, human_opens, human_clicks, machine_opens, machine_clicks, \
                   last_open, last_click) \
               where c.tenant_id = d.tenant_id and c.id = d.id";
    let statement = tx.prepare_cached(sql).await?;
    let values: [&(dyn ToSql + Sync); 8] = [
        &tenants,
        &ids,
        &counts(|shift| shift.opens.human),
        &counts(|shift| shift.clicks.human),
        &counts(|shift| shift.opens.machine),
        &counts(|shift| shift.clicks.machine),
        &times(EventType::Opened, 0),
        &times(EventType::Clicked, 2),
    ];
    tx.execute(&statement, &values).await?;
    Ok(())
}

/// Counts on sends, and moves their first events by people in the rollups.
async fn write_sends<'f>(
    tx: &Transaction<'_>,
    found: &'f Found,
    after: &[Vec<Reasons>],
    changes: &mut Changes<'f>,
) -> Result<(), DatabaseError> {
    let mut changed = Vec::new();
    for (send, after) in found.sends.iter().zip(after) {
        let mut shift = Shift::default();
        let mut is_changed = false;
        for (event, reasons) in send.events.iter().zip(after) {
            shift.add(event, *reasons);
            is_changed |= event.verdict != Some(reasons.verdict());
        }
        if !is_changed {
            continue;
        }
        let firsts = [
            (Action::Open, EventType::Opened, send.human_opened_at),
            (Action::Click, EventType::Clicked, send.human_clicked_at),
        ];
        let firsts = firsts.map(|(action, kind, before)| {
            let first = first_human(send, after, action, before);
            if first != before {
                for (at, sign) in [(before, -1), (first, 1)] {
                    if let Some(at) = at {
                        changes.add_firsts(of(send), kind, (Whose::Peoples, at), sign);
                    }
                }
            }
            first
        });
        changed.push((&send.key, shift, firsts));
    }
    changed.sort_by_key(|(key, ..)| *key);
    let tenants: Vec<i32> = changed.iter().map(|(key, ..)| key.tenant).collect();
    let ids: Vec<&str> = changed.iter().map(|(key, ..)| key.id.as_str()).collect();
    let counts = |pick: fn(&Shift) -> i64| -> Vec<i64> {
        changed.iter().map(|(_, shift, _)| pick(shift)).collect()
    };
    let opened: Vec<_> = changed.iter().map(|(.., [open, _])| *open).collect();
    let clicked: Vec<_> = changed.iter().map(|(.., [_, click])| *click).collect();
    let sql = "update sends s set \
                 human_opens_count = s.human_opens_count + d.human_opens, \
                 human_clicks_count = s.human_clicks_count + d.human_clicks, \
                 machine_opens_count = s.machine_opens_count + d.machine_opens, \
                 machine_clicks_count = s.machine_clicks_count + d.machine_clicks, \
                 human_opened_at = d.opened_at, human_clicked_at = d.clicked_at \
               from unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], \
                 $6::bigint[], $7::timestamptz[], $8::timestamptz[]) \
                 as d (tenant_id, id, human_opens, human_clicks, machine_opens, machine_clicks, \
                   opened_at, clicked_at) \
               where s.tenant_id = d.tenant_id and s.id = d.id";
    let statement = tx.prepare_cached(sql).await?;
    let values: [&(dyn ToSql + Sync); 8] = [
        &tenants,
        &ids,
        &counts(|shift| shift.opens.human),
        &counts(|shift| shift.clicks.human),
        &counts(|shift| shift.opens.machine),
        &counts(|shift| shift.clicks.machine),
        &opened,
        &clicked,
    ];
    tx.execute(&statement, &values).await?;
    Ok(())
}

/// The first open or click by a person. One that is older than every event that is left stays:
/// retention has removed it.
fn first_human(
    send: &FoundSend,
    after: &[Reasons],
    action: Action,
    before: Option<Timestamp>,
) -> Option<Timestamp> {
    let events = || {
        let events = send.events.iter().zip(after);
        events.filter(move |(event, _)| event.action == action)
    };
    let oldest = events().map(|(event, _)| event.at()).min();
    let human = events()
        .filter(|(_, reasons)| reasons.verdict() == Verdict::Human)
        .map(|(event, _)| event.at())
        .min();
    match (before, oldest) {
        (Some(before), Some(oldest)) if before < oldest => Some(before),
        _ => human,
    }
}
