//! Contacts in Postgres.

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, TenantId};
use tokio_postgres::Row;

use super::{Contact, ContactRef, Email};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::random;
use crate::tenants::store::key;

const COLUMNS: &str = "id, email, created_at, emails_sent_count, emails_opened_count, \
                       emails_clicked_count, last_email_sent_at, last_email_opened_at, \
                       last_email_clicked_at, unsubscribed_at, suppressed_at";

fn read(row: &Row) -> Contact {
    Contact {
        id: ContactId::from_uuid(row.get(0)),
        email: row.get(1),
        created_at: row.get(2),
        emails_sent_count: row.get(3),
        emails_opened_count: row.get(4),
        emails_clicked_count: row.get(5),
        last_email_sent_at: row.get(6),
        last_email_opened_at: row.get(7),
        last_email_clicked_at: row.get(8),
        unsubscribed_at: row.get(9),
        suppressed_at: row.get(10),
    }
}

pub(crate) async fn find(
    client: &impl GenericClient,
    tenant: TenantId,
    contact: &ContactRef,
) -> Result<Option<Contact>, DatabaseError> {
    let row = match contact {
        ContactRef::Id(id) => {
            let sql = format!("select {COLUMNS} from contacts where tenant_id = $1 and id = $2");
            let statement = client.prepare_cached(&sql).await?;
            client
                .query_opt(&statement, &[&key(tenant), &id.uuid()])
                .await?
        }
        ContactRef::Email(email) => {
            let sql =
                format!("select {COLUMNS} from contacts where tenant_id = $1 and email_key = $2");
            let statement = client.prepare_cached(&sql).await?;
            client
                .query_opt(&statement, &[&key(tenant), &email.key()])
                .await?
        }
    };
    Ok(row.as_ref().map(read))
}

/// The contact with this address, made if there is none.
pub(crate) async fn find_or_create(
    client: &impl GenericClient,
    tenant: TenantId,
    email: &Email,
    now: Timestamp,
) -> Result<Contact, DatabaseError> {
    let by_email = ContactRef::Email(email.clone());
    if let Some(contact) = find(client, tenant, &by_email).await? {
        return Ok(contact);
    }
    let sql = format!(
        "insert into contacts (tenant_id, id, email, email_key, created_at) \
         values ($1, $2, $3, $4, $5) \
         on conflict (tenant_id, email_key) where email_key is not null do nothing \
         returning {COLUMNS}"
    );
    let statement = client.prepare_cached(&sql).await?;
    let id = random::uuid_v7(now);
    let row = client
        .query_opt(
            &statement,
            &[&key(tenant), &id, &email.as_str(), &email.key(), &now],
        )
        .await?;
    match row {
        Some(row) => Ok(read(&row)),
        // Another request made it in between; that insert has committed, or ours would wait.
        None => find(client, tenant, &by_email)
            .await?
            .ok_or(DatabaseError::Unreadable("a contact that was just made")),
    }
}

/// Takes the row locks of these contacts in the one order that every writer uses: contacts by id,
/// then sends by id.
pub(crate) async fn lock(
    client: &impl GenericClient,
    tenant: TenantId,
    contacts: &[uuid::Uuid],
) -> Result<(), DatabaseError> {
    let sql = "select from contacts where tenant_id = $1 and id = any($2) \
               order by id for no key update";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(&statement, &[&key(tenant), &contacts])
        .await?;
    Ok(())
}

/// What a group of status reports changes on one contact.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SendingDelta {
    pub(crate) sent: i64,
    pub(crate) last_sent_at: Option<Timestamp>,
    pub(crate) suppressed_at: Option<Timestamp>,
}

pub(crate) async fn add_sending(
    client: &impl GenericClient,
    tenant: TenantId,
    deltas: &std::collections::BTreeMap<ContactId, SendingDelta>,
) -> Result<(), DatabaseError> {
    let ids: Vec<_> = deltas.keys().map(|id| id.uuid()).collect();
    let sent: Vec<_> = deltas.values().map(|delta| delta.sent).collect();
    let last: Vec<_> = deltas.values().map(|delta| delta.last_sent_at).collect();
    let suppressed: Vec<_> = deltas.values().map(|delta| delta.suppressed_at).collect();
    let sql = "update contacts c set \
                 emails_sent_count = c.emails_sent_count + d.sent, \
                 last_email_sent_at = greatest(c.last_email_sent_at, d.last_sent_at), \
                 suppressed_at = coalesce(c.suppressed_at, d.suppressed_at) \
               from unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::timestamptz[]) \
                 as d (id, sent, last_sent_at, suppressed_at) \
               where c.tenant_id = $1 and c.id = d.id";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(&statement, &[&key(tenant), &ids, &sent, &last, &suppressed])
        .await?;
    Ok(())
}
