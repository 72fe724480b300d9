//! Reads members of a JSON object one by one and collects everything that is wrong with it.
//! Knows nothing of what the members mean.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// Longest part of a wrong value that is repeated in a message.
const MAX_ECHO_CHARS: usize = 60;

/// All that was wrong, in the order it was found.
#[derive(Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    pub(crate) fn add(&mut self, field: &str, problem: impl Display) {
        self.0.push(match field {
            "" => problem.to_string(),
            field => format!("{field}: {problem}"),
        });
    }

    /// One line, or `None` if nothing was wrong.
    pub(crate) fn into_line(self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join("; "))
    }
}

/// An object whose members are taken out as they are read; what is left over was not known.
pub(crate) struct JsonObject {
    /// Where it stands in the document, with a full stop at the end; empty for the root.
    path: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
}

impl JsonObject {
    /// Nothing at all is an empty object.
    pub(crate) fn parse(json: &[u8], problems: &mut Problems) -> Self {
        let value = match json.trim_ascii() {
            b"" => Ok(Value::Object(Map::new())),
            json => serde_json::from_slice(json),
        };
        let members = match value {
            Ok(Value::Object(members)) => members,
            Ok(other) => {
                let problem = format!(
                    "the configuration is a JSON object, not {}",
                    type_of(&other)
                );
                problems.add("", problem);
                Map::new()
            }
            Err(error) => {
                problems.add("", format!("the configuration is not JSON: {error}"));
                Map::new()
            }
        };
        Self {
            path: String::new(),
            members,
            known: Vec::new(),
        }
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// A nested object; empty where it is missing.
    pub(crate) fn object(&mut self, name: &'static str, problems: &mut Problems) -> Self {
        let members = match self.take(name) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(other) => {
                let problem = format!("is an object, not {}", type_of(&other));
                problems.add(&self.path_of(name), problem);
                Map::new()
            }
        };
        Self {
            path: format!("{}.", self.path_of(name)),
            members,
            known: Vec::new(),
        }
    }

    /// Never repeats a wrong value: it may be a secret in the wrong type.
    pub(crate) fn text(&mut self, name: &'static str, problems: &mut Problems) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => {
                let problem = format!("is a string, not {}", type_of(&other));
                problems.add(&self.path_of(name), problem);
                None
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &'static str, problems: &mut Problems) -> bool {
        match self.take(name) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                let problem = format!("is true or false, not {}", type_of(&other));
                problems.add(&self.path_of(name), problem);
                false
            }
        }
    }

    /// A whole number within `range`. Written as 500.0 it is one too: control planes turn every
    /// number into a double.
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> u64 {
        let Some(value) = self.take(name) else {
            return default;
        };
        let whole = |float: &f64| float.fract() == 0.0 && (0.0..=9e15).contains(float);
        let number = (value.as_u64())
            .or_else(|| value.as_f64().filter(whole).map(|float| float as u64))
            .filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            let (from, to) = range.into_inner();
            let got: String = match &value {
                Value::Number(number) => number.to_string(),
                other => type_of(other).to_owned(),
            };
            let got: String = got.chars().take(MAX_ECHO_CHARS).collect();
            let problem = format!("is a whole number from {from} to {to}, not {got}");
            problems.add(&self.path_of(name), problem);
            default
        })
    }

    /// Whatever was not read is a mistake, most often of spelling.
    pub(crate) fn no_more(self, problems: &mut Problems) {
        for name in self.members.keys() {
            let shown: String = name.chars().take(MAX_ECHO_CHARS).collect();
            let known = self.known.join(", ");
            let problem = format!("is not a known field (known here: {known})");
            problems.add(&self.path_of(&shown.escape_debug().to_string()), problem);
        }
    }

    /// `null` is the same as not there.
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name).filter(|value| !value.is_null())
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
