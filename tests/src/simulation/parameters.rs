//! What a simulated campaign is made from, as `tests/simulation/*.toml` write it down. Figures only:
//! what they do is in the modules beside this one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::artifacts;
use crate::trouble::{Outcome, Trouble};

/// One campaign. `README.md` beside the files says where each figure is from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    pub name: String,
    pub seed: u64,
    pub recipients: u32,
    pub links: u32,
    /// How long the mail server takes for all recipients.
    pub sending_minutes: u64,
    /// Events later than this after the start are left out.
    pub days: u64,
    pub(super) delivery: Delivery,
    pub(super) companies: Companies,
    pub(super) consumers: Consumers,
    pub(super) clients: Clients,
    pub(super) apple: Apple,
    pub(super) gmail: Gmail,
    pub(super) people: People,
    pub(super) scanners: Vec<Scanner>,
}

/// A log-normal time: half of all are shorter than the median, and `sigma` is the standard
/// deviation of the logarithm.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Duration {
    pub(super) median_s: f64,
    pub(super) sigma: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivery {
    pub(super) delay: Duration,
    pub(super) greylisted_share: f64,
    pub(super) greylisting_s: [f64; 2],
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Companies {
    pub(super) share: f64,
    pub(super) count: u32,
    /// Of Zipf's law.
    pub(super) size_exponent: f64,
    pub(super) employees_per_address: u32,
    pub(super) remote_share: f64,
    pub(super) scanned_share: f64,
    pub(super) same_browser_share: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consumers {
    pub(super) carrier_share: f64,
    pub(super) carrier_addresses: u32,
    pub(super) ipv6_share: f64,
    pub(super) scanned_share: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clients {
    pub(super) consumer: BTreeMap<Client, f64>,
    pub(super) company: BTreeMap<Client, f64>,
}

/// What a recipient reads mail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Client {
    AppleMail,
    Gmail,
    Yahoo,
    OutlookWeb,
    OutlookDesktop,
    Android,
    Thunderbird,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Apple {
    pub(super) protected_share: f64,
    pub(super) prefetched_share: f64,
    pub(super) delay: Duration,
    pub(super) addresses: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gmail {
    pub(super) prefetched_share: f64,
    pub(super) prefetch_delay: Duration,
    pub(super) filtered_share: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct People {
    pub(super) open_share: f64,
    pub(super) open_delay: Duration,
    pub(super) reopen_share: f64,
    pub(super) click_share: f64,
    pub(super) click_delay: Duration,
    pub(super) another_link_share: f64,
    pub(super) gap: Duration,
    pub(super) double_click_share: f64,
    pub(super) tabs_share: f64,
    pub(super) tabs_gap: Duration,
    pub(super) shared_share: f64,
    pub(super) browser_prefetch_share: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scanner {
    pub(super) name: String,
    pub(super) weight: f64,
    pub(super) follows: Follows,
    #[serde(default)]
    pub(super) link_share: f64,
    pub(super) opens_share: f64,
    pub(super) delay: Duration,
    pub(super) gap: Duration,
    pub(super) second_pass_share: f64,
    pub(super) second_pass: Duration,
    pub(super) source: Source,
    pub(super) addresses: u32,
    pub(super) networks: Vec<Network>,
    /// Empty: none is sent.
    pub(super) user_agents: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Follows {
    All,
    Some,
    One,
}

/// Where a scanner's requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Company,
    Mail,
    Request,
}

/// An address and how many of its bits are fixed, as `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Network {
    pub(super) address: IpAddr,
    pub(super) bits: u8,
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(address, bits)| {
                let address = address.parse().ok()?;
                let bits = bits.parse().ok()?;
                Some(Self { address, bits })
            })
            .ok_or_else(|| format!("{text} is not a network such as 192.0.2.0/24"))
    }
}

/// What clients call themselves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserAgents {
    pub(super) mail: BTreeMap<Client, Vec<String>>,
    pub(super) browsers: Browsers,
    pub(super) previews: Previews,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Browsers {
    pub(super) phone: Vec<String>,
    pub(super) computer: Vec<String>,
    pub(super) company: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Previews {
    pub(super) chats: Vec<String>,
}

impl Parameters {
    /// The campaign that the rules about machines were made with.
    pub fn made_with() -> Outcome<Self> {
        read("made_with.toml")
    }

    /// A campaign that no rule was made with.
    pub fn held_out() -> Outcome<Self> {
        read("held_out.toml")
    }
}

impl UserAgents {
    pub(super) fn read() -> Outcome<Self> {
        read("user_agents.toml")
    }
}

/// Where the files are.
pub(super) fn folder() -> PathBuf {
    artifacts::project_root().join("tests/simulation")
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> Outcome<T> {
    let path = folder().join(name);
    let reading = format!("reading {}", path.display());
    let text = std::fs::read_to_string(&path).map_err(Trouble::io(reading))?;
    toml::from_str(&text).map_err(|error| Trouble::content(&path, error.to_string()))
}
