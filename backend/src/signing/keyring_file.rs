//! `keyring.json`: which keys there are and which of them signs.
//!
//! Adding a key does not sign with it yet: edges have to know it first, or mail signed with it
//! would not verify there.

use std::path::{Path, PathBuf};

use kraiter_wire::{KeyId, Keyring, KeyringError, MAX_KEYS, Secret};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyringFileError {
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is not a keyring: {message}", path.display())]
    Malformed { path: PathBuf, message: String },
    #[error("{}: {error}", path.display())]
    Keys { path: PathBuf, error: KeyringError },
    #[error("{} names no signing key; set \"signs\": true for exactly one", path.display())]
    NoSigner { path: PathBuf },
    #[error("there is no key {id}")]
    Unknown { id: KeyId },
    #[error("key {id} signs new mail")]
    StillSigns { id: KeyId },
    #[error("the keyring holds {MAX_KEYS} keys, which is the most")]
    Full,
}

impl KeyringFileError {
    /// What to do about it.
    pub(crate) fn tip(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } => Some("kraiter keyring show lists all keys"),
            Self::StillSigns { .. } => {
                Some("let another key sign first, with kraiter keyring sign ID")
            }
            Self::Full => Some("forget an old key first, with kraiter keyring retire ID"),
            Self::File { .. } => {
                Some("KRAITER_KEYRING_FILE, or else the data folder, says where it lies")
            }
            Self::Malformed { .. } | Self::Keys { .. } | Self::NoSigner { .. } => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyState {
    Signs,
    Verifies,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: u8,
    secret: String,
    created_at: Timestamp,
    #[serde(default)]
    signs: bool,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    keys: Vec<Entry>,
}

/// The keyring with what only the backend knows of each key.
pub(crate) struct KeyringFile {
    path: PathBuf,
    document: Document,
    keyring: Keyring,
    signer: KeyId,
}

impl KeyringFile {
    /// Reads the file; a missing one is made with one key, which signs.
    pub(crate) fn open(path: &Path, now: Timestamp) -> Result<Self, KeyringFileError> {
        let first = || Document {
            keys: vec![Entry {
                signs: true,
                ..new_entry(1, now)
            }],
        };
        // A Document cannot fail to serialise.
        let make = || serde_json::to_string_pretty(&first()).unwrap_or_default();
        let text = crate::secret_file::read_or_create(path, make).map_err(|source| {
            KeyringFileError::File {
                action: "read or create",
                path: path.to_owned(),
                source,
            }
        })?;
        Self::parse(path, &text)
    }

    /// Waits until no other command changes the file, and keeps others waiting while the result
    /// lives.
    pub(crate) fn lock(path: &Path) -> Result<std::fs::File, KeyringFileError> {
        let path = path.with_extension("lock");
        let locked = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::File::create(&path))
            .and_then(|file| file.lock().map(|()| file));
        locked.map_err(|source| KeyringFileError::File {
            action: "lock",
            path,
            source,
        })
    }

