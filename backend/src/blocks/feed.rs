//! The policy feed: all blocks as one small document that edges poll, kept in memory so that a
//! thousand of them cost Postgres no more than one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::store;
use crate::database::{DatabaseError, Pool, connect};

/// How old the document may be: what one replica or the operator blocked, the others tell edges
/// within this time.
const MAX_AGE: Duration = Duration::from_secs(3);

/// Bytes of the digest that make a version.
const VERSION_BYTES: usize = 12;

/// The document and what tells it from others. Every replica makes the same of the same blocks.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) version: String,
    pub(crate) body: Bytes,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entries {
    tenants: Vec<i32>,
    sends: Vec<(i32, String)>,
    /// Blocked for all tenants.
    hosts: Vec<String>,
    tenant_hosts: Vec<(i32, String)>,
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    #[serde(flatten)]
    entries: &'a Entries,
}

impl Policy {
    /// From blocks by kind, tenant and value.
    fn of(blocked: Vec<(String, i32, String)>) -> Result<Self, serde_json::Error> {
        let mut entries = Entries::default();
        for (kind, tenant, value) in blocked {
            match (kind.as_str(), tenant) {
                ("tenant", tenant) => entries.tenants.push(tenant),
                ("send", tenant) => entries.sends.push((tenant, value)),
                (_, 0) => entries.hosts.push(value),
                (_, tenant) => entries.tenant_hosts.push((tenant, value)),
            }
        }
        let digest = Sha256::digest(serde_json::to_vec(&entries)?);
        let version = digest.get(..VERSION_BYTES).unwrap_or_default();
        let version = URL_SAFE_NO_PAD.encode(version);
        let document = Document {
            version: &version,
            entries: &entries,
        };
        let body = serde_json::to_vec(&document)?.into();
        Ok(Self { version, body })
    }
}

#[derive(Default)]
pub(crate) struct PolicyFeed {
    /// Held while it is read anew: who comes meanwhile waits for the one reader.
    last: Mutex<Option<Read>>,
}

struct Read {
    policy: Arc<Policy>,
    at: Instant,
}

impl PolicyFeed {
    /// The document; the last one that could be read while the database is away.
    pub(crate) async fn current(&self, pool: &Pool) -> Result<Arc<Policy>, DatabaseError> {
        let mut last = self.last.lock().await;
        if let Some(read) = last.as_ref()
            && read.at.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(&read.policy));
        }
        let at = Instant::now();
        let policy = match (read(pool).await, last.take()) {
            (Ok(policy), _) => Arc::new(policy),
            (Err(error), Some(old)) => {
                tracing::warn!(%error, "the blocks cannot be read; edges get the last ones");
                old.policy
            }
            (Err(error), None) => return Err(error),
        };
        *last = Some(Read {
            policy: Arc::clone(&policy),
            at,
        });
        Ok(policy)
    }

    /// Makes the next poll read the blocks again.
    pub(crate) async fn refresh(&self) {
        if let Some(read) = self.last.lock().await.as_mut()
            && let Some(old) = read.at.checked_sub(MAX_AGE)
        {
            read.at = old;
        }
    }
}

async fn read(pool: &Pool) -> Result<Policy, DatabaseError> {
    let client = connect(pool).await?;
    let blocked = store::blocked(&client).await?;
    Policy::of(blocked).map_err(|_| DatabaseError::Unreadable("the blocks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(blocked: &[(&str, i32, &str)]) -> Policy {
        let owned = |(kind, tenant, value): &(&str, i32, &str)| {
            (kind.to_string(), *tenant, value.to_string())
        };
        Policy::of(blocked.iter().map(owned).collect()).unwrap()
    }

    #[test]
    fn the_document_is_compact_and_its_version_is_of_its_content() {
        let all = policy(&[
            ("host", 0, "evil.example"),
            ("host", 1, "spam.example"),
            ("send", 1, "snd_x"),
            ("tenant", 7, ""),
        ]);
        let expected = format!(
            "{{\"version\":\"{}\",\"tenants\":[7],\"sends\":[[1,\"snd_x\"]],\
             \"hosts\":[\"evil.example\"],\"tenantHosts\":[[1,\"spam.example\"]]}}",
            all.version
        );
        assert_eq!(all.body, expected.as_bytes());
        assert_eq!(all.version.len(), 16);
        assert_ne!(all.version, policy(&[]).version);
        assert_eq!(policy(&[]).version, policy(&[]).version);
    }
}
