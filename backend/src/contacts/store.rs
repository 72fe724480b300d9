//! Contacts in Postgres.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::GenericClient;
use kraiter_wire::{ContactId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Consent, Contact, ContactRef};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::random;
use crate::tenants::store::key;

pub(crate) const COLUMNS: &str = "id, email, created_at, emails_sent_count, emails_opened_count, \
                       emails_clicked_count, last_email_sent_at, last_email_opened_at, \
                       last_email_clicked_at, unsubscribed_at, suppressed_at, \
                       tracking_consent, emails_human_opened_count, emails_human_clicked_count, \
                       emails_machine_opened_count, emails_machine_clicked_count, \
                       last_email_human_opened_at, last_email_human_clicked_at";

/// Where columns begin that a query adds to these.
pub(crate) const COLUMNS_COUNT: usize = 18;

pub(crate) fn read(row: &Row) -> Contact {
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
        consent: row.get::<_, Option<bool>>(11).map(|given| match given {
            true => Consent::Given,
            false => Consent::Withdrawn,
        }),
        emails_human_opened_count: row.get(12),
        emails_human_clicked_count: row.get(13),
        emails_machine_opened_count: row.get(14),
        emails_machine_clicked_count: row.get(15),
        last_email_human_opened_at: row.get(16),
        last_email_human_clicked_at: row.get(17),
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

/// Those of these contacts that are there, by what they were asked for.
pub(crate) async fn find_all(
    client: &impl GenericClient,
    tenant: TenantId,
    wanted: &[&ContactRef],
) -> Result<HashMap<ContactRef, Contact>, DatabaseError> {
    let mut found = HashMap::new();
    let ids: Vec<Uuid> = wanted
        .iter()
        .filter_map(|contact| match contact {
            ContactRef::Id(id) => Some(id.uuid()),
            ContactRef::Email(_) => None,
        })
        .collect();
    if !ids.is_empty() {
        let sql = format!("select {COLUMNS} from contacts where tenant_id = $1 and id = any($2)");
        let statement = client.prepare_cached(&sql).await?;
        let rows = client.query(&statement, &[&key(tenant), &ids]).await?;
        found.extend(
            rows.iter()
                .map(read)
                .map(|contact| (ContactRef::Id(contact.id), contact)),
        );
    }
    let emails: HashMap<&str, &ContactRef> = wanted
        .iter()
        .filter_map(|contact| match contact {
            ContactRef::Email(email) => Some((email.key(), *contact)),
            ContactRef::Id(_) => None,
        })
        .collect();
    if !emails.is_empty() {
        let keys: Vec<&str> = emails.keys().copied().collect();
        let sql = format!(
            "select {COLUMNS}, email_key from contacts where tenant_id = $1 and email_key = any($2)"
        );
        let statement = client.prepare_cached(&sql).await?;
        for row in client.query(&statement, &[&key(tenant), &keys]).await? {
            let email_key: &str = row.get(COLUMNS_COUNT);
            if let Some(contact) = emails.get(email_key) {
                found.insert((*contact).clone(), read(&row));
            }
        }
    }
    Ok(found)
}

/// These contacts, made where they are given by an address that is not known. An id that is not
/// known is left out. Also gives the ids of those that were made.
pub(crate) async fn find_or_create_all(
    client: &impl GenericClient,
    tenant: TenantId,
    wanted: &[&ContactRef],
    now: Timestamp,
) -> Result<(HashMap<ContactRef, Contact>, Vec<ContactId>), DatabaseError> {
    let mut found = find_all(client, tenant, wanted).await?;
    // By key, so that two requests with the same new addresses cannot wait for each other.
    let missing: BTreeMap<&str, &str> = wanted
        .iter()
        .filter(|contact| !found.contains_key(**contact))
        .filter_map(|contact| match contact {
            ContactRef::Email(email) => Some((email.key(), email.as_str())),
            ContactRef::Id(_) => None,
        })
        .collect();
    if missing.is_empty() {
        return Ok((found, Vec::new()));
    }
    let sql = "insert into contacts (tenant_id, id, email, email_key, created_at) \
               select $1, d.id, d.email, d.email_key, $5 \
               from unnest($2::uuid[], $3::text[], $4::text[]) as d (id, email, email_key) \
               on conflict (tenant_id, email_key) where email_key is not null do nothing \
               returning id";
    let statement = client.prepare_cached(sql).await?;
    let ids: Vec<Uuid> = missing.iter().map(|_| random::uuid_v7(now)).collect();
    let emails: Vec<&str> = missing.values().copied().collect();
    let keys: Vec<&str> = missing.keys().copied().collect();
    let rows = client
        .query(&statement, &[&key(tenant), &ids, &emails, &keys, &now])
        .await?;
    let made = rows.iter().map(|row| ContactId::from_uuid(row.get(0)));
    // Also finds those that another request made in between: its insert has committed, or ours
    // would have waited.
    let missing: Vec<&ContactRef> = wanted
        .iter()
        .filter(|contact| !found.contains_key(**contact))
        .copied()
        .collect();
    found.extend(find_all(client, tenant, &missing).await?);
    Ok((found, made.collect()))
}

/// Takes contacts back that the same transaction made, so that nobody else has seen them.
pub(crate) async fn remove(
    client: &impl GenericClient,
    tenant: TenantId,
    ids: &[ContactId],
) -> Result<(), DatabaseError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let sql = "delete from contacts where tenant_id = $1 and id = any($2)";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[&key(tenant), &ids]).await?;
    Ok(())
}

