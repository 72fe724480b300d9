//! Signing and verifying tokens under keys derived for each tenant.

use subtle::ConstantTimeEq;

use crate::base64url;
use crate::mac::KeyedMac;
use crate::token::{
    MAC_BYTES, MAX_MAIL_CLAIMS_BYTES, read_claims, take_apart, write_link, write_mail,
};
use crate::{ContactId, Day, DecodeError, KeyId, Keyring, Link, Secret, SendId, TenantId, Token};

/// Tells derived keys of this purpose from any other use of the same secret.
const DERIVATION_LABEL: &[u8] = b"kraiter tenant key 1\0";

/// HMAC-SHA256 of the ring's secret over a label and the tenant id: one ring serves any number of
/// tenants, and none can sign for another even if its own key leaks.
fn tenant_mac(ring: &KeyedMac, tenant: TenantId) -> KeyedMac {
    let mut message = DERIVATION_LABEL.to_vec();
    message.extend(tenant.get().to_be_bytes());
    KeyedMac::new(&ring.digest(&message))
}

/// Signs for one tenant with one key. Cheap to clone; holds the keyed HMAC state.
#[derive(Clone)]
pub struct TenantSigner {
    key: KeyId,
    tenant: TenantId,
    mac: KeyedMac,
}

impl TenantSigner {
    pub fn new(key: KeyId, secret: &Secret, tenant: TenantId) -> Self {
        Self {
            key,
            tenant,
            mac: tenant_mac(&KeyedMac::new(secret.expose()), tenant),
        }
    }

    /// A signer for the links of one send.
    pub fn for_mail(&self, send: &SendId<'_>, contact: ContactId, day: Day) -> MailSigner<'_> {
        let mut claims = Vec::with_capacity(MAX_MAIL_CLAIMS_BYTES);
        write_mail(self.key, self.tenant, send, contact, day, &mut claims);
        MailSigner {
            mac: &self.mac,
            claims,
        }
    }
}

/// Signs the links of one mail to one recipient.
pub struct MailSigner<'s> {
    mac: &'s KeyedMac,
    /// What all its tokens start with.
    claims: Vec<u8>,
}

/// Working memory of a signer, kept from one link to the next.
#[derive(Default)]
pub struct SigningScratch {
    token: Vec<u8>,
    text: Vec<u8>,
}

impl MailSigner<'_> {
    /// Appends the token for one link to `out`.
    pub fn sign(&self, link: &Link<'_>, scratch: &mut SigningScratch, out: &mut String) {
        let SigningScratch { token, text } = scratch;
        token.clear();
        token.extend_from_slice(&self.claims);
        write_link(link, token);
        let mac = self.mac.digest(token);
        token.extend(mac.iter().take(MAC_BYTES));
        base64url::encode(token, text, out);
    }

    /// The token for one link, on its own.
    pub fn token(&self, link: &Link<'_>) -> String {
        let mut token = String::new();
        self.sign(link, &mut SigningScratch::default(), &mut token);
        token
    }
}

/// How many tenants' keyed states are kept. Each is 72 bytes; a busier set of tenants costs
/// a derivation (four SHA-256 blocks) for some requests and nothing else.
const CACHED_MACS: usize = 1024;

struct CachedMac {
    key: KeyId,
    tenant: TenantId,
    mac: KeyedMac,
}

/// Verifies tokens of every tenant under a keyring.
///
/// Keeps keyed states of tenants in a table of fixed size, filled only once a MAC has matched:
/// nobody can grow or flush it with made-up tenant ids.
pub struct Verifier {
    /// Indexed by key id; at most [`MAX_KEYS`](crate::MAX_KEYS) of them are there.
    ring: Vec<Option<KeyedMac>>,
    cache: Vec<Option<Box<CachedMac>>>,
    buffer: Vec<u8>,
}

impl Verifier {
    pub fn new(keyring: &Keyring) -> Self {
        let mut ring: Vec<Option<KeyedMac>> = Vec::new();
        for (id, secret) in keyring.iter() {
            // Ids come in ascending order.
            ring.resize(usize::from(id.get()), None);
            ring.push(Some(KeyedMac::new(secret.expose())));
        }
        let cache = std::iter::repeat_with(|| None).take(CACHED_MACS).collect();
        Self {
            ring,
            cache,
            buffer: Vec::new(),
        }
    }

    /// The one way to a [`Token`]: canonical base64url, a matching MAC (compared in constant time)
    /// and fields in their only valid form.
    pub fn verify(&mut self, text: &[u8]) -> Result<Token<'_>, DecodeError> {
        let unverified = take_apart(text, &mut self.buffer)?;
        let (key, tenant) = (unverified.key, unverified.tenant);
        let ring = self
            .ring
            .get(usize::from(key.get()))
            .and_then(Option::as_ref)
            .ok_or(DecodeError::UnknownKey { got: key.get() })?;
        let matches = |mac: &KeyedMac| {
            let digest = mac.digest(unverified.signed);
            let expected = digest.get(..MAC_BYTES).unwrap_or_default();
            match bool::from(expected.ct_eq(unverified.mac)) {
                true => Ok(()),
                false => Err(DecodeError::Mac),
            }
        };
        let slot = self.cache.get_mut(slot_of(key, tenant));
        match &slot {
            Some(Some(cached)) if cached.key == key && cached.tenant == tenant => {
                matches(&cached.mac)?;
            }
            _ => {
                let mac = tenant_mac(ring, tenant);
                matches(&mac)?;
                if let Some(slot) = slot {
                    *slot = Some(Box::new(CachedMac { key, tenant, mac }));
                }
            }
        }
        read_claims(unverified)
    }
}

/// Neighbouring tenant ids take neighbouring slots; another key id is another slot.
fn slot_of(key: KeyId, tenant: TenantId) -> usize {
    (tenant.get() as usize).wrapping_add(usize::from(key.get()) * 331) % CACHED_MACS
}
