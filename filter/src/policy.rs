//! What the operator or a tenant has blocked, as the service last said it. Knows nothing of how it
//! gets here. Nothing in it is needed to serve: without one, nothing is blocked.

use kraiter_wire::{Claims, Link};
use serde::Deserialize;

/// A feed above this is refused, and the one before it stays.
pub(crate) const MAX_POLICY_BYTES: usize = 4 << 20;

/// Blocked tenants, sends and destination hosts. Sorted lists: a look-up costs some comparisons,
/// and nobody's input decides how they are laid out.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Policy {
    version: String,
    #[serde(default)]
    tenants: Vec<u32>,
    #[serde(default)]
    sends: Vec<(u32, String)>,
    /// Blocked for all tenants. In lower case and punycode, without port; each stands for its
    /// subdomains, too.
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    tenant_hosts: Vec<(u32, String)>,
}

impl Policy {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        if json.len() > MAX_POLICY_BYTES {
            return Err(format!("it is larger than {MAX_POLICY_BYTES} bytes"));
        }
        let mut policy: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        // What goes back as a header must be one.
        if policy.version.len() > 128 || !policy.version.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("its version is no short visible text".to_owned());
        }
        policy.tenants.sort_unstable();
        policy.sends.sort_unstable();
        policy.hosts.sort_unstable();
        policy.tenant_hosts.sort_unstable();
        Ok(policy)
    }

    /// As it stands inside the quotes of an etag; empty before the first one came.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn entries(&self) -> usize {
        self.tenants.len() + self.sends.len() + self.hosts.len() + self.tenant_hosts.len()
    }

    /// Whether a link is not to be served. A person can always opt out, also of a blocked sender.
    #[inline]
    pub(crate) fn blocks(&self, claims: &Claims<'_>) -> bool {
        self.entries() > 0 && self.looks_up(claims)
    }

    fn looks_up(&self, claims: &Claims<'_>) -> bool {
        let tenant = claims.tenant.get();
        let url = match &claims.link {
            Link::Open => None,
            Link::Click { url, .. } => Some(url),
            Link::Unsubscribe => return false,
        };
        let send = (tenant, claims.send.as_str());
        let by_send = |it: &(u32, String)| (it.0, it.1.as_str()).cmp(&send);
        if self.tenants.binary_search(&tenant).is_ok()
            || self.sends.binary_search_by(by_send).is_ok()
        {
            return true;
        }
        if self.hosts.is_empty() && self.tenant_hosts.is_empty() {
            return false;
        }
        url.is_some_and(|url| {
            let host = comparable(url.host());
            with_parents(&host).any(|host| {
                let by_host = |it: &(u32, String)| (it.0, it.1.as_str()).cmp(&(tenant, host));
                let all = self.hosts.binary_search_by(|it| it.as_str().cmp(host));
                all.is_ok() || self.tenant_hosts.binary_search_by(by_host).is_ok()
            })
        })
    }
}

/// A host in the form that blocked ones have: browsers decode it, ignore its case and the full stop
/// of the root.
fn comparable(host: &str) -> String {
    let mut bytes = host.bytes();
    let mut out = Vec::with_capacity(host.len());
    while let Some(byte) = bytes.next() {
        let decoded = match byte {
            b'%' => {
                let mut ahead = bytes.clone();
                let digit = |it: Option<u8>| it.and_then(|it| char::from(it).to_digit(16));
                match (digit(ahead.next()), digit(ahead.next())) {
                    (Some(high), Some(low)) => {
                        bytes = ahead;
                        (high * 16 + low) as u8
                    }
                    _ => byte,
                }
            }
            _ => byte,
        };
        out.push(decoded.to_ascii_lowercase());
    }
    let host = String::from_utf8(out).unwrap_or_else(|_| host.to_ascii_lowercase());
    match host.strip_suffix('.') {
        Some(host) => host.to_owned(),
        None => host,
    }
}

/// `a.b.c`, `b.c`, `c`.
fn with_parents(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |host| Some(host.split_once('.')?.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kraiter_wire::{ContactId, Day, Destination, LinkIndex, SendId, TenantId};

    const JSON: &str = r#"{"version":"v1","tenants":[7,3],"sends":[[2,"snd_x"],[1,"snd_x"]],
        "hosts":["evil.example"],"tenantHosts":[[1,"other.example"]]}"#;

    fn blocks(tenant: u32, send: &'static str, url: Option<&'static str>) -> bool {
        let link = match url {
            Some(url) => Link::Click {
                index: LinkIndex(0),
                url: Destination::parse(url).unwrap(),
            },
            None => Link::Open,
        };
        Policy::parse(JSON.as_bytes())
            .unwrap()
            .blocks(&claims(tenant, send, link))
    }

    fn claims(tenant: u32, send: &'static str, link: Link<'static>) -> Claims<'static> {
        Claims {
            tenant: TenantId::new(tenant).unwrap(),
            send: SendId::parse(send).unwrap(),
            contact: ContactId::from_bytes([1; 16]),
            day: Day(1),
            link,
        }
    }

    #[test]
    fn tenants_and_sends_are_blocked_each_for_itself() {
        assert!(blocks(7, "any", None) && blocks(3, "any", None));
        assert!(blocks(1, "snd_x", None) && blocks(2, "snd_x", None));
        assert!(!blocks(4, "snd_x", None) && !blocks(1, "snd_y", None));
    }

    #[test]
    fn a_host_stands_for_its_subdomains_and_however_it_is_written() {
        for url in [
            "https://evil.example/",
            "http://a.b.evil.example:8080/x",
            "https://EVIL.Example",
            "https://evil.example./",
            "https://%65vil.example/",
            "https://good.example@evil.example/",
            "https://evil.example\\@good.example/",
        ] {
            assert!(blocks(1, "s", Some(url)), "{url}");
        }
        for url in [
            "https://notevil.example/",
            "https://evil.example.org/",
            "https://good.example/?evil.example",
            "https://example/",
            "https://evil.example@good.example/",
        ] {
            assert!(!blocks(1, "s", Some(url)), "{url}");
        }
    }

    #[test]
    fn a_tenants_own_hosts_are_blocked_for_nobody_else() {
        let url = Some("https://www.other.example/");
        assert!(blocks(1, "s", url) && !blocks(2, "s", url));
    }

    #[test]
    fn a_person_can_always_opt_out() {
        let policy = Policy::parse(JSON.as_bytes()).unwrap();
        assert!(!policy.blocks(&claims(7, "snd_x", Link::Unsubscribe)));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"version":"a b"}"#,
            r#"{"version":"a","tenants":["x"]}"#,
        ] {
            assert!(Policy::parse(json.as_bytes()).is_err(), "{json}");
        }
        let newer = r#"{"version":"a","unheardOf":1}"#;
        assert_eq!(Policy::parse(newer.as_bytes()).unwrap().entries(), 0);
        assert!(Policy::parse(&vec![b' '; MAX_POLICY_BYTES + 1]).is_err());
    }
}
