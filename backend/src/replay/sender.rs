//! Batches to `/ingest`: posted until they are taken, or until it makes no sense to go on.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

use super::{Posted, Stop};
use crate::config::IngestSecret;
use crate::random;

/// Longest time that one answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest time between two attempts, whatever the backend asks for.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Largest answer that is read.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SenderError {
    #[error("{url} is not usable: {problem}")]
    Unusable { url: String, problem: String },
    #[error(
        "{url} does not know this ingest secret (401); give the backend's own, see \
         kraiter replay --help"
    )]
    Unauthorized { url: String },
    #[error("{url} answered {status}: {answer}")]
    Refused {
        url: String,
        status: u16,
        answer: String,
    },
    #[error("{url} took nothing for {seconds} s; the last attempt: {last}")]
    GaveUp {
        url: String,
        seconds: u64,
        last: String,
    },
    #[error("stopped; run the same again to go on from here")]
    Stopped,
}

#[derive(Debug)]
pub(crate) struct Sender {
    agent: Agent,
    url: Url,
    secret: IngestSecret,
    /// How long to keep on trying; `None`: for ever.
    patience: Option<Duration>,
}

/// As `/ingest` answers.
#[derive(Deserialize)]
struct Answer {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    #[serde(default)]
    reasons: std::collections::BTreeMap<String, u64>,
}

enum Attempt {
    Taken(Posted),
    TooLarge,
    /// Worth another try: after a time that the backend asked for, if it did.
    Failed(String, Option<Duration>),
}

impl Sender {
    /// `backend` is the origin of its API, with a path before `/ingest` or none.
    pub(crate) fn new(
        backend: &Url,
        secret: IngestSecret,
        patience: Option<Duration>,
    ) -> Result<Self, SenderError> {
        let mut url = backend.clone();
        let path = format!("{}/ingest", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let unusable = |problem: String| SenderError::Unusable {
            url: backend.to_string(),
            problem,
        };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .user_agent("kraiter-replay")
            // It is our own service, never one behind a proxy of the outside world.
            .proxy(None);
        match url.scheme() {
            "https" => config = config.tls_config(tls().map_err(unusable)?),
            "http" => {}
            other => return Err(unusable(format!("{other:?} is not http or https"))),
        }
        Ok(Self {
            agent: config.build().new_agent(),
            url,
            secret,
            patience,
        })
    }

    /// Posts lines, each with its line break, until they are taken.
    pub(super) fn post(
        &self,
        lines: &[u8],
        stop: &Stop,
        note: &dyn Fn(&str),
    ) -> Result<Posted, SenderError> {
        let start = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let (last, asked) = match self.attempt(lines)? {
                Attempt::Taken(posted) => return Ok(posted),
                Attempt::TooLarge => return self.post_halves(lines, stop, note),
                Attempt::Failed(problem, asked) => (problem, asked),
            };
            if self
                .patience
                .is_some_and(|patience| start.elapsed() >= patience)
            {
                return Err(SenderError::GaveUp {
                    url: self.url.to_string(),
                    seconds: start.elapsed().as_secs(),
                    last,
                });
            }
            if wait == FIRST_WAIT {
                note(&format!(
                    "{} did not take a batch: {last}; trying again",
                    self.url
                ));
            }
            let pause = asked.unwrap_or_else(|| jittered(wait)).min(MAX_WAIT);
            wait = (wait * 2).min(MAX_WAIT);
            if !stop.sleep(pause) {
                return Err(SenderError::Stopped);
            }
        }
    }

    /// Something between us and the backend takes smaller requests only.
    fn post_halves(
        &self,
        lines: &[u8],
        stop: &Stop,
        note: &dyn Fn(&str),
    ) -> Result<Posted, SenderError> {
        let middle = lines.len() / 2;
        let before = lines
            .get(..middle)
            .and_then(|half| memchr::memrchr(b'\n', half));
        let after = lines
            .get(middle..)
            .and_then(|half| memchr::memchr(b'\n', half));
        let cut = before
            .or(after.map(|at| middle + at))
            .map_or(lines.len(), |at| at + 1);
        let (first, second) = lines.split_at_checked(cut).unwrap_or((lines, &[]));
        if second.is_empty() {
            return Ok(Posted {
                rejected: 1,
                reasons: [("too_large".to_owned(), 1)].into(),
                ..Posted::default()
            });
        }
        let mut posted = self.post(first, stop, note)?;
        posted.add(&self.post(second, stop, note)?);
        Ok(posted)
    }

    fn attempt(&self, lines: &[u8]) -> Result<Attempt, SenderError> {
        let sent = self
            .agent
            .post(self.url.as_str())
            .header("authorization", self.secret.bearer())
            .header("content-type", "application/x-ndjson")
            .send(lines);
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => return Ok(Attempt::Failed(error.to_string(), None)),
        };
        let status = response.status().as_u16();
        let asked = response.headers().get("retry-after");
        let asked = asked.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(MAX_ANSWER_BYTES).read_to_end(&mut body);
        let text = String::from_utf8_lossy(&body);
        let text: String = text.trim().chars().take(500).collect();
        match status {
            200 => match (read, serde_json::from_slice::<Answer>(&body)) {
                (Ok(_), Ok(answer)) => Ok(Attempt::Taken(Posted {
                    accepted: answer.accepted,
                    duplicates: answer.duplicates,
                    rejected: answer.rejected,
                    reasons: answer.reasons,
                })),
                // The connection broke after the commit: the same again is known as such.
                (Err(error), _) => Ok(Attempt::Failed(error.to_string(), None)),
                (Ok(_), Err(_)) => Err(self.refused(status, text)),
            },
            401 => Err(SenderError::Unauthorized {
                url: self.url.to_string(),
            }),
            413 => Ok(Attempt::TooLarge),
            408 | 425 | 429 | 500..=599 => {
                let asked = asked.map(Duration::from_secs);
                Ok(Attempt::Failed(format!("{status} {text}"), asked))
            }
            _ => Err(self.refused(status, text)),
        }
    }

    fn refused(&self, status: u16, answer: String) -> SenderError {
        SenderError::Refused {
            url: self.url.to_string(),
            status,
            answer,
        }
    }
}

/// Half of it to all of it, so that those who wait for the same do not come back together.
fn jittered(wait: Duration) -> Duration {
    let [random] = random::bytes::<1>();
    wait.mul_f64(0.5 + f64::from(random) / 510.0)
}

/// The system's certificate authorities; `SSL_CERT_FILE` names others.
fn tls() -> Result<TlsConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("the system has no certificate authorities; name some in SSL_CERT_FILE".into());
    }
    let roots: Vec<_> = found
        .certs
        .iter()
        .map(|authority| Certificate::from_der(authority).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}
