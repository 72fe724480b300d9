//! Time cut into hours or days of a time zone.
//!
//! Rollups hold whole hours of UTC. Where a zone's offset has half an hour in it, a day therefore
//! begins with the first whole hour in it, and a bucket's start says so.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, ZonedDateTime};
use kraiter_wire::UnixMillis;
use serde::Serialize;

use crate::clock::Timestamp;

/// More would be more than a chart can show, and a body of hundreds of kilobytes.
pub(crate) const MAX_BUCKETS: usize = 1000;

/// Hours that a series has if neither end is given.
const DEFAULT_HOURS: u64 = 48;
/// The same in days.
const DEFAULT_DAYS: i64 = 30;

const HOUR_MILLIS: u64 = 3_600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Interval {
    Hour,
    Day,
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            _ => Err(format!("{text:?} is not an interval; use hour or day")),
        }
    }
}

/// A zone of the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    pub(crate) fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// A moment as clocks in the zone show it, with their offset.
    pub(crate) fn local(&self, at: Timestamp) -> String {
        let local = self.zoned(at);
        local.map_or_else(
            || at.to_string(),
            |at| at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        )
    }

    fn zoned(&self, at: Timestamp) -> Option<ZonedDateTime> {
        let millis = i64::try_from(at.millis()).ok()?;
        let at = jiff::Timestamp::from_millisecond(millis).ok()?;
        Some(at.to_zoned_datetime(self.0.clone()))
    }

    fn date(&self, at: Timestamp) -> Option<Date> {
        self.zoned(at).map(|at| at.date())
    }

    /// When a day begins.
    pub(super) fn start(&self, day: Date) -> Option<Timestamp> {
        let start = day
            .to_zoned_datetime(self.0.clone())
            .ok()?
            .start_of_day()
            .ok()?;
        let millis = u64::try_from(start.timestamp().as_millisecond()).ok()?;
        Some(Timestamp(UnixMillis(millis)))
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let zone = TimeZone::get(text).ok();
        let zone = zone.filter(|zone| zone.iana_name().is_some());
        zone.map(Self).ok_or_else(|| {
            format!(
                "{text:?} is not a time zone; use a name of the IANA database, such as \
                 Europe/Berlin or UTC"
            )
        })
    }
}

/// Where a series begins or ends: a moment, or a day of the zone that it is cut in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Moment(Timestamp),
    Day(Date),
}

impl FromStr for Edge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = text.parse().map(Self::Moment);
        moment.or_else(|_| {
            let day = text
                .parse()
                .ok()
                .filter(|_| text.len() == "2026-01-31".len());
            day.map(Self::Day).ok_or_else(|| {
                format!(
                    "{text:?} is neither a time nor a day; write it like 2026-01-31T09:30:00Z \
                     (RFC 3339) or 2026-01-31"
                )
            })
        })
    }
}

/// The time that a series is asked for: from the one until before the other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) from: Option<Edge>,
    pub(crate) to: Option<Edge>,
}

/// Why a span cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpanError {
    Empty,
    TooLong(Interval),
    OutOfTime,
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "from is not before to, so there is nothing between them"),
            Self::TooLong(Interval::Hour) => write!(
                f,
                "there are more than {MAX_BUCKETS} hours from from to to; ask for a shorter time, \
                 or for interval=day"
            ),
            Self::TooLong(Interval::Day) => write!(
                f,
                "there are more than {MAX_BUCKETS} days from from to to; ask for a shorter time"
            ),
            Self::OutOfTime => write!(f, "time is known from 1970 to 9999 only"),
        }
    }
}

/// Whole hours or days, without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    /// Each ends where the next one begins.
    pub(crate) starts: Vec<Timestamp>,
    pub(crate) end: Timestamp,
}

impl Buckets {
    /// The buckets that a span touches. Without an end it ends now, without a beginning it has a
    /// usual length.
    pub(crate) fn cut(
        span: Span,
        interval: Interval,
        zone: &Zone,
        now: Timestamp,
    ) -> Result<Self, SpanError> {
        match interval {
            Interval::Hour => hours(span, zone, now),
            Interval::Day => days(span, zone, now),
        }
    }

    pub(crate) fn start(&self) -> Timestamp {
        self.starts.first().copied().unwrap_or(self.end)
    }
}

fn hours(span: Span, zone: &Zone, now: Timestamp) -> Result<Buckets, SpanError> {
    let moment = |edge| match edge {
        Edge::Moment(at) => Ok(at),
        Edge::Day(day) => zone.start(day).ok_or(SpanError::OutOfTime),
    };
    let end = ceil(moment(span.to.unwrap_or(Edge::Moment(now)))?);
    let start = match span.from {
        Some(from) => moment(from)?.millis() / HOUR_MILLIS * HOUR_MILLIS,
        None => end.millis().saturating_sub(DEFAULT_HOURS * HOUR_MILLIS),
    };
    let count = end.millis().saturating_sub(start) / HOUR_MILLIS;
    match usize::try_from(count) {
        Ok(0) => Err(SpanError::Empty),
        Ok(count) if count <= MAX_BUCKETS => Ok(Buckets {
            starts: (0..count as u64)
                .map(|hour| Timestamp(UnixMillis(start + hour * HOUR_MILLIS)))
                .collect(),
            end,
        }),
        _ => Err(SpanError::TooLong(Interval::Hour)),
    }
}

