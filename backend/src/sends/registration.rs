//! Registering sends and reporting their status: what happens inside one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, SendId, TenantId};
use uuid::Uuid;

use super::{Campaign, Send, Status, store};
use crate::clock::Timestamp;
use crate::contacts::store::SendingDelta;
use crate::contacts::{self, Contact, ContactRef};
use crate::database::DatabaseError;
use crate::erasure;
use crate::events::EventType;
use crate::events::store::{ReportedEvent, insert_reported};
use crate::rollups;
use crate::tenants::store::key;

/// A mail that is going to be sent, or was.
#[derive(Clone, Debug)]
pub(crate) struct NewSend {
    pub(crate) id: SendId<'static>,
    pub(crate) contact: ContactRef,
    pub(crate) campaign: Option<Campaign>,
    pub(crate) status: Status,
    /// When it was sent, if that was not now.
    pub(crate) sent_at: Option<Timestamp>,
}

/// What registering gives besides the id: enough to sign links and to warn.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) contact: Contact,
    pub(crate) registered_at: Timestamp,
}

/// Why one send is not registered. It leaves nothing behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no contact of the id that was given.
    UnknownContact,
    /// The contact of that id was erased.
    Erased,
    /// The send was registered for another contact.
    Conflict,
}

/// Registers sends, each once: the same id for the same contact again is the same send. One that is
/// refused does not keep the others back. Their partitions must be there.
pub(crate) async fn register_all(
    tx: &impl GenericClient,
    tenant: TenantId,
    new: &[NewSend],
    now: Timestamp,
) -> Result<Vec<Result<Registered, Refusal>>, DatabaseError> {
    let ids: Vec<&str> = new.iter().map(|new| new.id.as_str()).collect();
    erasure::store::keep_erasures_out(tx).await?;
    // Looked at before a contact is made, so that a conflict leaves none behind.
    let owners = store::owners(tx, tenant, &ids).await?;
    let conflicts = |new: &NewSend| match (owners.get(new.id.as_str()), &new.contact) {
        (None, _) => false,
        (Some((owner, _)), ContactRef::Id(id)) => owner != id,
        (Some((_, owner)), ContactRef::Email(email)) => owner.as_deref() != Some(email.key()),
    };
    let wanted: Vec<&ContactRef> = new
        .iter()
        .filter(|new| !conflicts(new))
        .map(|new| &new.contact)
        .collect();
    let (contacts, made) = contacts::store::find_or_create_all(tx, tenant, &wanted, now).await?;
    let erased = erased(tx, tenant, &wanted, &contacts).await?;
    let mut rows = BTreeMap::new();
    for new in new.iter().filter(|new| !conflicts(new)) {
        if let Some(contact) = contacts.get(&new.contact) {
            let campaign = new.campaign.as_ref().map(Campaign::as_str);
            // Of the same id twice in one request, the first keeps it.
            rows.entry(new.id.as_str())
                .or_insert((contact.id, campaign));
        }
    }
    // Locked before sends are inserted, as ingest does: it may be making one of them right now.
    let locked: Vec<_> = rows.values().map(|(contact, _)| contact.uuid()).collect();
    contacts::store::lock(tx, tenant, &locked).await?;
    store::insert(tx, tenant, &rows, now).await?;
    let mut sends = store::lock(tx, tenant, &ids).await?;
    let outcomes: Vec<Result<Registered, Refusal>> = new
        .iter()
        .map(|new| match &new.contact {
            ContactRef::Id(id) if erased.contains(id) => Err(Refusal::Erased),
            _ => outcome(new, &contacts, &sends, conflicts(new)),
        })
        .collect();
    remove_unused(tx, tenant, made, &outcomes).await?;
    let registered: Vec<&NewSend> = new
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(new, _)| new)
        .collect();
    fill_campaigns(tx, tenant, &registered, &mut sends).await?;
    let reports: Vec<Report> = registered
        .iter()
        .map(|new| Report {
            send: new.id.as_str().to_owned(),
            status: new.status,
            at: new.sent_at.unwrap_or(now),
        })
        .collect();
    apply(tx, tenant, &mut sends, &reports).await?;
    Ok(outcomes)
}

/// Those of the contacts that are not there because they were erased.
async fn erased(
    tx: &impl GenericClient,
    tenant: TenantId,
    wanted: &[&ContactRef],
    found: &HashMap<ContactRef, Contact>,
) -> Result<HashSet<ContactId>, DatabaseError> {
    let missing = wanted
        .iter()
        .filter(|contact| !found.contains_key(**contact));
    let ids: HashSet<(i32, Uuid)> = missing
        .filter_map(|contact| match contact {
            ContactRef::Id(id) => Some((key(tenant), id.uuid())),
            ContactRef::Email(_) => None,
        })
        .collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let erased = erasure::store::erased_among(tx, &ids).await?;
    Ok(erased
        .into_iter()
        .map(|(_, id)| ContactId::from_uuid(id))
        .collect())
}

