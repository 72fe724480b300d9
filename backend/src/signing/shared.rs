//! The keyring as requests use it: replaced while the service runs when its file changes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use kraiter_wire::{KeyId, Keyring, TenantId, TenantSigner, Verifier};

use super::keyring_file::{KeyringFile, KeyringFileError};
use crate::clock;

/// How often the file is looked at. A rotation takes effect within this time.
const POLL: Duration = Duration::from_secs(2);

pub(crate) struct SharedKeyring {
    path: PathBuf,
    current: RwLock<Arc<Current>>,
}

struct Current {
    keyring: Keyring,
    signer: KeyId,
    modified: Option<SystemTime>,
    /// Verifiers that are not in use; each keeps the keyed states of the tenants it met.
    idle: Mutex<Vec<Verifier>>,
}

impl SharedKeyring {
    pub(crate) fn open(path: PathBuf) -> Result<Self, KeyringFileError> {
        let current = RwLock::new(Arc::new(load(&path)?));
        Ok(Self { path, current })
    }

    fn current(&self) -> Arc<Current> {
        // A poisoned lock still holds a whole keyring: it is replaced by one assignment.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs for `tenant` with the key that signs now.
    pub(crate) fn signer(&self, tenant: TenantId) -> Option<TenantSigner> {
        let current = self.current();
        let secret = current.keyring.secret(current.signer)?;
        Some(TenantSigner::new(current.signer, secret, tenant))
    }

    /// Lends a verifier for as long as `work` takes.
    pub(crate) fn with_verifier<T>(&self, work: impl FnOnce(&mut Verifier) -> T) -> T {
        let current = self.current();
        let idle = || current.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut verifier = taken.unwrap_or_else(|| Verifier::new(&current.keyring));
        let result = work(&mut verifier);
        idle().push(verifier);
        result
    }

    /// Takes up a changed file. A broken one is reported and the old keyring stays.
    pub(crate) async fn follow_file(&self) {
        loop {
            tokio::time::sleep(POLL).await;
            if modified(&self.path) == self.current().modified {
                continue;
            }
            match load(&self.path) {
                Ok(new) => {
                    tracing::info!(signer = %new.signer, keys = new.keyring.iter().count(), "keyring taken up");
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                }
                Err(error) => {
                    tracing::error!(%error, "the changed keyring is not usable; the old one stays")
                }
            }
        }
    }
}

fn load(path: &std::path::Path) -> Result<Current, KeyringFileError> {
    // Read before the contents, so that a change in between is seen at the next look.
    let before = modified(path);
    let file = KeyringFile::open(path, clock::now())?;
    let modified = before.or_else(|| modified(path));
    Ok(Current {
        keyring: file.keyring().clone(),
        signer: file.signer(),
        modified,
        idle: Mutex::default(),
    })
}

fn modified(path: &std::path::Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}
