//! The filter's configuration: its one schema, its defaults and its limits.
//!
//! Parsed strictly and completely: every mistake is named, none is repeated with a secret in it.
//! Where secrets may come from besides the JSON is decided here; reading them is the host's business.

use std::time::Duration;

use kraiter_wire::{Destination, Keyring};

use crate::address::{AddressFrom, AddressMode};
use crate::answers::serialise;
use crate::json_object::{JsonObject, Problems};

/// Environment variable that holds the keyring where the JSON does not.
pub(crate) const KEYRING_VARIABLE: &str = "KRAITER_KEYRING";
/// Environment variable that holds the collector's secret where the JSON does not.
pub(crate) const INGEST_SECRET_VARIABLE: &str = "KRAITER_INGEST_SECRET";

/// The header that Envoy writes the client's address into, trusted hops applied.
const EXTERNAL_ADDRESS: &str = "x-envoy-external-address";

/// Longest path prefix in bytes; it is repeated in every URL.
const MAX_PREFIX_BYTES: usize = 128;
/// Longest collector secret in bytes.
const MAX_SECRET_BYTES: usize = 512;
/// Longest cluster name, authority and path in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Room that a batch needs: the longest line has some 8 kB.
const BATCH_BYTES: Range = Range(16_384, 4_194_304);
const BATCH_EVENTS: Range = Range(1, 10_000);
const MAX_AGE_MS: Range = Range(10, 60_000);
/// Per worker thread; the memory of a VM never shrinks.
const BUFFER_BYTES: Range = Range(65_536, 268_435_456);
const IN_FLIGHT: Range = Range(1, 8);
const TIMEOUT_MS: Range = Range(100, 60_000);
/// 0 stands beside it and means never.
const POLICY_INTERVAL_MS: Range = Range(100, 3_600_000);

/// Smallest and largest value allowed.
#[derive(Clone, Copy)]
struct Range(u64, u64);

/// When a batch is full and how much is kept at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    /// Bytes of a batch, before compression.
    pub(crate) max_bytes: usize,
    pub(crate) max_events: usize,
    /// Bytes of all events of one VM that are not acknowledged.
    pub(crate) buffer_bytes: usize,
}

/// When batches go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryLimits {
    pub(crate) batch: BatchLimits,
    /// The oldest event waits no longer than this while the collector is well.
    pub(crate) max_age: Duration,
    /// Batches under way at the same time, per VM.
    pub(crate) in_flight: usize,
    /// The collector has this long to answer.
    pub(crate) timeout: Duration,
}

impl DeliveryLimits {
    /// How often the VM looks whether something is due.
    pub(crate) fn tick(&self) -> Duration {
        (self.max_age / 4).clamp(Duration::from_millis(10), Duration::from_millis(250))
    }
}

/// Where batches go.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Collector {
    /// The proxy's name of the cluster.
    pub(crate) cluster: String,
    pub(crate) authority: String,
    pub(crate) path: String,
    /// The value of `authorization`, scheme included.
    pub(crate) authorization: String,
    pub(crate) compress: bool,
}

impl Collector {
    /// The headers of a batch, serialised.
    pub(crate) fn batch_headers(&self, compressed: bool) -> Vec<u8> {
        let mut headers: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"POST"),
            (b":path", self.path.as_bytes()),
            (b":authority", self.authority.as_bytes()),
            (b"authorization", self.authorization.as_bytes()),
            (b"content-type", b"application/x-ndjson"),
        ];
        if compressed {
            headers.push((b"content-encoding", b"deflate"));
        }
        serialise(&headers)
    }

    /// The headers of a question for the policy, unless it is still of that version.
    pub(crate) fn policy_headers(&self, path: &str, version: &str) -> Vec<u8> {
        let tag = format!("\"{version}\"");
        let mut headers: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"GET"),
            (b":path", path.as_bytes()),
            (b":authority", self.authority.as_bytes()),
            (b"authorization", self.authorization.as_bytes()),
        ];
        if !version.is_empty() {
            headers.push((b"if-none-match", tag.as_bytes()));
        }
        serialise(&headers)
    }
}

