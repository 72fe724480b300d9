//! The token: what a tracked URL says, in one canonical byte string with a MAC.
//!
//! ```text
//! version  1 byte, 1
//! key id   1 byte
//! kind     1 byte, 1 open, 2 click, 3 unsubscribe
//! tenant   length byte, number
//! send     length byte, text
//! contact  length byte, 16 bytes
//! day      length byte, number; days since 1970 on which the send was registered
//! link     click only: length byte, number
//! url      click only: two length bytes, text
//! mac      first 16 bytes of HMAC-SHA256 over all of the above, under the tenant's key
//! ```
//!
//! Numbers are big-endian without leading zero bytes. The whole is base64url without padding. A
//! released format is decoded for ever: `vectors/` holds tokens that must keep verifying.

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

/// Where the kind stands, which is all that differs at the start of one mail's tokens.
const KIND_AT: usize = 2;

/// Longest [`write_mail`].
pub(crate) const MAX_MAIL_CLAIMS_BYTES: usize = 3 + 5 + (1 + MAX_SEND_ID_BYTES) + 17 + 3;

/// Appends what all tokens of one mail start with.
pub(crate) fn write_mail(
    key: KeyId,
    tenant: TenantId,
    send: &SendId<'_>,
    contact: ContactId,
    day: Day,
    out: &mut Vec<u8>,
) {
    out.extend([VERSION, key.get(), 0]);
    write_number(tenant.get(), out);
    write_field(send.as_str().as_bytes(), out);
    write_field(contact.as_bytes(), out);
    write_number(u32::from(day.0), out);
}

/// Completes what the MAC covers, `out` holding a [`write_mail`] and nothing else.
pub(crate) fn write_link(link: &Link<'_>, out: &mut Vec<u8>) {
    if let Some(kind) = out.get_mut(KIND_AT) {
        *kind = link.kind().byte();
    }
    if let Link::Click { index, url } = link {
        write_number(index.0, out);
        let url = url.as_str().as_bytes();
        // Destination::parse bounds the length to 4096.
        out.extend((url.len() as u16).to_be_bytes());
        out.extend_from_slice(url);
    }
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
    /// What the MAC covers.
    pub(crate) signed: &'a [u8],
    pub(crate) mac: &'a [u8],
    kind: u8,
    rest: Fields<'a>,
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
    Ok(Unverified {
        key,
        tenant,
        signed,
        mac,
        kind,
        rest,
    })
}

/// Reads the remaining fields; called once the MAC has matched.
pub(crate) fn read_claims(unverified: Unverified<'_>) -> Result<Token<'_>, DecodeError> {
    let Unverified {
        key,
        tenant,
        kind,
        mut rest,
        ..
    } = unverified;
    let send =
        SendId::parse(rest.text("send")?).map_err(|_| DecodeError::Field { field: "send" })?;
    let contact = rest
        .field()?
        .try_into()
        .map_err(|_| DecodeError::Field { field: "contact" })?;
    let contact = ContactId::from_bytes(contact);
    let day =
        u16::try_from(rest.number("day")?).map_err(|_| DecodeError::Field { field: "day" })?;
    let link = match kind {
        1 => Link::Open,
        2 => {
            let index = LinkIndex(rest.number("link")?);
            let url =
                Destination::parse(rest.long_text("url")?).map_err(DecodeError::Destination)?;
            Link::Click { index, url }
        }
        3 => Link::Unsubscribe,
        got => return Err(DecodeError::Kind { got }),
    };
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

    fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.field()?).map_err(|_| DecodeError::Field { field })
    }

    fn long_text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let len = usize::from(self.byte()?) << 8 | usize::from(self.byte()?);
        std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::Field { field })
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
