//! The secrets that tokens are signed with, and the one text form they travel in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::KeyId;

/// Key ids are one byte, and a ring holds a key only while mail signed with it is alive.
pub const MAX_KEYS: usize = 32;

/// Why a text is no keyring. Never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("the keyring is empty; it looks like 1:SECRET,2:SECRET")]
    Empty,
    #[error("the keyring has more than {MAX_KEYS} keys; retire old ones")]
    TooMany,
    #[error("entry {entry} of the keyring is not ID:SECRET with an id from 1 to 255")]
    Entry { entry: usize },
    #[error("the secret of key {id} is not 32 bytes in base64url without padding (43 characters)")]
    Secret { id: KeyId },
    #[error("key {id} is in the keyring twice")]
    Twice { id: KeyId },
}

/// 32 secret bytes. Cannot be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret itself; every caller of this is a place to look at in a review.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// `None` unless the text is 32 bytes in base64url without padding.
    pub fn from_base64(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub fn to_base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Key ids and their secrets, as edge and backend both hold them: `1:SECRET,2:SECRET` with each
/// secret in base64url. Which of them signs is the backend's business and not in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring(BTreeMap<KeyId, Secret>);

impl Keyring {
    pub fn new(keys: impl IntoIterator<Item = (KeyId, Secret)>) -> Result<Self, KeyringError> {
        let mut ring = BTreeMap::new();
        for (id, secret) in keys {
            if ring.insert(id, secret).is_some() {
                return Err(KeyringError::Twice { id });
            }
        }
        match ring.len() {
            0 => Err(KeyringError::Empty),
            1..=MAX_KEYS => Ok(Self(ring)),
            _ => Err(KeyringError::TooMany),
        }
    }

    pub fn secret(&self, id: KeyId) -> Option<&Secret> {
        self.0.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (KeyId, &Secret)> {
        self.0.iter().map(|(id, secret)| (*id, secret))
    }

    /// The text form, secrets included.
    pub fn expose(&self) -> String {
        let entries: Vec<_> = self
            .iter()
            .map(|(id, secret)| format!("{id}:{}", secret.to_base64()))
            .collect();
        entries.join(",")
    }
}

impl FromStr for Keyring {
    type Err = KeyringError;

    fn from_str(text: &str) -> Result<Self, KeyringError> {
        if text.trim().is_empty() {
            return Err(KeyringError::Empty);
        }
        let keys: Result<Vec<_>, _> = text
            .trim()
            .split(',')
            .enumerate()
            .map(|(at, entry)| {
                let malformed = KeyringError::Entry { entry: at + 1 };
                let (id, secret) = entry.trim().split_once(':').ok_or(malformed.clone())?;
                let id: KeyId = id.parse().map_err(|_| malformed)?;
                let secret = Secret::from_base64(secret).ok_or(KeyringError::Secret { id })?;
                Ok((id, secret))
            })
            .collect();
        Self::new(keys?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn a_keyring_reads_back_its_own_text() {
        let ring: Keyring = format!("7:{A}, 1:{A}").parse().unwrap();
        assert_eq!(ring.expose(), format!("1:{A},7:{A}"));
        assert_eq!(ring.expose().parse(), Ok(ring));
    }

    #[test]
    fn each_mistake_in_a_keyring_has_its_own_name() {
        let error = |text: &str| text.parse::<Keyring>().unwrap_err();
        let id = KeyId::new(1).unwrap();
        assert_eq!(error(" "), KeyringError::Empty);
        assert_eq!(
            error(&format!("1:{A},{A}")),
            KeyringError::Entry { entry: 2 }
        );
        assert_eq!(error(&format!("0:{A}")), KeyringError::Entry { entry: 1 });
        assert_eq!(error("1:AAAA"), KeyringError::Secret { id });
        assert_eq!(error(&format!("1:{A},1:{A}")), KeyringError::Twice { id });
    }

    #[test]
    fn a_secret_is_not_printed() {
        let ring: Keyring = format!("1:{A}").parse().unwrap();
        assert!(!format!("{ring:?}").contains("AAAA"));
    }
}