/// Takes back the contacts whose sends lost their id to someone else meanwhile.
async fn remove_unused(
    tx: &impl GenericClient,
    tenant: TenantId,
    made: Vec<ContactId>,
    outcomes: &[Result<Registered, Refusal>],
) -> Result<(), DatabaseError> {
    let used: BTreeSet<ContactId> = outcomes
        .iter()
        .flatten()
        .map(|registered| registered.contact.id)
        .collect();
    let unused: Vec<ContactId> = made.into_iter().filter(|id| !used.contains(id)).collect();
    match unused.is_empty() {
        true => Ok(()),
        false => contacts::store::remove(tx, tenant, &unused).await,
    }
}

/// A send that an event made before it was registered learns its campaign, and what was counted
/// for it moves there.
async fn fill_campaigns(
    tx: &impl GenericClient,
    tenant: TenantId,
    registered: &[&NewSend],
    sends: &mut BTreeMap<String, Send>,
) -> Result<(), DatabaseError> {
    let missing: BTreeMap<&str, &str> = registered
        .iter()
        .filter(|new| {
            let send = sends.get(new.id.as_str());
            send.is_some_and(|send| send.campaign.is_none())
        })
        .filter_map(|new| Some((new.id.as_str(), new.campaign.as_ref()?.as_str())))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    store::set_campaigns(tx, tenant, &missing).await?;
    let moved: Vec<(&Send, &str)> = missing
        .iter()
        .filter_map(|(id, campaign)| Some((sends.get(*id)?, *campaign)))
        .collect();
    rollups::store::move_sends(tx, tenant, &moved).await?;
    for (id, campaign) in missing {
        if let Some(send) = sends.get_mut(id) {
            send.campaign = Some(campaign.to_owned());
        }
    }
    Ok(())
}

fn outcome(
    new: &NewSend,
    contacts: &HashMap<ContactRef, Contact>,
    sends: &BTreeMap<String, Send>,
    conflicts: bool,
) -> Result<Registered, Refusal> {
    if conflicts {
        return Err(Refusal::Conflict);
    }
    let contact = contacts.get(&new.contact).ok_or(Refusal::UnknownContact)?;
    // Looked at again now that its row is locked: another request may have taken the id just now.
    let send = sends
        .get(new.id.as_str())
        .filter(|send| send.contact_id == contact.id);
    let registered_at = send.ok_or(Refusal::Conflict)?.registered_at;
    Ok(Registered {
        contact: contact.clone(),
        registered_at,
    })
}

/// One report of a mail server.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) send: String,
    pub(crate) status: Status,
    pub(crate) at: Timestamp,
}

/// Takes in reports, in order (their partitions must be there), and returns the sends that exist as
/// they are afterwards.
pub(crate) async fn report_all(
    tx: &impl GenericClient,
    tenant: TenantId,
    reports: &[Report],
) -> Result<BTreeMap<String, Send>, DatabaseError> {
    erasure::store::keep_erasures_out(tx).await?;
    let ids: Vec<&str> = reports.iter().map(|report| report.send.as_str()).collect();
    let mut sends = store::lock(tx, tenant, &ids).await?;
    apply(tx, tenant, &mut sends, reports).await?;
    Ok(sends)
}

/// Writes what reports change on sends whose rows are locked, with their events and counters.
async fn apply(
    tx: &impl GenericClient,
    tenant: TenantId,
    sends: &mut BTreeMap<String, Send>,
    reports: &[Report],
) -> Result<(), DatabaseError> {
    let mut events = Vec::new();
    let mut deltas: BTreeMap<ContactId, SendingDelta> = BTreeMap::new();
    let mut changed = BTreeSet::new();
    for report in reports {
        let Some(send) = sends.get_mut(&report.send) else {
            continue;
        };
        let before = send.progress;
        for kind in send.progress.report(report.status, report.at) {
            deltas
                .entry(send.contact_id)
                .or_default()
                .add(kind, report.at);
            events.push(ReportedEvent {
                kind,
                at: report.at,
                send_id: send.id.clone(),
                contact_id: send.contact_id,
                campaign: send.campaign.clone(),
            });
        }
        if send.progress != before {
            changed.insert(report.send.as_str());
        }
    }
    if !changed.is_empty() {
        let rows: Vec<&Send> = changed.iter().filter_map(|id| sends.get(*id)).collect();
        store::save_progress(tx, tenant, &rows).await?;
    }
    if !deltas.is_empty() {
        contacts::store::add_sending(tx, tenant, &deltas).await?;
        insert_reported(tx, tenant, &events).await?;
    }
    Ok(())
}

impl SendingDelta {
    fn add(&mut self, kind: EventType, at: Timestamp) {
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        match kind {
            EventType::Sent => {
                self.sent += 1;
                self.last_sent_at = self.last_sent_at.max(Some(at));
            }
            EventType::Bounced | EventType::Complained => {
                self.suppressed_at.get_or_insert(at);
            }
            EventType::Delivered
            | EventType::Opened
            | EventType::Clicked
            | EventType::Unsubscribed => {}
        }
    }
}
