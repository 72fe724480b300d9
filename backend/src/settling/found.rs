//! Sends with their events and what is near them, and how that is judged. Knows no SQL.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use kraiter_wire::UnixMillis;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::events::{EventType, time_of};
use crate::verdicts::{
    Action, Lines, OfSend, OfSource, Reason, Reasons, Rules, Seen, Verdict, bursts, is_too_soon,
    many_recipients, of_one_address,
};

/// A send and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SendKey {
    pub(crate) tenant: i32,
    pub(crate) id: String,
    pub(crate) contact: Uuid,
}

/// What is judged anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What depends on the send and on other events; what an event tells by itself only if it was
    /// never judged.
    Neighbours,
    All,
}

pub(super) type LinesOf = HashMap<i32, Lines>;

/// Sends, their opens and clicks, and clicks that are near those in time and from their addresses.
pub(super) struct Found {
    pub(super) lines: LinesOf,
    pub(super) sends: Vec<FoundSend>,
    pub(super) neighbours: Vec<Click>,
}

pub(super) struct FoundSend {
    pub(super) key: SendKey,
    /// Whether everything near its clicks is among the neighbours.
    pub(super) is_whole: bool,
    pub(super) campaign: Option<String>,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) human_opened_at: Option<Timestamp>,
    pub(super) human_clicked_at: Option<Timestamp>,
    pub(super) events: Vec<FoundEvent>,
}

/// An open or a click.
pub(super) struct FoundEvent {
    pub(super) id: Uuid,
    pub(super) action: Action,
    pub(super) link: Option<i64>,
    pub(super) url: Option<String>,
    pub(super) ip: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
    pub(super) purposes: [Option<String>; 4],
    pub(super) verdict: Option<Verdict>,
    pub(super) reasons: Option<Reasons>,
}

impl FoundEvent {
    pub(super) fn at(&self) -> Timestamp {
        time_of(self.id)
    }

    pub(super) fn kind(&self) -> EventType {
        match self.action {
            Action::Open => EventType::Opened,
            Action::Click => EventType::Clicked,
        }
    }
}

/// A click as a neighbour of others.
pub(super) struct Click {
    pub(super) id: Uuid,
    pub(super) send: SendKey,
    pub(super) ip: IpAddr,
    pub(super) user_agent: Option<String>,
    pub(super) reasons: Option<Reasons>,
    /// Whether its send is noted, so that it will be judged whatever happens here.
    pub(super) is_noted: bool,
}

impl Click {
    fn at(&self) -> UnixMillis {
        time_of(self.id).0
    }
}

/// A time in which clicks from an address are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    /// Included.
    pub(super) to: Timestamp,
}

/// Where the clicks lie that may decide about these, without overlaps.
pub(super) fn spans(
    clicks: impl Iterator<Item = (i32, IpAddr, Timestamp)>,
    lines: &LinesOf,
) -> BTreeMap<(i32, IpAddr), Vec<Span>> {
    let mut all: BTreeMap<(i32, IpAddr), Vec<Span>> = BTreeMap::new();
    for (tenant, ip, at) in clicks {
        let Some(ip) = of_one_address(Some(ip)) else {
            continue;
        };
        let within = lines_of(lines, tenant).many_recipients_within;
        let within = std::time::Duration::from_millis(within);
        let span = Span {
            from: at.minus(within),
            to: at.plus(within),
        };
        all.entry((tenant, ip)).or_default().push(span);
    }
    for spans in all.values_mut() {
        spans.sort_by_key(|span| span.from);
        spans.dedup_by(|next, span| {
            let joins = next.from <= span.to;
            if joins {
                span.to = span.to.max(next.to);
            }
            joins
        });
    }
    all
}

/// Sends besides the noted ones with clicks that are now seen to be of a source with many
/// recipients. Of a source not many are left: what is noted will find that out by itself, and what
/// was settled before and not marked were few.
pub(super) fn drawn_in(noted: &[SendKey], neighbours: &[Click], lines: &LinesOf) -> Vec<SendKey> {
    let noted: HashSet<&SendKey> = noted.iter().collect();
    let marked = of_busy_sources(neighbours, lines);
    let mut sends: Vec<SendKey> = neighbours
        .iter()
        .filter(|click| {
            let known = click
                .reasons
                .is_some_and(|reasons| reasons.has(Reason::ManyRecipients));
            let this = (click.send.tenant, click.id);
            !known && !click.is_noted && !noted.contains(&click.send) && marked.contains(&this)
        })
        .map(|click| click.send.clone())
        .collect();
    sends.sort();
    sends.dedup();
    sends
}

