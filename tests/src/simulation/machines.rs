//! What machines do with a mail: scanners, and clients that load ahead.

use super::chance::address;
use super::networks::{Service, of_service};
use super::parameters::{Client, Follows, Scanner, Source};
use super::{Action, Look, Mailbox, Truth};

/// What Gmail calls itself when it loads images before anyone looks.
const GMAIL_AHEAD: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
     (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0";

/// All that Apple's relays say about a client.
pub(super) const APPLE_RELAYED: &str = "Mozilla/5.0";

impl Mailbox<'_> {
    pub(super) fn machines(&mut self) {
        if let Some(scanner) = self.recipient.scanner {
            self.scan(scanner, self.delivered);
            if self.chance.happens(scanner.second_pass_share) {
                let later = self.chance.time(scanner.second_pass);
                self.scan(scanner, self.delivered + later);
            }
        }
        if self.recipient.client == Client::Gmail {
            self.gmail_ahead();
        }
    }

    fn scan(&mut self, scanner: &Scanner, from: u64) {
        let links = self.parameters.links;
        let order = self.chance.order(links);
        let followed: Vec<u32> = match scanner.follows {
            Follows::All => order,
            Follows::One => order.into_iter().take(1).collect(),
            Follows::Some => {
                let share = scanner.link_share;
                order
                    .into_iter()
                    .filter(|_| self.chance.happens(share))
                    .collect()
            }
        };
        let user_agent = self
            .chance
            .one_of(&scanner.user_agents)
            .cloned()
            .unwrap_or_default();
        let for_mail = self.chance.below(scanner.addresses);
        let mut at = from + self.chance.time(scanner.delay);
        let opens = self
            .chance
            .happens(scanner.opens_share)
            .then_some(Action::Open);
        for action in opens
            .into_iter()
            .chain(followed.into_iter().map(Action::Click))
        {
            let ip = match scanner.source {
                Source::Company => Some(self.recipient.gateway),
                Source::Mail => address(&scanner.networks, for_mail),
                Source::Request => address(&scanner.networks, self.chance.below(scanner.addresses)),
            };
            self.record(
                at,
                action,
                &Look {
                    ip,
                    user_agent: &user_agent,
                    sec_purpose: None,
                    truth: Truth::Machine,
                    cause: &scanner.name,
                },
            );
            at += self.chance.time(scanner.gap);
        }
    }

    fn gmail_ahead(&mut self) {
        let gmail = &self.parameters.gmail;
        let ahead = self.chance.happens(gmail.prefetched_share);
        let filtered = self.chance.happens(gmail.filtered_share);
        let at = self.delivered + self.chance.time(gmail.prefetch_delay);
        let ip = of_service(Service::GoogleProxy, self.chance.below(500));
        let proxy = self.recipient.mail_name.clone();
        let look = |user_agent, cause| Look {
            ip,
            user_agent,
            sec_purpose: None,
            truth: Truth::Machine,
            cause,
        };
        if ahead {
            self.record(at, Action::Open, &look(GMAIL_AHEAD, "gmail-ahead"));
        }
        if filtered {
            self.record(at, Action::Open, &look(&proxy, "gmail-filter"));
        }
    }

    /// Whether Apple Mail loads the pixel by itself.
    pub(super) fn apple_ahead(&mut self) -> bool {
        let apple = &self.parameters.apple;
        let ahead = self.chance.happens(apple.prefetched_share);
        let at = self.delivered + self.chance.time(apple.delay);
        if ahead {
            let ip = of_service(Service::AppleRelay, self.chance.below(apple.addresses));
            self.record(
                at,
                Action::Open,
                &Look {
                    ip,
                    user_agent: APPLE_RELAYED,
                    sec_purpose: None,
                    truth: Truth::Machine,
                    cause: "apple",
                },
            );
        }
        ahead
    }

    /// A chat's server looks at the link that somebody put there.
    pub(super) fn preview(&mut self, at: u64, link: u32) {
        let number = self.chance.below(200);
        let Some(user_agent) = self.chance.one_of(&self.names.chats) else {
            return;
        };
        self.record(
            at,
            Action::Click(link),
            &Look {
                ip: of_service(Service::Chats, number),
                user_agent,
                sec_purpose: None,
                truth: Truth::Machine,
                cause: "preview",
            },
        );
    }
}