fn days(span: Span, zone: &Zone, now: Timestamp) -> Result<Buckets, SpanError> {
    let lost = || SpanError::OutOfTime;
    let date = |at| zone.date(at).ok_or_else(lost);
    let start = |day| zone.start(day).ok_or_else(lost);
    let last = match span.to.unwrap_or(Edge::Moment(now)) {
        Edge::Day(day) => day,
        // The day that a moment lies in is part of the span unless the moment is its beginning.
        Edge::Moment(at) => match date(at)? {
            day if start(day)? >= at => day,
            day => day.tomorrow().map_err(|_| lost())?,
        },
    };
    let mut day = match span.from {
        Some(Edge::Day(day)) => day,
        Some(Edge::Moment(at)) => date(at)?,
        None => last.checked_sub(DEFAULT_DAYS.days()).map_err(|_| lost())?,
    };
    let mut starts = Vec::new();
    while day < last {
        if starts.len() == MAX_BUCKETS {
            return Err(SpanError::TooLong(Interval::Day));
        }
        starts.push(ceil(start(day)?));
        day = day.tomorrow().map_err(|_| lost())?;
    }
    // A zone that crossed the date line left a day out.
    starts.dedup();
    match starts.is_empty() {
        true => Err(SpanError::Empty),
        false => Ok(Buckets {
            starts,
            end: ceil(start(last)?),
        }),
    }
}

/// The beginning of the next hour, or of this one if it begins now.
fn ceil(at: Timestamp) -> Timestamp {
    Timestamp(UnixMillis(at.millis().div_ceil(HOUR_MILLIS) * HOUR_MILLIS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(from: &str, to: &str, interval: &str, zone: &str) -> Result<Buckets, SpanError> {
        let edge = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let span = Span {
            from: edge(from),
            to: edge(to),
        };
        let now = "2026-11-24T09:30:00Z".parse().unwrap();
        let (interval, zone) = (interval.parse().unwrap(), zone.parse().unwrap());
        Buckets::cut(span, interval, &zone, now)
    }

    fn starts(buckets: &Buckets) -> Vec<String> {
        buckets.starts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn days_are_cut_where_the_zone_cuts_them() {
        let buckets = cut("2026-03-28", "2026-03-31", "day", "Europe/Berlin").unwrap();
        // The 29th has 23 hours.
        assert_eq!(
            starts(&buckets),
            [
                "2026-03-27T23:00:00.000Z",
                "2026-03-28T23:00:00.000Z",
                "2026-03-29T22:00:00.000Z"
            ]
        );
        assert_eq!(buckets.end.to_string(), "2026-03-30T22:00:00.000Z");
        let zone: Zone = "europe/berlin".parse().unwrap();
        assert_eq!(zone.name(), "Europe/Berlin");
        assert_eq!(zone.local(buckets.end), "2026-03-31T00:00:00+02:00");
    }

    #[test]
    fn a_day_of_half_an_hours_offset_begins_with_its_first_whole_hour() {
        let buckets = cut("2026-01-01", "2026-01-02", "day", "Asia/Kolkata").unwrap();
        assert_eq!(starts(&buckets), ["2025-12-31T19:00:00.000Z"]);
        assert_eq!(buckets.end.to_string(), "2026-01-01T19:00:00.000Z");
    }

    #[test]
    fn a_span_is_widened_to_whole_buckets() {
        let from = "2026-01-01T10:20:00Z";
        let hours = cut(from, "2026-01-01T12:00:00.001Z", "hour", "UTC").unwrap();
        assert_eq!(hours.start().to_string(), "2026-01-01T10:00:00.000Z");
        assert_eq!(hours.end.to_string(), "2026-01-01T13:00:00.000Z");
        assert_eq!(hours.starts.len(), 3);
        let days = cut(from, "2026-01-02T00:00:00Z", "day", "UTC").unwrap();
        assert_eq!(starts(&days), ["2026-01-01T00:00:00.000Z"]);
        let days = cut(from, "2026-01-02T00:00:00.001Z", "day", "UTC").unwrap();
        assert_eq!(days.starts.len(), 2);
    }

    #[test]
    fn without_ends_a_series_has_a_usual_length_and_ends_now() {
        let days = cut("", "", "day", "UTC").unwrap();
        assert_eq!(
            (days.starts.len(), days.end.to_string().as_str()),
            (30, "2026-11-25T00:00:00.000Z")
        );
        let hours = cut("", "", "hour", "America/New_York").unwrap();
        assert_eq!(
            (hours.starts.len(), hours.end.to_string().as_str()),
            (48, "2026-11-24T10:00:00.000Z")
        );
    }

    #[test]
    fn a_span_has_a_beginning_before_its_end_and_a_greatest_length() {
        use Interval::{Day, Hour};
        assert_eq!(
            cut("2026-01-02", "2026-01-02", "day", "UTC"),
            Err(SpanError::Empty)
        );
        assert_eq!(
            cut("2026-01-02", "2026-01-01", "hour", "UTC"),
            Err(SpanError::Empty)
        );
        assert_eq!(
            cut("2025-01-01", "2026-01-01", "hour", "UTC"),
            Err(SpanError::TooLong(Hour))
        );
        assert_eq!(
            cut("1970-01-01", "9999-12-31", "day", "UTC"),
            Err(SpanError::TooLong(Day))
        );
        assert_eq!(
            cut("0001-01-01", "0001-01-02", "day", "UTC"),
            Err(SpanError::OutOfTime)
        );
        assert!(cut("2025-01-01", "2027-09-28", "day", "UTC").is_ok());
        assert!(cut("2025-01-01", "2027-09-29", "day", "UTC").is_err());
    }

    #[test]
    fn only_names_of_the_iana_database_are_zones() {
        for wrong in ["", "Mars/Olympus", "+01:00", "CET-1CEST"] {
            assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
        }
        for wrong in [
            "",
            "2026-02-30",
            "20260131",
            "yesterday",
            "2026-01-31T09:30:00",
        ] {
            assert!(wrong.parse::<Edge>().is_err(), "{wrong}");
        }
    }
}