/// Writes down what a contact said. `None` if there is no such contact.
pub(crate) async fn set_consent(
    client: &impl GenericClient,
    tenant: TenantId,
    contact: ContactId,
    consent: Consent,
) -> Result<Option<Contact>, DatabaseError> {
    let sql = format!(
        "update contacts set tracking_consent = $3 where tenant_id = $1 and id = $2 \
         returning {COLUMNS}"
    );
    let statement = client.prepare_cached(&sql).await?;
    let given = consent == Consent::Given;
    let row = client
        .query_opt(&statement, &[&key(tenant), &contact.uuid(), &given])
        .await?;
    Ok(row.as_ref().map(read))
}

/// Takes the row locks of these contacts in the one order that every writer uses: contacts by id,
/// then sends by id.
pub(crate) async fn lock(
    client: &impl GenericClient,
    tenant: TenantId,
    contacts: &[Uuid],
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
    /// Of anything that is reported.
    pub(crate) first_at: Option<Timestamp>,
    pub(crate) last_sent_at: Option<Timestamp>,
    pub(crate) suppressed_at: Option<Timestamp>,
}

pub(crate) async fn add_sending(
    client: &impl GenericClient,
    tenant: TenantId,
    deltas: &BTreeMap<ContactId, SendingDelta>,
) -> Result<(), DatabaseError> {
    let ids: Vec<_> = deltas.keys().map(|id| id.uuid()).collect();
    let sent: Vec<_> = deltas.values().map(|delta| delta.sent).collect();
    let last: Vec<_> = deltas.values().map(|delta| delta.last_sent_at).collect();
    let suppressed: Vec<_> = deltas.values().map(|delta| delta.suppressed_at).collect();
    let first: Vec<_> = deltas.values().map(|delta| delta.first_at).collect();
    // Whoever was sent a mail was known by then, whenever that is said.
    let sql = "update contacts c set \
                 created_at = least(c.created_at, d.first_at), \
                 emails_sent_count = c.emails_sent_count + d.sent, \
                 last_email_sent_at = greatest(c.last_email_sent_at, d.last_sent_at), \
                 suppressed_at = coalesce(c.suppressed_at, d.suppressed_at) \
               from unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], \
                 $6::timestamptz[]) \
                 as d (id, sent, last_sent_at, suppressed_at, first_at) \
               where c.tenant_id = $1 and c.id = d.id";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[&key(tenant), &ids, &sent, &last, &suppressed, &first],
        )
        .await?;
    Ok(())
}
