//! What a tenant wants recorded: settings applied to one event.

use kraiter_wire::Day;

use super::{EdgeEvent, Rejection};
use crate::clock::Timestamp;
use crate::tenants::Settings;

/// Edges' clocks may run ahead by this much; an event beyond would sort after ones yet to come.
const MAX_SKEW_MILLIS: u64 = 3_600_000;

/// Applies the tenant's settings: refuses the event, or keeps of it what may be kept.
pub(super) fn apply(
    event: &mut EdgeEvent,
    settings: &Settings,
    kept_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Rejection> {
    let now = now.millis();
    let happened = event.id.time().0;
    if happened > now + MAX_SKEW_MILLIS {
        return Err(Rejection::ClockSkew);
    }
    let retention = settings.retention_days.millis();
    // A send is as old as the end of the day that stands in its token, at most.
    let send_end = event.day.start().0 + Day::MILLIS;
    // What retention has removed does not come back when more days are kept from now on: nobody
    // could tell any more whether it was counted.
    let kept_since = kept_since.map_or(0, Timestamp::millis);
    let oldest = now.saturating_sub(retention).max(kept_since);
    if happened < oldest || send_end < oldest {
        return Err(Rejection::TooOld);
    }
    // A request to unsubscribe counts however old the mail is and whether or not opens are tracked.
    if event.kind != crate::events::EventType::Unsubscribed {
        if !settings.tracking_enabled {
            return Err(Rejection::TrackingOff);
        }
        if let Some(age) = settings.recording_max_age_days
            && send_end + age.millis() < happened
        {
            return Err(Rejection::PastRecordingAge);
        }
    }
    event.signals.ip = event
        .signals
        .ip
        .and_then(|ip| settings.address_mode.apply(ip));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventType;
    use crate::ingest::Signals;
    use crate::tenants::AddressMode;
    use kraiter_wire::{ContactId, EventIdGenerator, TenantId, UnixMillis};

    const NOW: &str = "2026-11-23T12:00:00Z";

    fn event(kind: EventType, happened: &str, registered: &str) -> EdgeEvent {
        let time = |text: &str| UnixMillis(text.parse::<Timestamp>().unwrap().millis());
        EdgeEvent {
            tenant: TenantId::new(1).unwrap(),
            id: EventIdGenerator::new([1; 16]).next(time(happened)),
            kind,
            contact: ContactId::from_bytes([1; 16]),
            send: "s".to_owned(),
            day: time(registered).day(),
            click: None,
            signals: Signals {
                ip: "203.0.113.9".parse().ok(),
                ..Signals::default()
            },
            reasons: None,
        }
    }

    fn settings() -> Settings {
        Settings {
            tracking_origin: "https://t.example".parse().unwrap(),
            tracking_path_prefix: "".parse().unwrap(),
            tracking_enabled: true,
            address_mode: AddressMode::Full,
            retention_days: 30.try_into().unwrap(),
            recording_max_age_days: None,
            verdicts: Default::default(),
        }
    }

    fn outcome(event: &mut EdgeEvent, settings: &Settings) -> Result<(), Rejection> {
        apply(event, settings, None, NOW.parse().unwrap())
    }

    #[test]
    fn events_and_sends_past_retention_are_refused() {
        let check = |happened, registered| {
            outcome(
                &mut event(EventType::Opened, happened, registered),
                &settings(),
            )
        };
        assert_eq!(
            check("2026-11-23T11:00:00Z", "2026-11-20T00:00:00Z"),
            Ok(())
        );
        assert_eq!(
            check("2026-10-24T13:00:00Z", "2026-10-24T00:00:00Z"),
            Ok(())
        );
        assert_eq!(
            check("2026-10-24T11:00:00Z", "2026-10-24T00:00:00Z"),
            Err(Rejection::TooOld)
        );
        assert_eq!(
            check("2026-11-23T11:00:00Z", "2026-10-20T00:00:00Z"),
            Err(Rejection::TooOld)
        );
    }

    #[test]
    fn what_retention_has_removed_is_refused_though_more_days_are_kept_now() {
        let check = |happened, registered| {
            let mut event = event(EventType::Opened, happened, registered);
            let kept_since = "2026-11-10T00:00:00Z".parse().ok();
            apply(&mut event, &settings(), kept_since, NOW.parse().unwrap())
        };
        let newer = check("2026-11-10T00:00:00Z", "2026-11-10T00:00:00Z");
        assert_eq!(newer, Ok(()));
        let older = check("2026-11-09T23:59:59Z", "2026-11-09T00:00:00Z");
        assert_eq!(older, Err(Rejection::TooOld));
        let on_older_mail = check("2026-11-10T01:00:00Z", "2026-11-08T00:00:00Z");
        assert_eq!(on_older_mail, Err(Rejection::TooOld));
    }

    #[test]
    fn an_edge_whose_clock_runs_ahead_is_noticed() {
        let check = |happened| {
            outcome(
                &mut event(EventType::Clicked, happened, "2026-11-20T00:00:00Z"),
                &settings(),
            )
        };
        assert_eq!(check("2026-11-23T12:59:00Z"), Ok(()));
        assert_eq!(check("2026-11-23T13:01:00Z"), Err(Rejection::ClockSkew));
    }

    #[test]
    fn an_unsubscribe_is_kept_where_opens_are_not() {
        let off = Settings {
            tracking_enabled: false,
            recording_max_age_days: Some(1.try_into().unwrap()),
            ..settings()
        };
        let aged = Settings {
            tracking_enabled: true,
            ..off.clone()
        };
        let of = |kind| event(kind, "2026-11-23T11:00:00Z", "2026-11-10T00:00:00Z");
        assert_eq!(
            outcome(&mut of(EventType::Opened), &off),
            Err(Rejection::TrackingOff)
        );
        assert_eq!(
            outcome(&mut of(EventType::Opened), &aged),
            Err(Rejection::PastRecordingAge)
        );
        assert_eq!(outcome(&mut of(EventType::Unsubscribed), &off), Ok(()));
    }

    #[test]
    fn the_address_is_kept_as_the_tenant_says() {
        let mut kept = event(EventType::Opened, NOW, NOW);
        let truncated = Settings {
            address_mode: AddressMode::Truncated,
            ..settings()
        };
        assert_eq!(outcome(&mut kept, &truncated), Ok(()));
        assert_eq!(kept.signals.ip, "203.0.113.0".parse().ok());
    }
}
