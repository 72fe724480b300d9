//! Opens and clicks by what read the mail: mail client, browser, system, device. Named from
//! User-Agents when it is asked for. Knows neither HTTP nor SQL.

pub(crate) mod http;
mod store;

use std::collections::HashMap;
use std::hash::Hash;

use crate::clients::Client;
use crate::events::EventType;
use crate::rollups::Tally;

/// Opens or clicks with one User-Agent.
#[derive(Clone, Debug)]
pub(crate) struct OfUserAgent {
    /// `None`: without one, or one of the rare ones that were put together.
    pub(crate) user_agent: Option<String>,
    pub(crate) kind: EventType,
    pub(crate) events: Tally,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) opens: Tally,
    pub(crate) clicks: Tally,
}

impl Shares {
    fn add(&mut self, group: &OfUserAgent) {
        let sum = match group.kind {
            EventType::Opened => &mut self.opens,
            EventType::Clicked => &mut self.clicks,
            _ => return,
        };
        sum.all += group.events.all;
        sum.human += group.events.human;
        sum.machine += group.events.machine;
    }
}

/// Each list holds every event once; `None` counts those that do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breakdown {
    pub(crate) totals: Shares,
    pub(crate) mail_clients: Vec<(Option<String>, Shares)>,
    pub(crate) browsers: Vec<(Option<String>, Shares)>,
    pub(crate) systems: Vec<(Option<String>, Shares)>,
    pub(crate) devices: Vec<(Option<String>, Shares)>,
    pub(crate) proxied: Shares,
}

impl Breakdown {
    pub(crate) fn of(groups: &[OfUserAgent]) -> Self {
        let mut all = Self::default();
        let (mut mail, mut browsers) = (HashMap::new(), HashMap::new());
        let (mut systems, mut devices) = (HashMap::new(), HashMap::new());
        for group in groups {
            let client = group.user_agent.as_deref().and_then(Client::of);
            let client = client.unwrap_or_default();
            all.totals.add(group);
            if client.proxied() {
                all.proxied.add(group);
            }
            count(&mut mail, client.mail_client().map(str::to_owned), group);
            count(&mut browsers, client.browser().map(str::to_owned), group);
            count(&mut systems, client.os().map(str::to_owned), group);
            let device = client.device().map(|device| device.as_str().to_owned());
            count(&mut devices, device, group);
        }
        Self {
            mail_clients: sorted(mail),
            browsers: sorted(browsers),
            systems: sorted(systems),
            devices: sorted(devices),
            ..all
        }
    }
}

fn count<K: Eq + Hash>(counts: &mut HashMap<K, Shares>, name: K, group: &OfUserAgent) {
    counts.entry(name).or_default().add(group);
}

/// Most events first; those that do not tell come last.
fn sorted(counts: HashMap<Option<String>, Shares>) -> Vec<(Option<String>, Shares)> {
    let mut list: Vec<_> = counts.into_iter().collect();
    list.sort_by(|(a, x), (b, y)| {
        let order = |name: &Option<String>, shares: &Shares| {
            (name.is_none(), -(shares.opens.all + shares.clicks.all))
        };
        order(a, x).cmp(&order(b, y)).then_with(|| a.cmp(b))
    });
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agents_of_one_client_are_added_up_and_the_unknown_come_last() {
        let group = |user_agent: Option<&str>, kind, all, human| OfUserAgent {
            user_agent: user_agent.map(str::to_owned),
            kind,
            events: Tally {
                all,
                human,
                machine: all - human,
            },
        };
        let outlook = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0)";
        let breakdown = Breakdown::of(&[
            group(None, EventType::Opened, 90, 0),
            group(Some("Mozilla/5.0"), EventType::Opened, 3, 0),
            group(Some(outlook), EventType::Opened, 4, 4),
            group(Some(&format!("{outlook} x")), EventType::Clicked, 2, 1),
        ]);
        let names = breakdown
            .mail_clients
            .iter()
            .map(|(name, _)| name.as_deref());
        assert_eq!(
            names.collect::<Vec<_>>(),
            [Some("Outlook"), Some("Apple Mail"), None]
        );
        let (_, outlook) = &breakdown.mail_clients[0];
        assert_eq!((outlook.opens.human, outlook.clicks.machine), (4, 1));
        assert_eq!(breakdown.proxied.opens.all, 3);
        assert_eq!(breakdown.totals.opens.all, 97);
        assert_eq!(breakdown.totals.clicks.human, 1);
    }
}