/// Where the policy comes from: the collector's cluster, under a path of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyFeed {
    pub(crate) path: String,
    /// `None`: it is never asked for.
    pub(crate) every: Option<Duration>,
}

/// A configuration that holds. Only [`Config::parse`] makes one.
pub(crate) struct Config {
    pub(crate) path_prefix: String,
    pub(crate) keyring: Keyring,
    pub(crate) address: AddressMode,
    pub(crate) address_from: AddressFrom,
    pub(crate) accept_language: bool,
    pub(crate) fallback_url: Option<Destination<'static>>,
    /// Whether each event line also goes where the access log finds it.
    pub(crate) journal: bool,
    pub(crate) policy: PolicyFeed,
    pub(crate) collector: Collector,
    pub(crate) delivery: DeliveryLimits,
}

impl Config {
    /// Reads the plugin's JSON; `variable` looks an environment variable up. The error lists every
    /// problem, each with the name of its field, on one line.
    pub(crate) fn parse(
        json: &[u8],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let mut problems = Problems::default();
        let mut root = JsonObject::parse(json, &mut problems);
        let mut collector = root.object("collector", &mut problems);
        let mut batch = root.object("batch", &mut problems);
        let mut policy = root.object("policy", &mut problems);
        let journal = root.flag("journal", &mut problems);

        let path_prefix = root.text("path_prefix", &mut problems).unwrap_or_default();
        check_prefix(&path_prefix, &mut problems);
        let address = match root.text("address", &mut problems).as_deref() {
            None | Some("full") => AddressMode::Full,
            Some("truncated") => AddressMode::Truncated,
            Some("none") => AddressMode::None,
            Some(got) => {
                let problem = format!("is full, truncated or none, not {got:?}");
                problems.add("address", problem);
                AddressMode::None
            }
        };
        let address_from = match root.text("address_from", &mut problems).as_deref() {
            None | Some("connection") => AddressFrom::Connection,
            Some(EXTERNAL_ADDRESS) => AddressFrom::Header,
            Some(got) => {
                let problem = format!("is connection or {EXTERNAL_ADDRESS}, not {got:?}");
                problems.add("address_from", problem);
                AddressFrom::Connection
            }
        };
        let accept_language = root.flag("accept_language", &mut problems);
        let fallback_url = (root.text("fallback_url", &mut problems)).and_then(|url| {
            let parsed = Destination::parse(url);
            parsed
                .map_err(|error| problems.add("fallback_url", error))
                .ok()
        });
        let text = root.text("keyring", &mut problems);
        let keyring = keyring(text.or_else(|| variable(KEYRING_VARIABLE)), &mut problems);
        let secret = collector.text("secret", &mut problems);
        let secret = secret.or_else(|| variable(INGEST_SECRET_VARIABLE));

        let mut number = |object: &mut JsonObject, name, default, range: Range| {
            object.number(name, default, range.0..=range.1, &mut problems)
        };
        let timeout = number(&mut collector, "timeout_ms", 5_000, TIMEOUT_MS);
        let max_age = number(&mut batch, "max_age_ms", 1_000, MAX_AGE_MS);
        let in_flight = number(&mut batch, "in_flight", 2, IN_FLIGHT);
        let batch_limits = BatchLimits {
            max_bytes: number(&mut batch, "max_bytes", 262_144, BATCH_BYTES) as usize,
            max_events: number(&mut batch, "max_events", 500, BATCH_EVENTS) as usize,
            buffer_bytes: number(&mut batch, "buffer_bytes", 8_388_608, BUFFER_BYTES) as usize,
        };
        let interval = number(
            &mut policy,
            "interval_ms",
            30_000,
            Range(0, POLICY_INTERVAL_MS.1),
        );
        let compress = batch.flag("compress", &mut problems);
        if batch_limits.buffer_bytes < batch_limits.max_bytes.saturating_mul(2) {
            let needed = batch_limits.max_bytes.saturating_mul(2);
            let problem = format!("is at least twice batch.max_bytes, here {needed}");
            problems.add("batch.buffer_bytes", problem);
        }
        let collector_config = Collector {
            cluster: name(&mut collector, "cluster", "kraiter_backend", &mut problems),
            authority: name(
                &mut collector,
                "authority",
                "kraiter-backend",
                &mut problems,
            ),
            path: name(&mut collector, "path", "/ingest", &mut problems),
            authorization: authorization(secret, &mut problems),
            compress,
        };
        let policy_feed = PolicyFeed {
            path: name(&mut policy, "path", "/edge/policy", &mut problems),
            every: (interval > 0).then_some(Duration::from_millis(interval)),
        };
        if (1..POLICY_INTERVAL_MS.0).contains(&interval) {
            let problem = format!("is 0 for never or at least {}", POLICY_INTERVAL_MS.0);
            problems.add("policy.interval_ms", problem);
        }
        for (field, path) in [
            ("collector.path", &collector_config.path),
            ("policy.path", &policy_feed.path),
        ] {
            if !path.starts_with('/') {
                problems.add(field, format!("starts with /, unlike {path:?}"));
            }
        }
        root.no_more(&mut problems);
        collector.no_more(&mut problems);
        batch.no_more(&mut problems);
        policy.no_more(&mut problems);

        match (keyring, problems.into_line()) {
            (Some(keyring), None) => Ok(Self {
                path_prefix,
                keyring,
                address,
                address_from,
                accept_language,
                fallback_url,
                journal,
                policy: policy_feed,
                collector: collector_config,
                delivery: DeliveryLimits {
                    batch: batch_limits,
                    max_age: Duration::from_millis(max_age),
                    in_flight: in_flight as usize,
                    timeout: Duration::from_millis(timeout),
                },
            }),
            (_, line) => Err(line.unwrap_or_default()),
        }
    }
}

