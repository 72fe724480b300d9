//! The audit log in Postgres.

use deadpool_postgres::GenericClient;
use kraiter_wire::TenantId;
use uuid::Uuid;

use super::{Action, Entry, Recorded};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::random;
use crate::tenants::store::key;

/// Writes one entry, in the transaction of what it tells of.
pub(crate) async fn write(
    tx: &impl GenericClient,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    // Tenant 0 is no tenant: its entries concern all.
    tx.execute(
        "insert into audit (tenant_id, id, actor, action, subject, detail) \
         values ($1, $2, $3, $4, $5, $6)",
        &[
            &entry.tenant.map_or(0, key),
            &random::uuid_v7(now),
            &entry.actor.to_string(),
            &entry.action.as_str(),
            &entry.subject,
            &entry.detail,
        ],
    )
    .await?;
    Ok(())
}

/// Which entries to list; all that is given must hold.
#[derive(Default)]
pub(crate) struct Filter {
    pub(crate) action: Option<Action>,
    pub(crate) subject: Option<String>,
    /// Where the page before ended.
    pub(crate) before: Option<Uuid>,
}

/// A tenant's entries, newest first.
pub(crate) async fn list(
    client: &impl GenericClient,
    tenant: TenantId,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Recorded>, DatabaseError> {
    let rows = client
        .query(
            "select id, actor, action, subject, detail from audit where tenant_id = $1 \
             and ($2::text is null or action = $2) and ($3::text is null or subject = $3) \
             and ($4::uuid is null or id < $4) order by id desc limit $5",
            &[
                &key(tenant),
                &filter.action.map(Action::as_str),
                &filter.subject,
                &filter.before,
                &limit,
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Recorded {
            id: row.get(0),
            actor: row.get(1),
            action: row.get(2),
            subject: row.get(3),
            detail: row.get(4),
        })
        .collect())
}
