//! Signing and verifying tokens under keys derived for each tenant.

use std::array;

use subtle::ConstantTimeEq;

use crate::base64url::{self, GROUP_BYTES, GROUP_CHARS};
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
            endings: array::from_fn(|carried| Ending::new(&recipient, carried)),
            end: End::new(&recipient),
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
        let (whole, rest) = bytes.as_chunks::<GROUP_BYTES>();
        let mut carry = [0; GROUP_BYTES - 1];
        copy(rest, carry.iter_mut());
        let (whole, carried) = (whole.as_flattened().len(), rest.len() as u8);
        bytes.truncate(whole);
        base64url::encode(bytes, &mut scratch.text, out);
        TokenStart {
            mac,
            carry,
            carried,
        }
    }
}

/// What a link's tokens have in common whoever they are for, hashed and written already.
#[derive(Clone, Copy, Debug)]
pub struct TokenStart {
    mac: Started,
    /// The last bytes, which do not make whole characters yet.
    carry: [u8; GROUP_BYTES - 1],
    carried: u8,
}

/// Signs the links of one mail to one recipient.
pub struct MailSigner<'s> {
    signer: &'s TenantSigner,
    /// What tokens end with, by how many bytes of the link are carried.
    endings: [Ending; GROUP_BYTES],
    /// The recipient's bytes under the MAC.
    end: End,
}

/// Recipient and signature in characters. Only those that differ from link to link are made anew.
struct Ending {
    groups: Vec<[u8; GROUP_CHARS]>,
    /// How many of those characters there are.
    chars: usize,
    /// Room for the link's bytes, completed by the recipient's first.
    first: [u8; GROUP_BYTES],
    carried: usize,
    /// The recipient's last bytes, and room for a signature.
    last: [[u8; GROUP_BYTES]; LAST_GROUPS],
    left_over: usize,
}

/// What a signature takes with the bytes left over before it.
const LAST_GROUPS: usize = (MAC_BYTES + GROUP_BYTES - 1).div_ceil(GROUP_BYTES);

impl Ending {
    fn new(recipient: &[u8], carried: usize) -> Self {
        let mut first = [0; GROUP_BYTES];
        let shared = usize::from(carried > 0);
        let completing = shared * (GROUP_BYTES - carried);
        let (start, rest) = recipient.split_at_checked(completing).unwrap_or_default();
        copy(start, first.iter_mut().skip(carried));
        let (whole, rest) = rest.as_chunks::<GROUP_BYTES>();
        let mut groups = vec![[0; GROUP_CHARS]; shared + whole.len() + LAST_GROUPS];
        base64url::encode_groups(whole, groups.get_mut(shared..).unwrap_or_default());
        let mut last = [[0; GROUP_BYTES]; LAST_GROUPS];
        copy(rest, last.as_flattened_mut().iter_mut());
        let last_chars = base64url::encoded_len(rest.len() + MAC_BYTES);
        Self {
            chars: GROUP_CHARS * (shared + whole.len()) + last_chars,
            groups,
            first,
            carried,
            last,
            left_over: rest.len(),
        }
    }

    fn of(&mut self, start: &TokenStart, signature: &Signature) -> &str {
        if self.carried > 0 {
            copy(&start.carry, self.first.iter_mut().take(self.carried));
            let first = self.groups.get_mut(..1).unwrap_or_default();
            base64url::encode_groups(&[self.first], first);
        }
        let room = self.last.as_flattened_mut().get_mut(self.left_over..);
        let mac = signature.first_chunk::<MAC_BYTES>();
        if let Some((to, mac)) = room.and_then(|room| room.first_chunk_mut()).zip(mac) {
            *to = *mac;
        }
        if let Some(last) = self.groups.last_chunk_mut::<LAST_GROUPS>() {
            base64url::encode_groups(&self.last, last);
        }
        let text = self.groups.as_flattened().get(..self.chars);
        text.and_then(|text| str::from_utf8(text).ok())
            .unwrap_or_default()
    }
}

fn copy<'t>(from: &[u8], to: impl Iterator<Item = &'t mut u8>) {
    to.zip(from).for_each(|(to, from)| *to = *from);
}

/// Working memory of a signer, kept from one link to the next.
#[derive(Default)]
pub struct SigningScratch {
    bytes: Vec<u8>,
    text: Vec<u8>,
}

/// What a token ends with; the first [`MAC_BYTES`] of it.
pub type Signature = [u8; 32];

impl MailSigner<'_> {
    /// Appends the token for one link to `out`.
    pub fn sign(&mut self, link: &Link<'_>, scratch: &mut SigningScratch, out: &mut String) {
        let start = self.signer.start(link, scratch, out);
        let signature = self.signer.mac.finish_with(&start.mac, &self.end);
        self.finish(&start, &signature, out);
    }

    /// Signs tokens that are started, made by the same tenant's signer. Many cost less together
    /// than one by one.
    pub fn signatures<'t>(
        &self,
        starts: impl Iterator<Item = &'t TokenStart>,
        signatures: &mut Vec<Signature>,
    ) {
        let starts = starts.map(|start| &start.mac);
        self.signer.mac.finish_all(starts, &self.end, signatures);
    }

    /// Appends what is left of a token whose start stands at the end of `out`.
    pub fn finish(&mut self, start: &TokenStart, signature: &Signature, out: &mut String) {
        if let Some(ending) = self.endings.get_mut(usize::from(start.carried)) {
            out.push_str(ending.of(start, signature));
        }
    }

    /// Longest text that [`finish`](Self::finish) appends.
    pub fn most_chars(&self) -> usize {
        let lengths = self.endings.iter().map(|ending| ending.chars);
        lengths.max().unwrap_or_default()
    }

    /// The token for one link, on its own.
    pub fn token(mut self, link: &Link<'_>) -> String {
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
