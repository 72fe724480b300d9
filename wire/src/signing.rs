//! Signing and verifying tokens under keys derived for each tenant.

use subtle::ConstantTimeEq;

use crate::base64url;
use crate::mac::{End, KeyedMac, Started};
use crate::token::{
    MAC_BYTES, MAX_RECIPIENT_BYTES, Unverified, read_claims, take_apart, write_link,
    write_recipient,
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
        let mut recipient = Vec::with_capacity(MAX_RECIPIENT_BYTES);
        write_recipient(send, contact, day, &mut recipient);
        MailSigner {
            signer: self,
            end: End::new(&recipient),
            recipient,
        }
    }

    /// Appends to `out` the characters that the link's tokens for all recipients start with.
    pub fn start(
        &self,
        link: &Link<'_>,
        scratch: &mut SigningScratch,
        out: &mut String,
    ) -> TokenStart {
        let bytes = &mut scratch.bytes;
        bytes.clear();
        write_link(self.key, self.tenant, link, bytes);
        let mac = self.mac.start(bytes);
        // Three bytes give four characters; what is left over goes into the next ones.
        let carried = bytes.len() % BYTES_AT_A_TIME;
        let mut carry = [0; BYTES_AT_A_TIME - 1];
        for (to, from) in carry
            .iter_mut()
            .zip(bytes.iter().skip(bytes.len() - carried))
        {
            *to = *from;
        }
        bytes.truncate(bytes.len() - carried);
        base64url::encode(bytes, &mut scratch.text, out);
        TokenStart {
            mac,
            carry,
            carried: carried as u8,
        }
    }
}

/// Bytes that make whole characters of base64.
const BYTES_AT_A_TIME: usize = 3;

/// What a link's tokens have in common whoever they are for, hashed and written already.
#[derive(Clone, Copy, Debug)]
pub struct TokenStart {
    mac: Started,
    /// The last bytes, which do not make whole characters yet.
    carry: [u8; BYTES_AT_A_TIME - 1],
    carried: u8,
}

/// Signs the links of one mail to one recipient.
pub struct MailSigner<'s> {
    signer: &'s TenantSigner,
    /// What all its tokens end with, before the MAC.
    recipient: Vec<u8>,
    /// The same under the MAC.
    end: End,
}

/// Working memory of a signer, kept from one link to the next.
#[derive(Default)]
pub struct SigningScratch {
    bytes: Vec<u8>,
    text: Vec<u8>,
}

impl MailSigner<'_> {
    /// Appends the token for one link to `out`.
    pub fn sign(&self, link: &Link<'_>, scratch: &mut SigningScratch, out: &mut String) {
        let SigningScratch { bytes, text } = scratch;
        let TenantSigner { key, tenant, mac } = self.signer;
        bytes.clear();
        write_link(*key, *tenant, link, bytes);
        let start = mac.start(bytes);
        bytes.extend_from_slice(&self.recipient);
        let mac = mac.finish_with(&start, &self.end);
        bytes.extend(mac.iter().take(MAC_BYTES));
        base64url::encode(bytes, text, out);
    }

    /// Appends what is left of a token whose start stands at the end of `out`, made by the same
    /// tenant's signer.
    pub fn finish(&self, start: &TokenStart, scratch: &mut SigningScratch, out: &mut String) {
        let SigningScratch { bytes, text } = scratch;
        let mac = self.signer.mac.finish_with(&start.mac, &self.end);
        bytes.clear();
        bytes.extend(start.carry.iter().take(usize::from(start.carried)));
        bytes.extend_from_slice(&self.recipient);
        bytes.extend(mac.iter().take(MAC_BYTES));
        base64url::encode(bytes, text, out);
    }

    /// Longest text that [`finish`](Self::finish) appends.
    pub fn most_chars(&self) -> usize {
        base64url::encoded_len(BYTES_AT_A_TIME + self.recipient.len() + MAC_BYTES)
    }

    /// The token for one link, on its own.
    pub fn token(&self, link: &Link<'_>) -> String {
        let mut token = String::new();
        self.sign(link, &mut SigningScratch::default(), &mut token);
        token
    }
}

/// How many tenants' keyed states are kept. Each is some 110 bytes; a busier set of tenants costs
/// a derivation (five SHA-256 blocks) for some requests and nothing else.
const CACHED_MACS: usize = 1024;

struct CachedMac {
    key: KeyId,
    tenant: TenantId,
    mac: KeyedMac,
    /// The start of every token of an open.
    open: Started,
}

impl CachedMac {
    fn new(ring: &KeyedMac, key: KeyId, tenant: TenantId) -> Self {
        let mac = tenant_mac(ring, tenant);
        let mut link = Vec::new();
        write_link(key, tenant, &Link::Open, &mut link);
        Self {
            key,
            tenant,
            open: mac.start(&link),
            mac,
        }
    }

    fn check(&self, unverified: &Unverified<'_>) -> Result<(), DecodeError> {
        let digest = match unverified.is_open() {
            true => self.mac.finish(&self.open, unverified.recipient),
            false => {
                let start = self.mac.start(unverified.link);
                self.mac.finish(&start, unverified.recipient)
            }
        };
        let expected = digest.get(..MAC_BYTES).unwrap_or_default();
        match bool::from(expected.ct_eq(unverified.mac)) {
            true => Ok(()),
            false => Err(DecodeError::Mac),
        }
    }
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
        let slot = self.cache.get_mut(slot_of(key, tenant));
        match &slot {
            Some(Some(cached)) if cached.key == key && cached.tenant == tenant => {
                cached.check(&unverified)?;
            }
            _ => {
                let cached = CachedMac::new(ring, key, tenant);
                cached.check(&unverified)?;
                if let Some(slot) = slot {
                    *slot = Some(Box::new(cached));
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
