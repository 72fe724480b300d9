//! The token: what a tracked URL says, in one canonical byte string with a MAC.
//!
//! ```text
//! version  1 byte, 1
//! key id   1 byte
//! kind     1 byte, 1 open, 2 click, 3 unsubscribe
//! tenant   length byte, number
//! link     click only: length byte, number
//! url      click only: two length bytes, text
//! send     length byte, text
//! contact  length byte, 16 bytes
//! day      length byte, number; days since 1970 on which the send was registered
//! mac      first 16 bytes of HMAC-SHA256 over all of the above, under the tenant's key
//! ```
//!
//! Numbers are big-endian without leading zero bytes. The whole is base64url without padding. A
//! released format is decoded for ever: `vectors/` holds tokens that must keep verifying.
//!
//! What all recipients of a mail share comes first, up to the URL, and under the MAC it is filled
//! up with zero bytes to whole blocks of 64: its hash and its text are computed once for a batch,
//! and each recipient costs two blocks, however long the URL is. The lengths keep different fields
//! from giving the same bytes.

use crate::base64url;
use crate::{
    ContactId, Day, Destination, DestinationError, KeyId, LinkIndex, MAX_DESTINATION_BYTES,
    MAX_SEND_ID_BYTES, SendId, TenantId,
};

const VERSION: u8 = 1;
pub(crate) const MAC_BYTES: usize = 16;

/// Fixed bytes, the largest of each field with its length, and the MAC.
const MAX_TOKEN_BYTES: usize =
    3 + 5 + (1 + MAX_SEND_ID_BYTES) + 17 + 3 + 5 + (2 + MAX_DESTINATION_BYTES) + MAC_BYTES;

/// Longest token in characters; anything longer is refused before it is decoded.
pub const MAX_TOKEN_CHARS: usize = MAX_TOKEN_BYTES.div_ceil(3) * 4;

/// Why a text is not a valid token. The edge counts these; nobody is shown them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the token has {got} characters, more than {MAX_TOKEN_CHARS}")]
    TooLong { got: usize },
    #[error("the token is not canonical base64url")]
    Base64,
    #[error("the token ends in the middle of a field")]
    Truncated,
    #[error("the token has bytes after its last field")]
    Trailing,
    #[error("token version {got} is not known")]
    Version { got: u8 },
    #[error("token kind {got} is not known")]
    Kind { got: u8 },
    #[error("key {got} is not in the keyring")]
    UnknownKey { got: u8 },
    #[error("the {field} in the token is not in its canonical form")]
    Field { field: &'static str },
    #[error("the signature does not match")]
    Mac,
    #[error("the token's destination is not allowed: {0}")]
    Destination(DestinationError),
}

/// What a token is for. Under the MAC, so that a pixel's token is no click's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Open,
    Click,
    Unsubscribe,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Click => 2,
            Self::Unsubscribe => 3,
        }
    }
}

/// What is signed: whose mail to whom, and for a click which link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    pub tenant: TenantId,
    pub send: SendId<'a>,
    pub contact: ContactId,
    /// The day on which the send was registered; tells what is past retention without a look-up.
    pub day: Day,
    pub link: Link<'a>,
}

/// The kind of a token with what only that kind carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link<'a> {
    Open,
    Click {
        index: LinkIndex,
        url: Destination<'a>,
    },
    Unsubscribe,
}

impl Link<'_> {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Open => Kind::Open,
            Self::Click { .. } => Kind::Click,
            Self::Unsubscribe => Kind::Unsubscribe,
        }
    }
}

/// Claims whose signature was verified. Only [`Verifier::verify`](crate::Verifier::verify) makes
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub(crate) claims: Claims<'a>,
    pub(crate) key: KeyId,
}

impl<'a> Token<'a> {
    pub fn claims(&self) -> &Claims<'a> {
        &self.claims
    }

    pub fn into_claims(self) -> Claims<'a> {
        self.claims
    }

    /// The key that signed it.
    pub fn key(&self) -> KeyId {
        self.key
    }
}

/// Longest [`write_recipient`].
pub(crate) const MAX_RECIPIENT_BYTES: usize = (1 + MAX_SEND_ID_BYTES) + 17 + 3;

/// Appends what the tokens of one link start with, whoever the mail is for.
pub(crate) fn write_link(key: KeyId, tenant: TenantId, link: &Link<'_>, out: &mut Vec<u8>) {
    out.extend([VERSION, key.get(), link.kind().byte()]);
    write_number(tenant.get(), out);
    if let Link::Click { index, url } = link {
        write_number(index.0, out);
        let url = url.as_str().as_bytes();
        // Destination::parse bounds the length to 4096.
        out.extend((url.len() as u16).to_be_bytes());
        out.extend_from_slice(url);
    }
}

