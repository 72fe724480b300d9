//! What events tell together: several links of a mail at once, one address for many recipients.
//!
//! Both are defined by windows of time over a set of events, so what comes out does not depend on
//! the order in which events arrive. An event's answer depends on nothing farther away than the
//! window is long.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use kraiter_wire::UnixMillis;

use super::networks::{is_truncated, neighbourhood};
use super::{Action, Lines, SWEEP_LINKS};

/// One event among those of its send.
#[derive(Clone, Copy, Debug)]
pub struct OfSend<'a> {
    pub action: Action,
    pub at: UnixMillis,
    /// Which link; the same for every open.
    pub link: i64,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
}

/// One click among those from its address and User-Agent.
#[derive(Clone, Copy, Debug)]
pub struct OfSource {
    pub at: UnixMillis,
    pub contact: [u8; 16],
}

/// Whether many recipients can be told apart at this address: not if it stands for a network.
pub fn of_one_address(ip: Option<IpAddr>) -> Option<IpAddr> {
    ip.filter(|ip| !is_truncated(*ip))
}

/// For each event of one send, whether it is part of a burst: different links followed faster than
/// by hand, from one network or by one User-Agent. An open belongs to the burst that came with it.
pub fn bursts(events: &[OfSend<'_>], lines: &Lines) -> Vec<bool> {
    let mut marked = vec![false; events.len()];
    let clicks = || {
        events
            .iter()
            .enumerate()
            .filter(|(_, event)| event.action == Action::Click)
    };
    // The usual case, without allocating.
    if clicks().nth(1).is_none() {
        return marked;
    }
    let networks = grouped(clicks().filter_map(|(at, event)| Some((neighbourhood(event.ip?), at))));
    let names = grouped(clicks().filter_map(|(at, event)| Some((event.user_agent?, at))));
    for group in networks.into_values().chain(names.into_values()) {
        let timed = in_order(events, group, |event| (event.at, event.link));
        mark_windows(&timed, lines.burst, 2, &mut marked);
        mark_windows(&timed, lines.sweep, SWEEP_LINKS, &mut marked);
    }
    mark_opens(events, lines.sweep, &mut marked);
    marked
}

/// Opens from the network and User-Agent of a burst, at its time.
fn mark_opens(events: &[OfSend<'_>], within: u64, marked: &mut [bool]) {
    let source = |event: &OfSend<'_>| {
        (
            event.ip.map(neighbourhood),
            event.user_agent.map(str::to_owned),
        )
    };
    let in_bursts = events.iter().zip(&*marked).filter(|(_, marked)| **marked);
    let mut times: HashMap<_, Vec<u64>> = HashMap::new();
    for (event, _) in in_bursts {
        times.entry(source(event)).or_default().push(event.at.0);
    }
    times.values_mut().for_each(|times| times.sort_unstable());
    let near = |event: &OfSend<'_>| {
        times.get(&source(event)).is_some_and(|times| {
            let next = times.partition_point(|at| *at < event.at.0.saturating_sub(within));
            times.get(next).is_some_and(|at| *at <= event.at.0 + within)
        })
    };
    for (event, marked) in events.iter().zip(marked) {
        if event.action == Action::Open {
            *marked = near(event);
        }
    }
}

/// For each click from one address by one User-Agent, whether it follows links for more recipients
/// than sit in front of one computer.
pub fn many_recipients(clicks: &[OfSource], lines: &Lines) -> Vec<bool> {
    let mut marked = vec![false; clicks.len()];
    let wanted = lines.many_recipients as usize;
    if clicks.len() < wanted {
        return marked;
    }
    let timed = in_order(clicks, (0..clicks.len()).collect(), |click| {
        (click.at, click.contact)
    });
    mark_windows(&timed, lines.many_recipients_within, wanted, &mut marked);
    marked
}

/// Positions by key.
fn grouped<K: Hash + Eq>(items: impl Iterator<Item = (K, usize)>) -> HashMap<K, Vec<usize>> {
    let mut groups: HashMap<K, Vec<usize>> = HashMap::new();
    for (key, position) in items {
        groups.entry(key).or_default().push(position);
    }
    groups
}

/// One event of a group: when, what differs, and its position among all.
struct Timed<V> {
    at: u64,
    value: V,
    position: usize,
}

fn in_order<T, V: Ord>(
    all: &[T],
    positions: Vec<usize>,
    read: impl Fn(&T) -> (UnixMillis, V),
) -> Vec<Timed<V>> {
    let timed = |position: usize| {
        let (at, value) = read(all.get(position)?);
        Some(Timed {
            at: at.0,
            value,
            position,
        })
    };
    let mut group: Vec<_> = positions.into_iter().filter_map(timed).collect();
    group.sort_by(|a, b| (a.at, &a.value).cmp(&(b.at, &b.value)));
    group
}

/// Marks every event that lies in some window of `within` milliseconds with `wanted` different
/// values or more. Linear in the events of the group.
fn mark_windows<V: Hash + Eq>(group: &[Timed<V>], within: u64, wanted: usize, marked: &mut [bool]) {
    let mut counts: HashMap<&V, usize> = HashMap::new();
    let mut first = 0;
    // Everything before is marked already, if it has to be.
    let mut done = 0;
    for (last, event) in group.iter().enumerate() {
        *counts.entry(&event.value).or_default() += 1;
        while let Some(oldest) = group
            .get(first)
            .filter(|oldest| oldest.at + within < event.at)
        {
            if let Some(count) = counts.get_mut(&oldest.value) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&oldest.value);
                }
            }
            first += 1;
        }
        if counts.len() >= wanted {
            let window = group.get(first.max(done)..=last).unwrap_or_default();
            for event in window {
                if let Some(mark) = marked.get_mut(event.position) {
                    *mark = true;
                }
            }
            done = last + 1;
        }
    }
}