fn check_prefix(prefix: &str, problems: &mut Problems) {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'%' | b'\\');
    let fits = prefix.is_empty()
        || prefix.starts_with('/') && !prefix.ends_with('/') && !prefix.contains("//");
    if prefix.len() > MAX_PREFIX_BYTES {
        let problem = format!("has at most {MAX_PREFIX_BYTES} bytes, not {}", prefix.len());
        problems.add("path_prefix", problem);
    } else if !fits || !prefix.bytes().all(plain) {
        let problem = format!("is empty or like /mail: no / at its end, not {prefix:?}");
        problems.add("path_prefix", problem);
    }
}

fn keyring(text: Option<String>, problems: &mut Problems) -> Option<Keyring> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        let problem = format!(
            "is missing: give it here as 1:SECRET,2:SECRET or in the environment variable \
             {KEYRING_VARIABLE}"
        );
        problems.add("keyring", problem);
        return None;
    };
    let parsed = text.parse();
    parsed.map_err(|error| problems.add("keyring", error)).ok()
}

fn authorization(secret: Option<String>, problems: &mut Problems) -> String {
    // A secret read from a file comes with the line break at its end.
    let secret = secret.as_deref().unwrap_or_default().trim();
    if secret.is_empty() {
        let problem = format!(
            "is missing: give it here or in the environment variable {INGEST_SECRET_VARIABLE}"
        );
        problems.add("collector.secret", problem);
    } else if secret.len() > MAX_SECRET_BYTES || !secret.bytes().all(|b| b.is_ascii_graphic()) {
        let problem = format!("is up to {MAX_SECRET_BYTES} visible ASCII characters");
        problems.add("collector.secret", problem);
    }
    format!("Bearer {secret}")
}

/// A name that can stand in a header.
fn name(
    object: &mut JsonObject,
    field: &'static str,
    default: &str,
    problems: &mut Problems,
) -> String {
    let text = object.text(field, problems);
    let text = text.unwrap_or_else(|| default.to_owned());
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > MAX_NAME_BYTES || !visible {
        let problem = format!("is 1 to {MAX_NAME_BYTES} visible ASCII characters, not {text:?}");
        problems.add(&object.path_of(field), problem);
    }
    text
}

#[cfg(test)]
mod tests;