fn lines_of(lines: &LinesOf, tenant: i32) -> Lines {
    lines.get(&tenant).copied().unwrap_or_default()
}

/// Clicks from addresses that follow links for many recipients, by tenant and id.
fn of_busy_sources(clicks: &[Click], lines: &LinesOf) -> HashSet<(i32, Uuid)> {
    let mut sources: HashMap<_, Vec<&Click>> = HashMap::new();
    for click in clicks {
        let source = (click.send.tenant, click.ip, click.user_agent.as_deref());
        sources.entry(source).or_default().push(click);
    }
    let mut marked = HashSet::new();
    for ((tenant, ..), clicks) in sources {
        let of_source: Vec<OfSource> = clicks
            .iter()
            .map(|click| OfSource {
                at: click.at(),
                contact: click.send.contact.into_bytes(),
            })
            .collect();
        let marks = many_recipients(&of_source, &lines_of(lines, tenant));
        let these = clicks.iter().zip(marks).filter(|(_, mark)| *mark);
        marked.extend(these.map(|(click, _)| (tenant, click.id)));
    }
    marked
}

impl Found {
    /// For each send, the reasons of its events as they are now.
    pub(super) fn judge(&self, rules: &Rules, extent: Extent) -> Vec<Vec<Reasons>> {
        let busy = of_busy_sources(&self.neighbours, &self.lines);
        let judge = |send: &FoundSend| {
            let lines = lines_of(&self.lines, send.key.tenant);
            let of_send: Vec<OfSend<'_>> = send.events.iter().map(of_send).collect();
            let bursts = bursts(&of_send, &lines);
            let judged = send.events.iter().zip(bursts).map(|(event, burst)| {
                let alone = match (event.reasons, extent) {
                    (Some(reasons), Extent::Neighbours) => reasons,
                    _ => alone(event, rules, &lines),
                };
                let known = event
                    .reasons
                    .is_some_and(|reasons| reasons.has(Reason::ManyRecipients));
                let many = busy.contains(&(send.key.tenant, event.id)) || (known && !send.is_whole);
                let sent_at = send.sent_at.map(|at| at.0);
                alone
                    .with(Reason::TooSoon, is_too_soon(event.at().0, sent_at, &lines))
                    .with(Reason::Burst, burst)
                    .with(Reason::ManyRecipients, many)
            });
            judged.collect()
        };
        self.sends.iter().map(judge).collect()
    }
}

fn of_send(event: &FoundEvent) -> OfSend<'_> {
    OfSend {
        action: event.action,
        at: event.at().0,
        link: event.link.unwrap_or_default(),
        ip: event.ip,
        user_agent: event.user_agent.as_deref(),
    }
}

fn alone(event: &FoundEvent, rules: &Rules, lines: &Lines) -> Reasons {
    let seen = Seen {
        action: event.action,
        at: event.at().0,
        sent_at: None,
        ip: event.ip,
        user_agent: event.user_agent.as_deref(),
        purposes: event.purposes.each_ref().map(Option::as_deref),
    };
    rules.judge(&seen, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_an_address_are_joined_where_they_touch() {
        let at = |minutes: u64| Timestamp(UnixMillis(1_790_000_000_000 + minutes * 60_000));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = ip("203.0.113.9");
        let clicks = [(1, one, 100), (1, one, 115), (1, one, 200), (2, one, 100)];
        let clicks = clicks.map(|(tenant, ip, minutes)| (tenant, ip, at(minutes)));
        let truncated = (1, ip("203.0.113.0"), at(100));
        let all = spans(clicks.into_iter().chain([truncated]), &LinesOf::new());
        let of_one = [
            Span {
                from: at(90),
                to: at(125),
            },
            Span {
                from: at(190),
                to: at(210),
            },
        ];
        assert_eq!(all.len(), 2);
        assert_eq!(all[&(1, one)], of_one);
    }
}
