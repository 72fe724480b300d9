//! Who made an event, as far as it tells by itself. What its neighbours tell is found out later.

use super::EdgeEvent;
use crate::events::EventType;
use crate::verdicts::{Action, Lines, Rules, Seen};

/// Judges opens and clicks by what is kept of them, so that judging again later finds the same.
/// Without rules they have no verdict until then.
pub(super) fn judge(event: &mut EdgeEvent, rules: Option<&Rules>, lines: &Lines) {
    let action = match event.kind {
        EventType::Opened => Action::Open,
        EventType::Clicked => Action::Click,
        // A request to unsubscribe counts, whoever makes it.
        _ => return,
    };
    let signals = &event.signals;
    let seen = Seen {
        action,
        at: event.id.time(),
        // The send says that. Events that may be too soon are judged again with it.
        sent_at: None,
        ip: signals.ip,
        user_agent: signals.user_agent.as_deref(),
        purposes: [
            signals.sec_purpose.as_deref(),
            signals.purpose.as_deref(),
            signals.x_purpose.as_deref(),
            signals.x_moz.as_deref(),
        ],
    };
    event.reasons = rules.map(|rules| rules.judge(&seen, lines));
}
