//! Erasure: a contact is removed with everything that is kept about it, for good. Knows neither HTTP
//! nor SQL.
//!
//! What stays is a keyed hash of the contact's id, so that a journal that is replayed or an event
//! that comes late does not bring the person back. It stands in the audit log, too. Nobody can tell
//! from it who that was.

pub(crate) mod http;
pub(crate) mod store;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use kraiter_wire::ContactId;
use sha2::Sha256;

/// A tenant's secret, under which its contacts are hashed. Cannot be printed.
#[derive(Clone)]
pub(crate) struct ErasureKey([u8; 32]);

/// HMAC-SHA256 of a contact's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ContactHash(pub(crate) [u8; 32]);

impl ErasureKey {
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn hash(&self, contact: ContactId) -> Option<ContactHash> {
        // HMAC takes keys of every length.
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).ok()?;
        mac.update(contact.as_bytes());
        Some(ContactHash(mac.finalize().into_bytes().into()))
    }
}

impl fmt::Debug for ErasureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasureKey(…)")
    }
}

impl fmt::Display for ContactHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "contact:{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) sends: u64,
    pub(crate) events: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_hashes_alike_under_one_key_and_differently_under_another() {
        let hash = |key: u8, contact: u8| {
            let key = ErasureKey::from_slice(&[key; 32]).unwrap();
            key.hash(ContactId::from_bytes([contact; 16])).unwrap()
        };
        assert_eq!(hash(1, 1), hash(1, 1));
        assert_ne!(hash(1, 1), hash(2, 1));
        assert_ne!(hash(1, 1), hash(1, 2));
        assert!(ErasureKey::from_slice(&[1; 31]).is_none());
        let key = ErasureKey::from_slice(&[1; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "ErasureKey(…)");
    }
}
