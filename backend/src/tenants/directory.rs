//! Tenants in memory, so that ingest asks Postgres for settings once in a while and not for each
//! batch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kraiter_wire::TenantId;

use super::{Tenant, store};
use crate::database::{DatabaseError, Pool, connect};

/// How old settings may be: what one replica changed, the others heed within this time.
const MAX_AGE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct TenantDirectory {
    entries: Mutex<HashMap<TenantId, Entry>>,
}

#[derive(Clone)]
struct Entry {
    /// `None`: there is no such tenant. Only signed tokens and API keys name tenants, so strangers
    /// cannot fill the directory with these.
    tenant: Option<Arc<Tenant>>,
    read_at: Instant,
}

impl TenantDirectory {
    /// The tenants among `ids` that exist.
    pub(crate) async fn find(
        &self,
        pool: &Pool,
        ids: impl IntoIterator<Item = TenantId>,
    ) -> Result<HashMap<TenantId, Arc<Tenant>>, DatabaseError> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            for id in ids {
                match entries.get(&id) {
                    Some(entry) if entry.read_at.elapsed() < MAX_AGE => {
                        found.extend(entry.tenant.clone().map(|tenant| (id, tenant)));
                    }
                    _ => missing.push(id),
                }
            }
        }
        if !missing.is_empty() {
            let client = connect(pool).await?;
            let read_at = Instant::now();
            let tenants = store::by_ids(&**client, &missing).await?;
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.extend(missing.into_iter().map(|id| {
                (
                    id,
                    Entry {
                        tenant: None,
                        read_at,
                    },
                )
            }));
            for tenant in tenants.into_iter().map(Arc::new) {
                found.insert(tenant.id, Arc::clone(&tenant));
                entries.insert(
                    tenant.id,
                    Entry {
                        tenant: Some(tenant),
                        read_at,
                    },
                );
            }
        }
        Ok(found)
    }

    /// Makes the next look-up read the tenant again.
    pub(crate) fn forget(&self, id: TenantId) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }
}
