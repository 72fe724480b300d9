//! API keys in memory, so that a request asks Postgres for what it wants to know and not first for who
//! wants to know it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kraiter_wire::TenantId;

use super::{ApiKey, Credential, KeyName, store};
use crate::database::{DatabaseError, Pool, connect};

/// How old what is known of a key may be: a key that was revoked is refused by every replica within
/// this time.
const MAX_AGE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct KeyDirectory {
    /// Of keys that exist: strangers cannot fill it.
    entries: Mutex<HashMap<(TenantId, KeyName), Entry>>,
}

struct Entry {
    key: Arc<StoredKey>,
    read_at: Instant,
}

pub(crate) struct StoredKey {
    pub(crate) key: ApiKey,
    pub(crate) secret_hash: Vec<u8>,
}

impl KeyDirectory {
    /// The stored key, if the credential's secret is its secret.
    pub(crate) async fn authenticate(
        &self,
        pool: &Pool,
        credential: &Credential,
    ) -> Result<Option<Arc<StoredKey>>, DatabaseError> {
        let name = (credential.tenant, credential.id);
        let known = {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = entries.get(&name);
            let entry = entry.filter(|entry| entry.read_at.elapsed() < MAX_AGE);
            entry.map(|entry| Arc::clone(&entry.key))
        };
        let key = match known {
            Some(key) => Some(key),
            None => self.read(pool, name).await?,
        };
        Ok(key.filter(|key| key.is_opened_by(credential)))
    }

    async fn read(
        &self,
        pool: &Pool,
        name: (TenantId, KeyName),
    ) -> Result<Option<Arc<StoredKey>>, DatabaseError> {
        let client = connect(pool).await?;
        let read_at = Instant::now();
        let key = store::find(&client, name.0, name.1).await?.map(Arc::new);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match &key {
            Some(key) => {
                let key = Arc::clone(key);
                entries.insert(name, Entry { key, read_at });
            }
            None => {
                entries.remove(&name);
            }
        }
        Ok(key)
    }
}

impl StoredKey {
    fn is_opened_by(&self, credential: &Credential) -> bool {
        let secret_hash = credential.secret_hash();
        subtle::ConstantTimeEq::ct_eq(self.secret_hash.as_slice(), secret_hash.as_slice()).into()
    }
}
