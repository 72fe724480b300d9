//! Signing and verifying tokens under keys derived for each tenant.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::token::{MAC_BYTES, read_claims, take_apart, write_claims};
use crate::{
    Claims, ContactId, Day, DecodeError, KeyId, Keyring, Link, Secret, SendId, TenantId, Token,
};

type HmacSha256 = Hmac<Sha256>;

/// Tells derived keys of this purpose from any other use of the same secret.
const DERIVATION_LABEL: &[u8] = b"kraiter tenant key 1\0";

fn keyed(secret: &[u8; 32]) -> HmacSha256 {
    // HMAC takes keys of any length, so the fixed-size form exists without a failure case.
    <HmacSha256 as KeyInit>::new(&hmac_block(secret))
}

/// HMAC pads keys with zero bytes to the block size (RFC 2104), so this is the same key.
fn hmac_block(secret: &[u8; 32]) -> hmac::digest::Key<HmacSha256> {
    let mut block = hmac::digest::Key::<HmacSha256>::default();
    for (to, from) in block.iter_mut().zip(secret) {
        *to = *from;
    }
    block
}

/// HMAC-SHA256 of the ring's secret over a label and the tenant id: one ring serves any number of
/// tenants, and none can sign for another even if its own key leaks.
fn tenant_state(ring_state: &HmacSha256, tenant: TenantId) -> HmacSha256 {
    let mut mac = ring_state.clone();
    mac.update(DERIVATION_LABEL);
    mac.update(&tenant.get().to_be_bytes());
    keyed(&mac.finalize().into_bytes().into())
}

/// Signs for one tenant with one key. Cheap to clone; holds the keyed HMAC state.
#[derive(Clone)]
pub struct TenantSigner {
    key: KeyId,
    tenant: TenantId,
    state: HmacSha256,
}

impl TenantSigner {
    pub fn new(key: KeyId, secret: &Secret, tenant: TenantId) -> Self {
        Self {
            key,
            tenant,
            state: tenant_state(&keyed(secret.expose()), tenant),
        }
    }

    /// Appends the token for one link of one send to `out`. `scratch` is reused between calls.
    pub fn sign(
        &self,
        send: &SendId<'_>,
        contact: ContactId,
        day: Day,
        link: Link<'_>,
        scratch: &mut Vec<u8>,
        out: &mut String,
    ) {
        scratch.clear();
        let send = SendId::clone(send);
        let claims = Claims {
            tenant: self.tenant,
            send,
            contact,
            day,
            link,
        };
        write_claims(self.key, &claims, scratch);
        let mut mac = self.state.clone();
        mac.update(scratch);
        scratch.extend(mac.finalize().into_bytes().iter().take(MAC_BYTES));
        URL_SAFE_NO_PAD.encode_string(&*scratch, out);
    }
}

/// How many tenants' keyed states are kept. Each is about 250 bytes; a busier set of tenants costs
/// a derivation (four SHA-256 blocks) for some requests and nothing else.
const CACHED_STATES: usize = 1024;

struct CachedState {
    key: KeyId,
    tenant: TenantId,
    state: HmacSha256,
}

/// Verifies tokens of every tenant under a keyring.
///
/// Keeps keyed states of tenants in a table of fixed size, filled only once a MAC has matched:
/// nobody can grow or flush it with made-up tenant ids.
pub struct Verifier {
    /// Indexed by key id; at most [`MAX_KEYS`](crate::MAX_KEYS) of them are there.
    ring: Vec<Option<HmacSha256>>,
    cache: Vec<Option<Box<CachedState>>>,
    buffer: Vec<u8>,
}

impl Verifier {
    pub fn new(keyring: &Keyring) -> Self {
        let mut ring: Vec<Option<HmacSha256>> = Vec::new();
        for (id, secret) in keyring.iter() {
            // Ids come in ascending order.
            ring.resize(usize::from(id.get()), None);
            ring.push(Some(keyed(secret.expose())));
        }
        let cache = std::iter::repeat_with(|| None)
            .take(CACHED_STATES)
            .collect();
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
        let ring_state = self
            .ring
            .get(usize::from(key.get()))
            .and_then(Option::as_ref)
            .ok_or(DecodeError::UnknownKey { got: key.get() })?;
        let matches = |state: &HmacSha256| {
            let mut mac = state.clone();
            mac.update(unverified.signed);
            mac.verify_truncated_left(unverified.mac)
                .map_err(|_| DecodeError::Mac)
        };
        let slot = self.cache.get_mut(slot_of(key, tenant));
        match &slot {
            Some(Some(cached)) if cached.key == key && cached.tenant == tenant => {
                matches(&cached.state)?;
            }
            _ => {
                let state = tenant_state(ring_state, tenant);
                matches(&state)?;
                if let Some(slot) = slot {
                    *slot = Some(Box::new(CachedState { key, tenant, state }));
                }
            }
        }
        read_claims(unverified)
    }
}

/// Neighbouring tenant ids take neighbouring slots; another key id is another slot.
fn slot_of(key: KeyId, tenant: TenantId) -> usize {
    (tenant.get() as usize).wrapping_add(usize::from(key.get()) * 331) % CACHED_STATES
}
