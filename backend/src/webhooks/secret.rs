//! What requests are signed with, by the Standard Webhooks specification: HMAC-SHA256 over id, time and
//! body.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use standardwebhooks::{Webhook, WebhookError};

use crate::clock::Timestamp;

/// A signing secret. Cannot be printed by accident.
#[derive(Clone)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) fn random() -> Self {
        Self(crate::random::bytes::<32>().to_vec())
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text to hand out; it is shown once.
    pub(crate) fn expose(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secrets that sign now: one, or two after a rotation.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    pub(crate) current: Secret,
    /// Signs as well until then.
    pub(crate) previous: Option<(Secret, Timestamp)>,
}

impl Secrets {
    /// The header `webhook-signature`.
    pub(crate) fn sign(
        &self,
        id: &str,
        at: Timestamp,
        body: &[u8],
    ) -> Result<String, WebhookError> {
        let seconds = i64::try_from(at.millis() / 1000).unwrap_or(i64::MAX);
        let previous = self.previous.as_ref().filter(|(_, until)| at < *until);
        let secrets = [Some(&self.current), previous.map(|(secret, _)| secret)];
        let signatures = secrets
            .into_iter()
            .flatten()
            .map(|secret| Webhook::from_bytes(secret.as_bytes().to_vec())?.sign(id, seconds, body));
        Ok(signatures.collect::<Result<Vec<_>, _>>()?.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraiter_wire::UnixMillis;

    #[test]
    fn a_rotated_secret_signs_beside_the_new_one_until_its_time_is_over() {
        let secrets = Secrets {
            current: Secret::random(),
            previous: Some((Secret::random(), Timestamp(UnixMillis(5000)))),
        };
        let sign = |millis| secrets.sign("dlv_1", Timestamp(UnixMillis(millis)), b"{}");
        let signatures = sign(4999).unwrap();
        assert_eq!(signatures.split(' ').count(), 2, "{signatures}");
        assert_eq!(sign(5000).unwrap().split(' ').count(), 1);
        assert_eq!(format!("{:?}", secrets.current), "Secret(…)");
    }

    /// The example of the specification.
    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secrets = Secrets {
            current: Secret::from_bytes(key),
            previous: None,
        };
        let at = Timestamp(UnixMillis(1_614_265_330_000));
        let signed = secrets.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            at,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signed.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