    fn parse(path: &Path, text: &str) -> Result<Self, KeyringFileError> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| KeyringFileError::Malformed {
                path: path.to_owned(),
                message: error.to_string(),
            })?;
        Self::check(path.to_owned(), document)
    }

    fn check(path: PathBuf, document: Document) -> Result<Self, KeyringFileError> {
        let mut keys = Vec::new();
        for (at, entry) in document.keys.iter().enumerate() {
            let id = KeyId::new(entry.id).ok_or(KeyringError::Entry { entry: at + 1 });
            let key = id.and_then(|id| {
                Secret::from_base64(&entry.secret)
                    .map(|secret| (id, secret))
                    .ok_or(KeyringError::Secret { id })
            });
            keys.push(key.map_err(|error| KeyringFileError::Keys {
                path: path.clone(),
                error,
            })?);
        }
        let keyring = Keyring::new(keys).map_err(|error| KeyringFileError::Keys {
            path: path.clone(),
            error,
        })?;
        let mut signers = document.keys.iter().filter(|entry| entry.signs);
        match (
            signers.next().and_then(|entry| KeyId::new(entry.id)),
            signers.next(),
        ) {
            (Some(signer), None) => Ok(Self {
                path,
                document,
                keyring,
                signer,
            }),
            _ => Err(KeyringFileError::NoSigner { path }),
        }
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The key that signs new mail.
    pub(crate) fn signer(&self) -> KeyId {
        self.signer
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = (KeyId, KeyState, Timestamp)> {
        self.document.keys.iter().filter_map(|entry| {
            let state = if entry.signs {
                KeyState::Signs
            } else {
                KeyState::Verifies
            };
            Some((KeyId::new(entry.id)?, state, entry.created_at))
        })
    }

    /// Adds a random key that verifies but does not sign yet.
    pub(crate) fn add(mut self, now: Timestamp) -> Result<(KeyId, Self), KeyringFileError> {
        if self.document.keys.len() >= MAX_KEYS {
            return Err(KeyringFileError::Full);
        }
        // Ids go up; a retired one comes back only when all were used.
        let newest = self
            .document
            .keys
            .iter()
            .map(|entry| entry.id)
            .max()
            .unwrap_or(0);
        let free = |id: &u8| self.document.keys.iter().all(|entry| entry.id != *id);
        let id = (newest.saturating_add(1)..=u8::MAX)
            .chain(1..=u8::MAX)
            .find(free)
            .and_then(KeyId::new)
            .ok_or(KeyringFileError::Full)?;
        self.document.keys.push(new_entry(id.get(), now));
        Ok((id, self.store()?))
    }

    /// Signs new mail with this key from now on.
    pub(crate) fn sign_with(mut self, id: KeyId) -> Result<Self, KeyringFileError> {
        self.require(id)?;
        for entry in &mut self.document.keys {
            entry.signs = entry.id == id.get();
        }
        self.store()
    }

    /// Forgets a key: mail signed with it no longer verifies here.
    pub(crate) fn retire(mut self, id: KeyId) -> Result<Self, KeyringFileError> {
        self.require(id)?;
        if id == self.signer {
            return Err(KeyringFileError::StillSigns { id });
        }
        self.document.keys.retain(|entry| entry.id != id.get());
        self.store()
    }

    fn require(&self, id: KeyId) -> Result<(), KeyringFileError> {
        self.keyring
            .secret(id)
            .map(|_| ())
            .ok_or(KeyringFileError::Unknown { id })
    }

    fn store(self) -> Result<Self, KeyringFileError> {
        let checked = Self::check(self.path, self.document)?;
        let text = serde_json::to_string_pretty(&checked.document).unwrap_or_default();
        crate::secret_file::write(&checked.path, &text).map_err(|source| {
            KeyringFileError::File {
                action: "write",
                path: checked.path.clone(),
                source,
            }
        })?;
        Ok(checked)
    }
}

fn new_entry(id: u8, now: Timestamp) -> Entry {
    let secret = Secret::from_bytes(crate::random::bytes()).to_base64();
    Entry {
        id,
        secret,
        created_at: now,
        signs: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_only_once_it_is_told_to_and_retires_only_when_it_no_longer_does() {
        let folder = std::env::temp_dir().join(format!("kraiter-{}", crate::random::hex::<8>()));
        let path = folder.join("keyring.json");
        let now = crate::clock::now();
        let id = |id| KeyId::new(id).unwrap();

        let file = KeyringFile::open(&path, now).unwrap();
        assert_eq!(file.signer(), id(1));
        let (added, file) = file.add(now).unwrap();
        assert_eq!((added, file.signer()), (id(2), id(1)));
        assert!(matches!(
            KeyringFile::open(&path, now).unwrap().retire(id(1)),
            Err(KeyringFileError::StillSigns { .. })
        ));
        let file = file.sign_with(id(2)).unwrap().retire(id(1)).unwrap();
        assert_eq!(
            file.keyring().expose(),
            KeyringFile::open(&path, now).unwrap().keyring().expose()
        );
        assert!(matches!(
            file.sign_with(id(9)),
            Err(KeyringFileError::Unknown { .. })
        ));
        let (added, _) = KeyringFile::open(&path, now).unwrap().add(now).unwrap();
        assert_eq!(
            added,
            id(3),
            "an id is not used again while others are free"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
