//! The value of a condition as a request writes it: a number, a time, a duration or a text. Knows of
//! properties and operators only their names.

use std::time::Duration;

use serde_json::Value;

use super::parse::ConditionError;
use crate::clock::Timestamp;

/// Longer durations reach back before there was any mail to track.
const MAX_DURATION: Duration = Duration::from_secs(36_500 * DAY);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

const NUMBER: &str = "a whole number, such as 5";
const TIME: &str = "a time, such as \"2026-01-31T09:30:00Z\" (RFC 3339)";
const DURATION: &str = "a duration of minutes, hours, days or weeks, such as \"30m\", \"12h\", \
                        \"7d\" or \"2w\", at most \"36500d\"";
pub(super) const ADDRESS: &str = "an email address, such as \"ada@example.com\"";
pub(super) const CONSENT: &str = "\"given\" or \"withdrawn\"";

/// What was sent, cut off where it would fill the answer.
pub(super) fn shown(text: &str) -> String {
    const MAX_SHOWN: usize = 100;
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

/// A value and what it belongs to.
pub(super) struct Sent<'a> {
    pub(super) property: &'static str,
    pub(super) operator: &'static str,
    pub(super) value: Option<&'a Value>,
}

impl<'a> Sent<'a> {
    fn present(&self, expected: &'static str) -> Result<&'a Value, ConditionError> {
        self.value.ok_or(ConditionError::NoValue {
            operator: self.operator,
            expected,
        })
    }

    fn json(&self) -> String {
        shown(&self.value.map(Value::to_string).unwrap_or_default())
    }

    pub(super) fn wrong(&self, expected: &'static str) -> ConditionError {
        ConditionError::Value {
            sent: self.json(),
            property: self.property,
            operator: self.operator,
            expected,
        }
    }

    fn of_wrong_type(&self, expected: &'static str) -> ConditionError {
        ConditionError::ValueType {
            sent: self.json(),
            property: self.property,
            operator: self.operator,
            expected,
        }
    }

    pub(super) fn nothing(&self) -> Result<(), ConditionError> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(ConditionError::NeedlessValue {
                operator: self.operator,
                sent: self.json(),
            }),
        }
    }

    pub(super) fn number(&self) -> Result<i64, ConditionError> {
        match self.present(NUMBER)? {
            Value::Number(number) => number.as_i64().ok_or_else(|| self.wrong(NUMBER)),
            _ => Err(self.of_wrong_type(NUMBER)),
        }
    }

    pub(super) fn text(&self, expected: &'static str) -> Result<&'a str, ConditionError> {
        match self.present(expected)? {
            Value::String(text) => Ok(text),
            _ => Err(self.of_wrong_type(expected)),
        }
    }

    pub(super) fn time(&self) -> Result<Timestamp, ConditionError> {
        self.text(TIME)?.parse().map_err(|_| self.wrong(TIME))
    }

    pub(super) fn duration(&self) -> Result<Duration, ConditionError> {
        duration(self.text(DURATION)?).ok_or_else(|| self.wrong(DURATION))
    }
}

/// Digits and one unit.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => WEEK,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let duration = Duration::from_secs(number.checked_mul(unit)?);
    (duration <= MAX_DURATION).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_digits_and_a_unit() {
        let seconds = |text: &str| duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("30m"), Some(1800));
        assert_eq!(seconds("12h"), Some(43_200));
        assert_eq!(seconds("7d"), Some(604_800));
        assert_eq!(seconds("2w"), Some(1_209_600));
        for wrong in [
            "",
            "d",
            "7",
            "0d",
            "-7d",
            "+7d",
            "7 d",
            "7D",
            "1.5h",
            "7d12h",
            "P7D",
            "7ä",
            "36501d",
            "99999999999999999999w",
            "18446744073709551615w",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
