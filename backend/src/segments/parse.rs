//! Conditions as requests write them, into conditions that mean something. Knows no HTTP: its
//! errors say which member of a condition is wrong and what it may be.

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

use super::value::{ADDRESS, CONSENT, Sent, shown};
use super::{Comparison, Condition, Count, Equality, Moment, Presence, Property, TimeTest};
use crate::clock::Timestamp;
use crate::contacts::Consent;

const PROPERTIES: [(&str, Property); 17] = [
    ("contact.email", Property::Email),
    ("contact.createdAt", Property::Time(Moment::Created)),
    ("contact.emailsSentCount", Property::Count(Count::Sent)),
    ("contact.emailsOpenedCount", Property::Count(Count::Opened)),
    (
        "contact.emailsClickedCount",
        Property::Count(Count::Clicked),
    ),
    (
        "contact.emailsHumanOpenedCount",
        Property::Count(Count::HumanOpened),
    ),
    (
        "contact.emailsHumanClickedCount",
        Property::Count(Count::HumanClicked),
    ),
    (
        "contact.emailsMachineOpenedCount",
        Property::Count(Count::MachineOpened),
    ),
    (
        "contact.emailsMachineClickedCount",
        Property::Count(Count::MachineClicked),
    ),
    ("contact.lastEmailSentAt", Property::Time(Moment::LastSent)),
    (
        "contact.lastEmailOpenedAt",
        Property::Time(Moment::LastOpened),
    ),
    (
        "contact.lastEmailClickedAt",
        Property::Time(Moment::LastClicked),
    ),
    (
        "contact.lastEmailHumanOpenedAt",
        Property::Time(Moment::LastHumanOpened),
    ),
    (
        "contact.lastEmailHumanClickedAt",
        Property::Time(Moment::LastHumanClicked),
    ),
    (
        "contact.unsubscribedAt",
        Property::Time(Moment::Unsubscribed),
    ),
    ("contact.suppressedAt", Property::Time(Moment::Suppressed)),
    ("contact.trackingConsent", Property::Consent),
];

/// How a property is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum Operator {
    Equals,
    NotEquals,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
    Exists,
    NotExists,
    Before,
    After,
    WithinLast,
}

const OPERATORS: [(&str, Operator); 11] = [
    ("equals", Operator::Equals),
    ("notEquals", Operator::NotEquals),
    ("greaterThan", Operator::GreaterThan),
    ("greaterThanOrEqual", Operator::GreaterThanOrEqual),
    ("lessThan", Operator::LessThan),
    ("lessThanOrEqual", Operator::LessThanOrEqual),
    ("exists", Operator::Exists),
    ("notExists", Operator::NotExists),
    ("before", Operator::Before),
    ("after", Operator::After),
    ("withinLast", Operator::WithinLast),
];

/// One condition. Counts (`…Count`) are compared with whole numbers by `equals`, `notEquals`,
/// `greaterThan`, `greaterThanOrEqual`, `lessThan` and `lessThanOrEqual`; times (`…At`) with RFC
/// 3339 times by `equals`, `notEquals`, `before` and `after`, and with a duration such as `30m`,
/// `12h`, `7d` or `2w` by `withinLast`; `contact.email` (without letter case) and
/// `contact.trackingConsent` (`given`, `withdrawn`) by `equals` and `notEquals`. `exists` and
/// `notExists` fit all and take no value. What is missing is equal to nothing: a comparison with
/// it is false, and `notEquals` is true.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(
    as = Condition,
    example = json!({"property": "contact.emailsOpenedCount", "operator": "greaterThan", "value": 5})
)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCondition {
    /// `contact.` and the name of a field of a contact, but `id`.
    #[schema(schema_with = property_schema)]
    property: String,
    #[schema(value_type = Operator, example = "greaterThan")]
    operator: String,
    /// A number, a time, a duration or a text, as property and operator want it.
    #[schema(schema_with = value_schema)]
    value: Option<Value>,
}

