//! What the generated document lacks: each operation's errors, from what it is and from the codes it
//! names, its summary as one sentence, its scope in words, and its examples.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::http::ErrorCode;

/// For each operation, by its id, an example of its body and of its answer.
pub(super) const EXAMPLES: &str = include_str!("examples.json");

/// Whoever sends an API key may be told one of these.
const OF_CALLERS: [ErrorCode; 5] = [
    ErrorCode::MissingApiKey,
    ErrorCode::InvalidApiKey,
    ErrorCode::RevokedApiKey,
    ErrorCode::MissingScope,
    ErrorCode::RateLimited,
];

const OF_JSON_BODIES: [ErrorCode; 7] = [
    ErrorCode::InvalidJson,
    ErrorCode::InvalidEncoding,
    ErrorCode::MissingField,
    ErrorCode::UnknownField,
    ErrorCode::WrongType,
    ErrorCode::InvalidValue,
    ErrorCode::BodyTooLarge,
];

/// Of operations that take an idempotency key.
const OF_IDEMPOTENCY: [ErrorCode; 3] = [
    ErrorCode::InvalidHeader,
    ErrorCode::IdempotencyKeyReused,
    ErrorCode::IdempotencyKeyInUse,
];

const OF_ALL_THAT_ASK_THE_DATABASE: [ErrorCode; 2] =
    [ErrorCode::DatabaseUnavailable, ErrorCode::Internal];

/// Why the document cannot be completed; only a mistake in this crate makes one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Incomplete {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{operation}: {problem}")]
    Code { operation: String, problem: String },
}

pub(super) fn complete(document: &utoipa::openapi::OpenApi) -> Result<Value, Incomplete> {
    let mut document = serde_json::to_value(document)?;
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES)?;
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(Map::values_mut);
    let operations = items
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    for operation in operations.filter_map(Value::as_object_mut) {
        let id = text(operation, "operationId").to_owned();
        operation.entry("security").or_insert_with(|| json!([]));
        summarise(operation);
        describe_answers(operation);
        unwrap_optional_body(operation);
        add_problems(operation, &id)?;
        if let Some(examples) = examples.get(&id) {
            add_examples(operation, examples);
        }
    }
    Ok(document)
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The first sentence is the summary, all of them are the description, which ends with the scope.
fn summarise(operation: &mut Map<String, Value>) {
    let paragraphs = [text(operation, "summary"), text(operation, "description")];
    let whole = paragraphs.join("\n\n").trim().replace("\r\n", "\n");
    let flat = whole.replace('\n', " ");
    let first = flat.split(". ").next().unwrap_or_default();
    let summary = first.trim_end_matches('.').to_owned();
    let scope = scope(operation).map(|scope| format!("\n\nNeeds the scope `{scope}`."));
    let description = whole + &scope.unwrap_or_default();
    operation.insert("summary".to_owned(), summary.into());
    operation.insert("description".to_owned(), description.into());
}

/// Every answer has words, if only those of its status.
fn describe_answers(operation: &mut Map<String, Value>) {
    let answers = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut);
    for (status, answer) in answers.into_iter().flatten() {
        let Some(answer) = answer.as_object_mut() else {
            continue;
        };
        if text(answer, "description").is_empty() {
            let words = match status.as_str() {
                "201" => "Made",
                "204" => "Done",
                _ => "What was asked for",
            };
            answer.insert("description".to_owned(), words.into());
        }
    }
}

/// A body that may be left out is not one that may be `null`.
fn unwrap_optional_body(operation: &mut Map<String, Value>) {
    let body = operation.get_mut("requestBody");
    let schema = body.and_then(|body| body.pointer_mut("/content/application~1json/schema"));
    let Some(schema) = schema else { return };
    let choices = schema.get("oneOf").and_then(Value::as_array);
    let named = choices
        .into_iter()
        .flatten()
        .find(|it| it.get("$ref").is_some());
    if let Some(named) = named.cloned() {
        *schema = named;
    }
}

fn scheme(operation: &Map<String, Value>) -> Option<(&String, &Value)> {
    let first = operation.get("security")?.as_array()?.first()?;
    first.as_object()?.iter().next()
}

fn scope(operation: &Map<String, Value>) -> Option<&str> {
    scheme(operation)?.1.as_array()?.first()?.as_str()
}

