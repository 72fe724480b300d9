//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that creates something
//! can be sent again, after a time-out or a crash, and creates it once.
//!
//! What is created gets its id before anything is done, and key and id are stored. Whoever comes
//! again with the same key and body does the same to the same id, which changes nothing, and is
//! answered from what is there then. So nothing of an answer has to be kept.

mod store;

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use hmac::{Hmac, KeyInit, Mac};
use kraiter_wire::{SendId, TenantId};
use sha2::{Digest, Sha256};

use crate::clock::{self, Timestamp};
use crate::database::{Pool, connect};
use crate::http::{ErrorCode, Problem};

pub(crate) use store::{forget_of_contact, remove_old};

const HEADER: &str = "idempotency-key";
const MAX_KEY_CHARS: usize = 255;

/// How long a key means the same request.
pub(crate) const KEPT: Duration = Duration::from_secs(86_400);

/// A request that has not ended by then was cut short. Should it be alive all the same, both do the
/// same to the same id.
const LEASE: Duration = Duration::from_secs(15);

/// A key that a request came with. Only hashes of it are stored: clients put addresses into keys.
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Takes the draft's form, a string in quotes, and the bare one that is as common.
    pub(crate) fn of(request: &HttpRequest) -> Result<Option<Self>, Problem> {
        let mut values = request.headers().get_all(HEADER);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let text = value.to_str().ok().map(str::trim).map(unquoted);
        let usable = |text: &&str| {
            let graphic = text.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
            graphic && (1..=MAX_KEY_CHARS).contains(&text.len())
        };
        match (text.filter(usable), values.next()) {
            (Some(text), None) => Ok(Some(Self(text.to_owned()))),
            _ => Err(Problem::new(
                ErrorCode::InvalidHeader,
                format!(
                    "idempotency-key takes one value of 1 to {MAX_KEY_CHARS} visible ASCII \
                     characters, best a UUID."
                ),
            )
            .about(HEADER)),
        }
    }

    fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }

    /// Of one operation and body; tells nothing to who does not know the key.
    fn fingerprint(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, Problem> {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_bytes());
        let mut mac = mac.map_err(Problem::internal)?;
        for part in [operation.as_bytes(), b"\0", body] {
            mac.update(part);
        }
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text)
}

/// What a request is to be the same as.
pub(crate) struct Asked<'a> {
    pub(crate) tenant: TenantId,
    /// Method and path.
    pub(crate) operation: &'static str,
    pub(crate) body: &'a [u8],
}

/// The right to do a request, until it is released.
pub(crate) struct Claim {
    tenant: TenantId,
    key_hash: Vec<u8>,
    /// What is to be created: the caller's choice, or what was chosen the first time.
    pub(crate) resource_id: String,
    until: Timestamp,
}

impl IdempotencyKey {
    /// Claims the request for whoever comes first. `new_id` is what it is going to create, if it was
    /// never asked for before.
    pub(crate) async fn claim(
        &self,
        pool: &Pool,
        asked: &Asked<'_>,
        new_id: &str,
    ) -> Result<Claim, Problem> {
        let now = clock::now();
        let wanted = store::Wanted {
            tenant: asked.tenant,
            key_hash: self.hash(),
            fingerprint: self.fingerprint(asked.operation, asked.body)?,
            resource_id: new_id,
            now,
            until: now.plus(LEASE),
            oldest: now.minus(KEPT),
        };
        let client = connect(pool).await?;
        match store::claim(&client, &wanted).await? {
            store::Claimed::Yes { resource_id } => Ok(Claim {
                tenant: asked.tenant,
                key_hash: wanted.key_hash,
                resource_id,
                until: wanted.until,
            }),
            store::Claimed::Running => Err(Problem::new(
                ErrorCode::IdempotencyKeyInUse,
                "A request with this idempotency-key is under way. Send it again later.",
            )
            .retry_after(1)),
            store::Claimed::OtherRequest => Err(Problem::new(
                ErrorCode::IdempotencyKeyReused,
                "This idempotency-key came with another request before. Each request needs its own.",
            )
            .about(HEADER)),
        }
    }
}

