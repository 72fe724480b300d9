//! API keys: what they look like, what they allow, who is calling.
//!
//! A key is `krt_` and base64url of tenant id, key id and secret, so that it is found by primary
//! key and says nothing to a reader. Only the secret's SHA-256 is stored.

mod caller;
pub(crate) mod directory;
pub(crate) mod rate_limit;
pub(crate) mod store;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kraiter_wire::TenantId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::Timestamp;

pub(crate) use caller::{Admin, Caller, Read, Render, bearer};

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// Registering and rewriting mail, reporting its status.
    Render,
    /// Reading contacts, sends, events and statistics.
    Read,
    /// Settings, privacy requests, blocks, webhooks.
    Admin,
}

impl Scope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "render" => Ok(Self::Render),
            "read" => Ok(Self::Read),
            "admin" => Ok(Self::Admin),
            other => Err(format!(
                "{other:?} is not a scope; scopes are render, read and admin"
            )),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names a key in lists and when it is revoked. Not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyName(pub(crate) Uuid);

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key_{}", URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl FromStr for KeyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_prefix("key_")
            .and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok())
            .and_then(|bytes| Uuid::from_slice(&bytes).ok())
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "{text:?} is not a key's id; it looks like key_…, see `kraiter api-key list`"
                )
            })
    }
}

/// A key as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct ApiKey {
    pub(crate) id: KeyName,
    pub(crate) name: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) created_at: Timestamp,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// A key as its holder sends it.
pub(crate) struct Credential {
    pub(crate) tenant: TenantId,
    pub(crate) id: KeyName,
    secret: [u8; 32],
}

const PREFIX: &str = "krt_";

impl Credential {
    pub(crate) fn new(tenant: TenantId, id: KeyName) -> Self {
        Self {
            tenant,
            id,
            secret: crate::random::bytes(),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (tenant, rest) = bytes.split_first_chunk::<4>()?;
        let (id, secret) = rest.split_first_chunk::<16>()?;
        Some(Self {
            tenant: TenantId::new(u32::from_be_bytes(*tenant))?,
            id: KeyName(Uuid::from_bytes(*id)),
            secret: secret.try_into().ok()?,
        })
    }

    /// The text to hand out; it is shown once.
    pub(crate) fn expose(&self) -> String {
        let bytes = [
            self.tenant.get().to_be_bytes().as_slice(),
            self.id.0.as_bytes(),
            &self.secret,
        ]
        .concat();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_reads_back_its_text() {
        let id = KeyName(Uuid::from_bytes([9; 16]));
        let credential = Credential::new(TenantId::new(7).unwrap(), id);
        let parsed = Credential::parse(&credential.expose()).unwrap();
        assert_eq!((parsed.tenant, parsed.id), (credential.tenant, id));
        assert_eq!(parsed.secret_hash(), credential.secret_hash());
        assert!(Credential::parse("krt_short").is_none());
        assert!(Credential::parse(&credential.expose()[4..]).is_none());
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
