//! Registering sends and reporting their status: what happens inside one transaction.

use std::collections::BTreeMap;

use deadpool_postgres::{GenericClient, Transaction};
use kraiter_wire::{ContactId, SendId, TenantId};

use super::{Campaign, Send, Status, store};
use crate::clock::Timestamp;
use crate::contacts::store::SendingDelta;
use crate::contacts::{self, Contact, ContactRef};
use crate::database::DatabaseError;
use crate::events::EventType;
use crate::events::store::{ReportedEvent, insert_reported};

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

#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrationError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("no such contact")]
    UnknownContact,
    #[error("the send belongs to another contact")]
    Conflict,
}

impl From<tokio_postgres::Error> for RegistrationError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Registers a send (its partition must be there), once: the same id for the same contact again is the same send.
pub(crate) async fn register(
    tx: &Transaction<'_>,
    tenant: TenantId,
    new: &NewSend,
    now: Timestamp,
) -> Result<Registered, RegistrationError> {
    let contact = match &new.contact {
        ContactRef::Email(email) => contacts::store::find_or_create(tx, tenant, email, now).await?,
        id => contacts::store::find(tx, tenant, id)
            .await?
            .ok_or(RegistrationError::UnknownContact)?,
    };
    store::insert(tx, tenant, &new.id, contact.id, new.campaign.as_ref(), now).await?;
    let at = new.sent_at.unwrap_or(now);
    let report = Report {
        send: new.id.as_str().to_owned(),
        status: new.status,
        at,
    };
    let mut outcomes = report_all(tx, tenant, &[report]).await?;
    let send = outcomes.remove(new.id.as_str());
    // It was inserted above or was there before, and is locked now.
    let send = send.ok_or(DatabaseError::Unreadable("a send that was just registered"))?;
    if send.contact_id != contact.id {
        return Err(RegistrationError::Conflict);
    }
    Ok(Registered {
        contact,
        registered_at: send.registered_at,
    })
}

/// One report of a mail server.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) send: String,
    pub(crate) status: Status,
    pub(crate) at: Timestamp,
}

/// Takes in reports, in order (their partitions must be there), and returns the sends that exist as they are afterwards.
pub(crate) async fn report_all(
    tx: &impl GenericClient,
    tenant: TenantId,
    reports: &[Report],
) -> Result<BTreeMap<String, Send>, DatabaseError> {
    let ids: Vec<&str> = reports.iter().map(|report| report.send.as_str()).collect();
    let mut sends = store::lock(tx, tenant, &ids).await?;
    let mut events = Vec::new();
    let mut deltas: BTreeMap<ContactId, SendingDelta> = BTreeMap::new();
    let mut changed = std::collections::BTreeSet::new();
    for report in reports {
        let Some(send) = sends.get_mut(&report.send) else {
            continue;
        };
        let before = send.progress;
        for kind in send.progress.report(report.status, report.at) {
            let delta = deltas.entry(send.contact_id).or_default();
            match kind {
                EventType::Sent => {
                    delta.sent += 1;
                    delta.last_sent_at = delta.last_sent_at.max(Some(report.at));
                }
                EventType::Bounced | EventType::Complained => {
                    delta.suppressed_at.get_or_insert(report.at);
                }
                _ => {}
            }
            events.push(ReportedEvent {
                kind,
                at: report.at,
                send_id: send.id.clone(),
                contact_id: send.contact_id,
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
    }
    if !events.is_empty() {
        insert_reported(tx, tenant, &events).await?;
    }
    Ok(sends)
}