impl Claim {
    /// Lets the next one in. Should this fail, the claim ends by itself.
    pub(crate) async fn release(self, pool: &Pool) {
        let released = async {
            let client = connect(pool).await?;
            store::release(&client, self.tenant, &self.key_hash, self.until).await
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "an idempotency key stays claimed for some seconds");
        }
    }
}

/// Claims a request that registers a send, if it came with a key, and tells its send's id.
pub(crate) async fn claim_send(
    key: Option<&IdempotencyKey>,
    pool: &Pool,
    asked: &Asked<'_>,
    id: &mut SendId<'static>,
) -> Result<Option<Claim>, Problem> {
    let claim = claim(key, pool, asked, id.as_str()).await?;
    if let Some(claim) = &claim {
        *id = SendId::parse(claim.resource_id.clone()).map_err(Problem::internal)?;
    }
    Ok(claim)
}

/// Claims a request, if it came with a key.
pub(crate) async fn claim(
    key: Option<&IdempotencyKey>,
    pool: &Pool,
    asked: &Asked<'_>,
    new_id: &str,
) -> Result<Option<Claim>, Problem> {
    match key {
        Some(key) => key.claim(pool, asked, new_id).await.map(Some),
        None => Ok(None),
    }
}

/// Ends a claim, if there is one.
pub(crate) async fn release(claim: Option<Claim>, pool: &Pool) {
    if let Some(claim) = claim {
        claim.release(pool).await;
    }
}

/// The header, for the documentation.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only described; IdempotencyKey reads it")]
pub(crate) struct IdempotencyHeader {
    /// Makes the request safe to repeat for 24 hours: with the same key and the same body, byte for
    /// byte, it creates nothing new and is answered about what the first one created. 1 to 255
    /// visible ASCII characters, best a UUID.
    #[param(
        rename = "Idempotency-Key",
        nullable = false,
        min_length = 1,
        max_length = 255,
        example = "8e03978e-40d5-43e8-bc93-6894a57f9324"
    )]
    key: Option<String>,
}

/// The key of a request, if it came with one.
pub(crate) struct Idempotency(pub(crate) Option<IdempotencyKey>);

impl FromRequest for Idempotency {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(IdempotencyKey::of(request).map(Self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn of(values: &[&str]) -> Result<Option<String>, ErrorCode> {
        let mut request = TestRequest::default();
        for value in values {
            request = request.append_header((HEADER, *value));
        }
        match IdempotencyKey::of(&request.to_http_request()) {
            Ok(key) => Ok(key.map(|key| key.0)),
            Err(problem) => Err(problem.code),
        }
    }

    #[test]
    fn a_key_stands_in_quotes_or_bare() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["\"a b\""]), Ok(Some("a b".to_owned())));
        assert_eq!(of(&["8e03978e"]), Ok(Some("8e03978e".to_owned())));
        for bad in ["", "\"\"", &"x".repeat(256)] {
            assert_eq!(of(&[bad]), Err(ErrorCode::InvalidHeader), "{bad:?}");
        }
        assert_eq!(of(&["a", "b"]), Err(ErrorCode::InvalidHeader));
    }

    #[test]
    fn a_fingerprint_tells_operations_and_bodies_apart() {
        let key = IdempotencyKey("k".to_owned());
        let print = |operation, body: &[u8]| key.fingerprint(operation, body).unwrap();
        assert_eq!(print("POST /sends", b"{}"), print("POST /sends", b"{}"));
        assert_ne!(print("POST /sends", b"{}"), print("POST /rewrite", b"{}"));
        assert_ne!(print("POST /sends", b"{}"), print("POST /sends", b"{ }"));
        let other = IdempotencyKey("l".to_owned());
        let theirs = other.fingerprint("POST /sends", b"{}").unwrap();
        assert_ne!(print("POST /sends", b"{}"), theirs);
    }
}