/// Appends what follows in all tokens of one recipient's mail.
pub(crate) fn write_recipient(send: &SendId<'_>, contact: ContactId, day: Day, out: &mut Vec<u8>) {
    write_field(send.as_str().as_bytes(), out);
    write_field(contact.as_bytes(), out);
    write_number(u32::from(day.0), out);
}

fn write_field(bytes: &[u8], out: &mut Vec<u8>) {
    // Every field is an id of at most MAX_SEND_ID_BYTES.
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

fn write_number(number: u32, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let start = number.leading_zeros() as usize / 8;
    write_field(bytes.get(start..).unwrap_or_default(), out);
}

/// A token taken apart as far as is needed to find its key; nothing in it is trusted yet.
pub(crate) struct Unverified<'a> {
    pub(crate) key: KeyId,
    pub(crate) tenant: TenantId,
    /// What the MAC covers, in two parts: of the link and of the recipient.
    pub(crate) link: &'a [u8],
    pub(crate) recipient: &'a [u8],
    pub(crate) mac: &'a [u8],
    kind: u8,
    /// Of a click only.
    target: Option<(u32, &'a [u8])>,
}

impl Unverified<'_> {
    pub(crate) fn is_open(&self) -> bool {
        self.kind == Kind::Open.byte()
    }
}

/// Decodes base64url into `buffer` and splits off what the verifier needs.
pub(crate) fn take_apart<'a>(
    text: &[u8],
    buffer: &'a mut Vec<u8>,
) -> Result<Unverified<'a>, DecodeError> {
    if text.len() > MAX_TOKEN_CHARS {
        return Err(DecodeError::TooLong { got: text.len() });
    }
    if !base64url::decode(text, buffer) {
        return Err(DecodeError::Base64);
    }
    let signed_bytes = buffer
        .len()
        .checked_sub(MAC_BYTES)
        .ok_or(DecodeError::Truncated)?;
    let (signed, mac) = buffer
        .split_at_checked(signed_bytes)
        .ok_or(DecodeError::Truncated)?;
    let mut rest = Fields(signed);
    match rest.byte()? {
        VERSION => {}
        got => return Err(DecodeError::Version { got }),
    }
    let key = rest.byte()?;
    let key = KeyId::new(key).ok_or(DecodeError::UnknownKey { got: key })?;
    let kind = rest.byte()?;
    let tenant =
        TenantId::new(rest.number("tenant")?).ok_or(DecodeError::Field { field: "tenant" })?;
    let target = match kind == Kind::Click.byte() {
        true => Some((rest.number("link")?, rest.long_field()?)),
        false => None,
    };
    let Fields(recipient) = rest;
    let link = signed
        .get(..signed.len() - recipient.len())
        .unwrap_or_default();
    Ok(Unverified {
        key,
        tenant,
        link,
        recipient,
        mac,
        kind,
        target,
    })
}

/// Reads the remaining fields; called once the MAC has matched.
pub(crate) fn read_claims(unverified: Unverified<'_>) -> Result<Token<'_>, DecodeError> {
    let Unverified {
        key,
        tenant,
        kind,
        target,
        recipient,
        ..
    } = unverified;
    let link = match (kind, target) {
        (1, _) => Link::Open,
        (2, Some((index, url))) => {
            let url = text(url, "url")?;
            Link::Click {
                index: LinkIndex(index),
                url: Destination::parse(url).map_err(DecodeError::Destination)?,
            }
        }
        (3, _) => Link::Unsubscribe,
        (got, _) => return Err(DecodeError::Kind { got }),
    };
    let mut rest = Fields(recipient);
    let send = SendId::parse(text(rest.field()?, "send")?)
        .map_err(|_| DecodeError::Field { field: "send" })?;
    let contact = rest
        .field()?
        .try_into()
        .map_err(|_| DecodeError::Field { field: "contact" })?;
    let contact = ContactId::from_bytes(contact);
    let day =
        u16::try_from(rest.number("day")?).map_err(|_| DecodeError::Field { field: "day" })?;
    if !rest.0.is_empty() {
        return Err(DecodeError::Trailing);
    }
    Ok(Token {
        claims: Claims {
            tenant,
            send,
            contact,
            day: Day(day),
            link,
        },
        key,
    })
}

fn text<'a>(bytes: &'a [u8], field: &'static str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Field { field })
}

/// The bytes not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take(1)?.first().copied().ok_or(DecodeError::Truncated)
    }

    fn field(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.byte()?;
        self.take(usize::from(len))
    }

    fn long_field(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::from(self.byte()?) << 8 | usize::from(self.byte()?);
        self.take(len)
    }

    fn number(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let bytes = self.field()?;
        if bytes.len() > 4 || bytes.first() == Some(&0) {
            return Err(DecodeError::Field { field });
        }
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}