fn property_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(PROPERTIES.map(|(name, _)| name)))
        .examples(["contact.emailsOpenedCount"])
        .build()
}

fn value_schema() -> Schema {
    let of = |kind| ObjectBuilder::new().schema_type(kind).build();
    OneOfBuilder::new()
        .item(of(Type::Integer))
        .item(of(Type::String))
        .item(of(Type::Null))
        .examples([serde_json::json!(5)])
        .build()
        .into()
}

/// Why a condition means nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConditionError {
    #[error("{sent:?} is not a property; these are: {}", names(&PROPERTIES))]
    Property { sent: String },
    #[error("{sent:?} is not an operator; {property} takes {allowed}")]
    UnknownOperator {
        sent: String,
        property: &'static str,
        allowed: String,
    },
    #[error("{sent} does not fit {property}, which is {kind} and takes {allowed}")]
    UnfitOperator {
        sent: &'static str,
        property: &'static str,
        kind: &'static str,
        allowed: String,
    },
    #[error("{operator} needs a value: {expected}")]
    NoValue {
        operator: &'static str,
        expected: &'static str,
    },
    #[error("{operator} takes no value, and {sent} was sent; leave it out")]
    NeedlessValue {
        operator: &'static str,
        sent: String,
    },
    #[error("{sent} was sent where {property} {operator} takes {expected}")]
    ValueType {
        sent: String,
        property: &'static str,
        operator: &'static str,
        expected: &'static str,
    },
    #[error("{sent} cannot be used: {property} {operator} takes {expected}")]
    Value {
        sent: String,
        property: &'static str,
        operator: &'static str,
        expected: &'static str,
    },
    #[error("{0}")]
    Email(String),
}

