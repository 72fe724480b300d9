//! Where a tenant draws the lines of verdicts.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::http::present;
use crate::verdicts::Lines;

/// What a tenant has set; the rest is where this version draws it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnLines {
    pub(crate) too_soon_millis: Option<i32>,
    pub(crate) burst_millis: Option<i32>,
    pub(crate) sweep_millis: Option<i32>,
    pub(crate) many_recipients: Option<i32>,
    pub(crate) many_recipients_millis: Option<i32>,
}

impl OwnLines {
    pub(crate) fn lines(self) -> Lines {
        let usual = Lines::default();
        let millis = |own: Option<i32>, usual| own.map_or(usual, |own| own.unsigned_abs().into());
        Lines {
            too_soon: millis(self.too_soon_millis, usual.too_soon),
            burst: millis(self.burst_millis, usual.burst),
            sweep: millis(self.sweep_millis, usual.sweep),
            many_recipients: self
                .many_recipients
                .map_or(usual.many_recipients, i32::unsigned_abs),
            many_recipients_within: millis(
                self.many_recipients_millis,
                usual.many_recipients_within,
            ),
        }
    }
}

/// Where the lines of verdicts are. They hold for events to come and for those that are judged anew.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = VerdictLines)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LinesView {
    /// An open or click sooner after sending is suspect.
    #[schema(example = 2000)]
    too_soon_millis: u64,
    /// Two different links of a mail followed within this time are a machine's.
    #[schema(example = 2000)]
    burst_millis: u64,
    /// So are four of them within this.
    #[schema(example = 30_000)]
    sweep_millis: u64,
    /// One address that follows links for this many recipients is a machine …
    #[schema(example = 8)]
    many_recipients: u32,
    /// … if it does so within this time.
    #[schema(example = 600_000)]
    many_recipients_millis: u64,
}

impl Serialize for OwnLines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lines = self.lines();
        let view = LinesView {
            too_soon_millis: lines.too_soon,
            burst_millis: lines.burst,
            sweep_millis: lines.sweep,
            many_recipients: lines.many_recipients,
            many_recipients_millis: lines.many_recipients_within,
        };
        view.serialize(serializer)
    }
}

/// The lines to move; `null` puts one back to where it usually is.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = VerdictLinesChange)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LinesChange {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, maximum = 600_000)]
    too_soon_millis: Option<Option<Within<0, 600_000>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, maximum = 60_000)]
    burst_millis: Option<Option<Within<0, 60_000>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, maximum = 600_000)]
    sweep_millis: Option<Option<Within<0, 600_000>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 2, maximum = 1000)]
    many_recipients: Option<Option<Within<2, 1000>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, maximum = 3_600_000)]
    many_recipients_millis: Option<Option<Within<0, 3_600_000>>>,
}

impl LinesChange {
    pub(super) fn apply(self, old: OwnLines) -> OwnLines {
        fn moved<const MIN: i32, const MAX: i32>(
            change: Option<Option<Within<MIN, MAX>>>,
            old: Option<i32>,
        ) -> Option<i32> {
            change.map_or(old, |new| new.map(|new| new.0))
        }
        OwnLines {
            too_soon_millis: moved(self.too_soon_millis, old.too_soon_millis),
            burst_millis: moved(self.burst_millis, old.burst_millis),
            sweep_millis: moved(self.sweep_millis, old.sweep_millis),
            many_recipients: moved(self.many_recipients, old.many_recipients),
            many_recipients_millis: moved(self.many_recipients_millis, old.many_recipients_millis),
        }
    }
}

/// A whole number from one to another.
#[derive(Clone, Copy, Debug)]
struct Within<const MIN: i32, const MAX: i32>(i32);

impl<'de, const MIN: i32, const MAX: i32> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let within = i32::try_from(number)
            .ok()
            .filter(|it| (MIN..=MAX).contains(it));
        within.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{number} is not a number from {MIN} to {MAX}"))
        })
    }
}
