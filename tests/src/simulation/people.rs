//! What people do with a mail: read it, come back, follow links.

use std::net::IpAddr;

use super::machines::APPLE_RELAYED;
use super::networks::{Service, of_service};
use super::parameters::Client;
use super::{Action, Look, Mailbox, Truth};

/// A person shares a link within minutes.
const SHARING_SECONDS: [f64; 2] = [20.0, 600.0];

impl Mailbox<'_> {
    pub(super) fn person(&mut self) {
        let people = &self.parameters.people;
        let protected = self.recipient.client == Client::AppleMail
            && self.chance.happens(self.parameters.apple.protected_share);
        let loaded = protected && self.apple_ahead();
        if !self.chance.happens(people.open_share) {
            return;
        }
        let mut at = self.delivered + self.chance.time(people.open_delay);
        let first = at;
        loop {
            // What was loaded before is shown from the phone's memory.
            if !loaded {
                self.open(at, protected);
            }
            if !self.chance.happens(people.reopen_share) {
                break;
            }
            at += self.chance.time(people.open_delay);
        }
        if self.chance.happens(people.click_share) {
            let at = first + self.chance.time(people.click_delay);
            self.clicks(at);
        }
    }

    fn open(&mut self, at: u64, protected: bool) {
        let service = match self.recipient.client {
            Client::AppleMail if protected => {
                Some((Service::AppleRelay, self.parameters.apple.addresses))
            }
            Client::Gmail => Some((Service::GoogleProxy, 500)),
            Client::Yahoo => Some((Service::YahooProxy, 200)),
            Client::OutlookWeb => Some((Service::OutlookWeb, 800)),
            Client::AppleMail | Client::OutlookDesktop | Client::Android | Client::Thunderbird => {
                None
            }
        };
        let ip: Option<IpAddr> = service
            .and_then(|(service, addresses)| of_service(service, self.chance.below(addresses)));
        let own_name = self.recipient.mail_name.clone();
        let user_agent = if protected { APPLE_RELAYED } else { &own_name };
        self.record(
            at,
            Action::Open,
            &Look {
                ip,
                user_agent,
                sec_purpose: None,
                truth: Truth::Human,
                cause: "person",
            },
        );
    }

    fn clicks(&mut self, first: u64) {
        let people = &self.parameters.people;
        let order = self.chance.order(self.parameters.links);
        let in_tabs = self.chance.happens(people.tabs_share);
        let mut at = first;
        for (nth, link) in order.into_iter().enumerate() {
            if nth > 0 {
                let share = if in_tabs {
                    0.7
                } else {
                    people.another_link_share
                };
                if !self.chance.happens(share) {
                    break;
                }
                let gap = if in_tabs { people.tabs_gap } else { people.gap };
                at += self.chance.time(gap);
            }
            self.click(at, link);
        }
    }

    fn click(&mut self, at: u64, link: u32) {
        let people = &self.parameters.people;
        let browser = self.recipient.browser.clone();
        let look = |sec_purpose, truth, cause| Look {
            ip: None,
            user_agent: &browser,
            sec_purpose,
            truth,
            cause,
        };
        if self.chance.happens(people.browser_prefetch_share) {
            let ahead = look(Some("prefetch;prerender"), Truth::Machine, "browser-ahead");
            self.record(at.saturating_sub(400), Action::Click(link), &ahead);
        }
        let person = look(None, Truth::Human, "person");
        self.record(at, Action::Click(link), &person);
        if self.chance.happens(people.double_click_share) {
            self.record(at + 300, Action::Click(link), &person);
        }
        if self.chance.happens(people.shared_share) {
            let later = self.chance.seconds_between(SHARING_SECONDS);
            self.preview(at + later, link);
        }
    }
}