fn names<T>(table: &[(&str, T)]) -> String {
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn allowed(property: Property) -> String {
    let fits = OPERATORS
        .into_iter()
        .filter(|(_, operator)| operator.fits(property));
    names(&fits.collect::<Vec<_>>())
}

impl Operator {
    fn fits(self, property: Property) -> bool {
        match self {
            Self::Equals | Self::NotEquals | Self::Exists | Self::NotExists => true,
            Self::GreaterThan
            | Self::GreaterThanOrEqual
            | Self::LessThan
            | Self::LessThanOrEqual => matches!(property, Property::Count(_)),
            Self::Before | Self::After | Self::WithinLast => matches!(property, Property::Time(_)),
        }
    }
}

impl RawCondition {
    /// `now` is where `withinLast` ends.
    pub(crate) fn parse(&self, now: Timestamp) -> Result<Condition, ConditionError> {
        let property = PROPERTIES.iter().find(|(name, _)| *name == self.property);
        let &(name, property) = property.ok_or_else(|| ConditionError::Property {
            sent: shown(&self.property),
        })?;
        let operator = OPERATORS.iter().find(|(name, _)| *name == self.operator);
        let &(operator_name, operator) =
            operator.ok_or_else(|| ConditionError::UnknownOperator {
                sent: shown(&self.operator),
                property: name,
                allowed: allowed(property),
            })?;
        let value = Sent {
            property: name,
            operator: operator_name,
            value: self.value.as_ref(),
        };
        let unfit = || ConditionError::UnfitOperator {
            sent: operator_name,
            property: name,
            kind: match property {
                Property::Count(_) => "a number",
                Property::Time(_) => "a time",
                Property::Email | Property::Consent => "a text",
            },
            allowed: allowed(property),
        };
        if let Operator::Exists | Operator::NotExists = operator {
            value.nothing()?;
            let presence = match operator {
                Operator::Exists => Presence::Exists,
                _ => Presence::NotExists,
            };
            return Ok(Condition::Presence(property, presence));
        }
        let equality = match operator {
            Operator::Equals => Some(Equality::Equal),
            Operator::NotEquals => Some(Equality::NotEqual),
            _ => None,
        };
        Ok(match property {
            Property::Count(count) => {
                let comparison = comparison(operator).ok_or_else(unfit)?;
                Condition::Count(count, comparison, value.number()?)
            }
            Property::Time(moment) => {
                let test = match (equality, operator) {
                    (Some(equality), _) => TimeTest::Is(equality, value.time()?),
                    (None, Operator::Before) => TimeTest::Before(value.time()?),
                    (None, Operator::After) => TimeTest::After(value.time()?),
                    (None, Operator::WithinLast) => {
                        TimeTest::Within(now.minus(value.duration()?), now)
                    }
                    _ => return Err(unfit()),
                };
                Condition::Time(moment, test)
            }
            Property::Email => {
                let equality = equality.ok_or_else(unfit)?;
                let email = value
                    .text(ADDRESS)?
                    .parse()
                    .map_err(ConditionError::Email)?;
                Condition::Email(equality, email)
            }
            Property::Consent => {
                let equality = equality.ok_or_else(unfit)?;
                let consent = match value.text(CONSENT)? {
                    "given" => Consent::Given,
                    "withdrawn" => Consent::Withdrawn,
                    _ => return Err(value.wrong(CONSENT)),
                };
                Condition::Consent(equality, consent)
            }
        })
    }
}

fn comparison(operator: Operator) -> Option<Comparison> {
    match operator {
        Operator::Equals => Some(Comparison::Equal),
        Operator::NotEquals => Some(Comparison::NotEqual),
        Operator::GreaterThan => Some(Comparison::Greater),
        Operator::GreaterThanOrEqual => Some(Comparison::GreaterOrEqual),
        Operator::LessThan => Some(Comparison::Less),
        Operator::LessThanOrEqual => Some(Comparison::LessOrEqual),
        Operator::Exists
        | Operator::NotExists
        | Operator::Before
        | Operator::After
        | Operator::WithinLast => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(property: &str, operator: &str, value: Value) -> Result<Condition, ConditionError> {
        let raw = json!({"property": property, "operator": operator, "value": value});
        let raw: RawCondition = serde_json::from_value(raw).unwrap();
        raw.parse("2026-01-31T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn every_operator_takes_what_its_property_is() {
        let values = [json!(5), json!("2026-01-01T00:00:00Z"), json!("7d")];
        let texts = [json!("ada@example.com"), json!("given"), Value::Null];
        let values = [values, texts].concat();
        for (name, property) in PROPERTIES {
            for (operator_name, operator) in OPERATORS {
                let fitting: Vec<_> = values
                    .iter()
                    .filter(|value| parse(name, operator_name, Value::clone(value)).is_ok())
                    .collect();
                let expected = usize::from(operator.fits(property));
                assert_eq!(
                    fitting.len(),
                    expected,
                    "{name} {operator_name} {fitting:?}"
                );
            }
        }
    }

    #[test]
    fn errors_name_what_was_sent_and_what_is_allowed() {
        let error =
            |property, operator, value| parse(property, operator, value).unwrap_err().to_string();
        assert_eq!(
            error("contact.unsubscribedAt", "greaterThan", json!(1)),
            "greaterThan does not fit contact.unsubscribedAt, which is a time and takes equals, \
             notEquals, exists, notExists, before, after, withinLast"
        );
        assert_eq!(
            error("contact.emailsOpenedCount", "equals", json!("5")),
            "\"5\" was sent where contact.emailsOpenedCount equals takes a whole number, such as 5"
        );
        assert!(error("contact.opens", "equals", json!(5)).contains("contact.emailsOpenedCount"));
        assert!(error("contact.email", "like", json!(5)).contains("takes equals, notEquals"));
        assert!(error("contact.createdAt", "after", json!("monday")).starts_with("\"monday\""));
        assert!(error("contact.createdAt", "withinLast", json!("7x")).contains("\"12h\""));
        assert!(error("contact.emailsSentCount", "equals", json!(2.5)).starts_with("2.5 cannot"));
    }
}