/// All codes that an operation may answer with.
fn codes(operation: &Map<String, Value>) -> Result<BTreeSet<&'static str>, String> {
    let mut codes: Vec<ErrorCode> = Vec::new();
    match scheme(operation).map(|(name, _)| name.as_str()) {
        Some("apiKey") => codes.extend(OF_CALLERS),
        Some(_) => codes.push(ErrorCode::InvalidIngestSecret),
        None => {}
    }
    if scheme(operation).is_some() {
        codes.extend(OF_ALL_THAT_ASK_THE_DATABASE);
    }
    let body = operation
        .get("requestBody")
        .and_then(|body| body.get("content"));
    if let Some(content) = body.and_then(Value::as_object) {
        codes.push(ErrorCode::UnsupportedMediaType);
        if content.contains_key("application/json") {
            codes.extend(OF_JSON_BODIES);
        }
    }
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let mut parameters = parameters.into_iter().flatten();
    if parameters.any(|parameter| parameter.get("in").is_some_and(|place| place == "query")) {
        codes.push(ErrorCode::InvalidParameter);
    }
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let mut parameters = parameters.into_iter().flatten();
    if parameters.any(|parameter| {
        parameter
            .get("name")
            .is_some_and(|name| name == "Idempotency-Key")
    }) {
        codes.extend(OF_IDEMPOTENCY);
    }
    let own = operation.get("x-error-codes").and_then(Value::as_array);
    for code in own.into_iter().flatten() {
        codes.push(code.as_str().unwrap_or_default().parse()?);
    }
    Ok(codes.into_iter().map(ErrorCode::as_str).collect())
}

/// One answer for each status, with the codes that it may have.
fn add_problems(operation: &mut Map<String, Value>, id: &str) -> Result<(), Incomplete> {
    let wrong = |problem| Incomplete::Code {
        operation: id.to_owned(),
        problem,
    };
    let codes = codes(operation).map_err(wrong)?;
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in &codes {
        let code: ErrorCode = code.parse().map_err(wrong)?;
        by_status
            .entry(code.status().as_u16())
            .or_default()
            .push(code);
    }
    operation.insert("x-error-codes".to_owned(), json!(codes));
    let answers = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut);
    let Some(answers) = answers else {
        return Ok(());
    };
    for (status, codes) in by_status {
        // What an operation says of a status by itself stays.
        answers
            .entry(status.to_string())
            .or_insert_with(|| problems(&codes));
    }
    Ok(())
}

fn problems(codes: &[ErrorCode]) -> Value {
    let list = codes.iter().map(|code| {
        let name = code.as_str();
        format!(
            "- `{name}`: {}. See [/errors/{name}](/errors/{name}).",
            code.title()
        )
    });
    let examples: Map<String, Value> = codes.iter().map(|code| example(*code)).collect();
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let mut answer = json!({
        "description": list.collect::<Vec<_>>().join("\n"),
        "content": {"application/problem+json": {
            "schema": {"allOf": [
                {"$ref": "#/components/schemas/Problem"},
                {"type": "object", "properties": {"code": {"type": "string", "enum": names}}},
            ]},
            "examples": examples,
        }},
    });
    let headers = headers(codes);
    if let (false, Some(answer)) = (headers.is_empty(), answer.as_object_mut()) {
        answer.insert("headers".to_owned(), headers.into());
    }
    answer
}

fn example(code: ErrorCode) -> (String, Value) {
    let name = code.as_str();
    let value = json!({
        "type": format!("/errors/{name}"),
        "title": code.title(),
        "status": code.status().as_u16(),
        "code": name,
        "detail": "What was wrong this time, and what to do.",
    });
    (
        name.to_owned(),
        json!({"summary": code.title(), "value": value}),
    )
}

fn headers(codes: &[ErrorCode]) -> Map<String, Value> {
    let mut headers = Map::new();
    match codes.first().map(|code| code.status().as_u16()) {
        Some(401) => {
            let schema = json!({"type": "string", "examples": ["Bearer"]});
            let header = json!({"description": "How to authenticate", "schema": schema});
            headers.insert("www-authenticate".to_owned(), header);
        }
        Some(429 | 503) => {
            let schema = json!({"type": "integer", "minimum": 0, "examples": [1]});
            let header = json!({"description": "Seconds to wait", "schema": schema});
            headers.insert("retry-after".to_owned(), header);
        }
        _ => {}
    }
    headers
}

/// `{"request": …, "answer": …}`, into the one body and the answers of success.
fn add_examples(operation: &mut Map<String, Value>, examples: &Value) {
    let put = |content: Option<&mut Value>, example: Option<&Value>| {
        let content = content.and_then(|holder| holder.get_mut("content"));
        let content = content.and_then(Value::as_object_mut);
        let types = content.into_iter().flat_map(Map::values_mut);
        for (media_type, example) in types.zip(example.into_iter().cycle()) {
            if let Some(media_type) = media_type.as_object_mut() {
                media_type.insert("example".to_owned(), example.clone());
            }
        }
    };
    put(operation.get_mut("requestBody"), examples.get("request"));
    let answers = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut);
    for (status, answer) in answers.into_iter().flatten() {
        if status.starts_with('2') {
            put(Some(answer), examples.get("answer"));
        }
    }
}
