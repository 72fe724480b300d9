//! When the policy is asked for again: one call at a time, at about the same distance, whatever
//! came of the last one.

use std::time::Duration;

use crate::backoff::{Jitter, Moment};
use crate::delivery::{CallId, RootId};

/// A call may take its time-out; after this much more its answer is not coming.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting {
        until: Moment,
    },
    Asked {
        call: CallId,
        root: RootId,
        give_up: Moment,
    },
}

pub(crate) struct Feed {
    /// `None`: never.
    every: Option<Duration>,
    phase: Phase,
    jitter: Jitter,
}

impl Feed {
    pub(crate) fn new(every: Option<Duration>, jitter: Jitter) -> Self {
        Self {
            every,
            phase: Phase::Waiting {
                until: Moment::default(),
            },
            jitter,
        }
    }

    /// A newer configuration may lead elsewhere: asks at once.
    pub(crate) fn configure(&mut self, every: Option<Duration>) {
        self.every = every;
        self.phase = Phase::Waiting {
            until: Moment::default(),
        };
    }

    pub(crate) fn is_due(&mut self, now: Moment) -> bool {
        if let Phase::Asked { give_up, .. } = self.phase
            && give_up <= now
        {
            self.wait(now);
        }
        self.every.is_some() && matches!(self.phase, Phase::Waiting { until } if until <= now)
    }

    /// `None`: the host did not take the call.
    pub(crate) fn asked(
        &mut self,
        call: Option<CallId>,
        root: RootId,
        now: Moment,
        timeout: Duration,
    ) {
        match call {
            Some(call) => {
                let give_up = now.after(timeout.saturating_add(ANSWER_GRACE));
                self.phase = Phase::Asked {
                    call,
                    root,
                    give_up,
                };
            }
            None => self.wait(now),
        }
    }

    /// Whether an answer to this call is the feed's.
    pub(crate) fn answered(&mut self, answered: CallId, now: Moment) -> bool {
        match self.phase {
            Phase::Asked { call, .. } if call == answered => {
                self.wait(now);
                true
            }
            _ => false,
        }
    }

    /// A root's calls end with it.
    pub(crate) fn root_ended(&mut self, ended: RootId) {
        if matches!(self.phase, Phase::Asked { root, .. } if root == ended) {
            self.phase = Phase::Waiting {
                until: Moment::default(),
            };
        }
    }

    /// Between three and five quarters of the distance, so that edges do not ask together.
    fn wait(&mut self, now: Moment) {
        let every = self.every.unwrap_or_default();
        let wait = (every / 4 * 3).saturating_add(self.jitter.up_to(every / 2));
        self.phase = Phase::Waiting {
            until: now.after(wait),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);
    const TIMEOUT: Duration = Duration::from_secs(5);
    const ROOT: RootId = RootId(1);

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn it_asks_at_once_and_then_again_at_its_distance() {
        let mut feed = Feed::new(Some(EVERY), Jitter::new(1));
        assert!(feed.is_due(at(1)));
        feed.asked(Some(CallId(9)), ROOT, at(1), TIMEOUT);
        assert!(!feed.is_due(at(2)));
        assert!(!feed.answered(CallId(8), at(2)) && feed.answered(CallId(9), at(2)));
        assert!(!feed.is_due(at(2 + 22)));
        assert!(feed.is_due(at(2 + 38)));
    }

    #[test]
    fn calls_that_fail_or_vanish_do_not_end_it() {
        let mut feed = Feed::new(Some(EVERY), Jitter::new(1));
        feed.asked(None, ROOT, at(1), TIMEOUT);
        assert!(!feed.is_due(at(10)) && feed.is_due(at(40)));
        feed.asked(Some(CallId(1)), ROOT, at(40), TIMEOUT);
        assert!(!feed.is_due(at(49)) && !feed.is_due(at(50)) && feed.is_due(at(90)));
        feed.asked(Some(CallId(2)), ROOT, at(90), TIMEOUT);
        feed.root_ended(ROOT);
        assert!(feed.is_due(at(90)));
    }

    #[test]
    fn switched_off_it_never_asks() {
        let mut feed = Feed::new(None, Jitter::new(1));
        assert!(!feed.is_due(at(1_000_000)));
    }
}
