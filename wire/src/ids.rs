//! Identifiers that stand in tokens, URLs and API answers.

use std::borrow::Cow;
use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A send id is copied into every link of its mail, so its length is paid many times over.
pub const MAX_SEND_ID_BYTES: usize = 64;

/// Why a text is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("a tenant id is a whole number from 1 to 4294967295, not {got:?}")]
    Tenant { got: String },
    #[error("a key id is a whole number from 1 to 255, not {got:?}")]
    Key { got: String },
    #[error("a send id has 1 to {MAX_SEND_ID_BYTES} characters; this one has {got}")]
    SendLength { got: usize },
    #[error(
        "a send id may hold letters, digits and . _ : ~ - only, not {got:?} (it travels in URLs, \
         so it must not be an address)"
    )]
    SendCharacter { got: char },
    #[error("a send id cannot be {got:?}: in a path of a URL that names a folder")]
    SendDots { got: String },
    #[error("a contact id looks like con_ and 22 characters, not {got:?}")]
    Contact { got: String },
}

/// A customer of the platform. Signing keys, data and settings are kept apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(NonZeroU32);

impl TenantId {
    /// `None` for zero, which is no tenant.
    pub fn new(id: u32) -> Option<Self> {
        NonZeroU32::new(id).map(Self)
    }

    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TenantId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self).map_err(|_| IdError::Tenant {
            got: text.to_owned(),
        })
    }
}

/// Names one secret of the keyring; stands in every token so that old mail verifies after a
/// rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(NonZeroU8);

impl KeyId {
    /// `None` for zero, which is no key.
    pub fn new(id: u8) -> Option<Self> {
        NonZeroU8::new(id).map(Self)
    }

    pub fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self).map_err(|_| IdError::Key {
            got: text.to_owned(),
        })
    }
}

/// One mail to one contact. Chosen by the renderer or made here (`snd_…`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId<'a>(Cow<'a, str>);

impl<'a> SendId<'a> {
    pub fn parse(text: impl Into<Cow<'a, str>>) -> Result<Self, IdError> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX_SEND_ID_BYTES {
            return Err(IdError::SendLength {
                got: text.chars().count(),
            });
        }
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '~' | '-');
        if let Some(got) = text.chars().find(|&c| !allowed(c)) {
            return Err(IdError::SendCharacter { got });
        }
        match text.as_ref() {
            "." | ".." => Err(IdError::SendDots {
                got: text.into_owned(),
            }),
            _ => Ok(Self(text)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_owned(self) -> SendId<'static> {
        SendId(Cow::Owned(self.0.into_owned()))
    }
}

impl SendId<'static> {
    /// `snd_` and the id in base64url. A time-ordered UUID keeps index inserts local.
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(Cow::Owned(prefixed("snd_", uuid.as_bytes())))
    }
}

impl fmt::Display for SendId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SendId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SendId<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(text).map_err(serde::de::Error::custom)
    }
}

/// A recipient, as an opaque number: no address ever stands in a URL. Shown as `con_` and
/// base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(uuid::Uuid);

impl ContactId {
    /// What every contact id starts with when it is shown.
    pub const PREFIX: &'static str = "con_";

    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    pub fn uuid(self) -> uuid::Uuid {
        self.0
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ContactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&prefixed(Self::PREFIX, self.as_bytes()))
    }
}

impl FromStr for ContactId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix(Self::PREFIX)
            .and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok())
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .map(Self::from_bytes)
            .ok_or_else(|| IdError::Contact {
                got: text.to_owned(),
            })
    }
}

impl Serialize for ContactId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContactId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The place of a link among the wrapped links of its mail, in document order, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkIndex(pub u32);

fn prefixed(prefix: &str, bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(prefix.len() + 22);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_show() {
        let contact = ContactId::from_bytes([0xAB; 16]);
        assert_eq!(contact.to_string().parse(), Ok(contact));
        let send = SendId::from_uuid(uuid::Uuid::from_bytes([0xFF; 16]));
        assert_eq!(SendId::parse(send.to_string()), Ok(send));
    }

    #[test]
    fn a_send_id_is_never_an_address() {
        assert_eq!(
            SendId::parse("ada@example.com"),
            Err(IdError::SendCharacter { got: '@' })
        );
        assert_eq!(SendId::parse(""), Err(IdError::SendLength { got: 0 }));
        for dots in [".", ".."] {
            let got = dots.to_owned();
            assert_eq!(SendId::parse(dots), Err(IdError::SendDots { got }));
        }
        assert!(SendId::parse("...").is_ok());
        assert_eq!(
            SendId::parse("x".repeat(65)),
            Err(IdError::SendLength { got: 65 })
        );
    }

    #[test]
    fn a_contact_id_has_one_spelling() {
        // The last character carries four bits; a decoder that ignored them would take both.
        assert!("con_AAAAAAAAAAAAAAAAAAAAAA".parse::<ContactId>().is_ok());
        assert!("con_AAAAAAAAAAAAAAAAAAAAAB".parse::<ContactId>().is_err());
        assert!("con_AAAAAAAAAAAAAAAAAAAAAA==".parse::<ContactId>().is_err());
    }
}
