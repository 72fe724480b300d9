//! The documents' commands, run as a reader would paste them, and their answers held against what
//! comes back: every field that a document shows has to be there.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::rewritten::Platform;

/// Commands that a document shows, and the answer below them if there is one.
struct Example {
    document: &'static str,
    line: usize,
    commands: String,
    answer: Option<Value>,
}

/// Of a document, those for users of the API. Others are for operators and need their machines.
fn examples(document: &'static str) -> Vec<Example> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join(document)).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut commands_end = None;
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        let end = number + block.len() + 1;
        let block = block.join("\n");
        match language {
            "sh" if block.contains("curl ") => {
                commands_end = Some(end);
                examples.push(Example {
                    document,
                    line: number + 1,
                    commands: block,
                    answer: None,
                });
            }
            // Below, with a line of words between at most.
            "json" if commands_end.is_some_and(|end| number <= end + 4) => {
                let answer = serde_json::from_str(&block);
                let answer = answer.unwrap_or_else(|error| panic!("{document}:{number}: {error}"));
                examples.last_mut().unwrap().answer.get_or_insert(answer);
            }
            _ => {}
        }
    }
    examples
}

/// Whether the answer has every field that is shown, and lists that are shown with items have some.
fn has_all(shown: &Value, answer: &Value, path: &str) -> Result<(), String> {
    match (shown, answer) {
        (Value::Object(shown), Value::Object(answer)) => {
            for (name, value) in shown {
                let path = format!("{path}.{name}");
                let found = answer.get(name).ok_or(format!("there is no {path}"))?;
                has_all(value, found, &path)?;
            }
            Ok(())
        }
        (Value::Array(shown), Value::Array(answer)) => match (shown.first(), answer.first()) {
            (Some(shown), Some(answer)) => has_all(shown, answer, &format!("{path}[0]")),
            (Some(_), None) => Err(format!("{path} is empty")),
            (None, _) => Ok(()),
        },
        (Value::Object(_) | Value::Array(_), other) => Err(format!("{path} is {other}")),
        _ => Ok(()),
    }
}

fn run(platform: &Platform, folder: &Path, example: &Example) {
    let Platform { stack, api } = platform;
    let place = format!("{}:{}", example.document, example.line);
    let script = format!("set -euo pipefail\n{}", example.commands);
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env("KRAITER_API", format!("http://{}", stack.backend.address()))
        .env("KRAITER_EDGE", stack.edge_origin())
        .env("KRAITER_API_KEY", &api.key)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{place}: {text}");
    assert!(!text.contains("\"code\":"), "{place}: {text}");
    if let Some(shown) = &example.answer {
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{place}: {text}"));
        has_all(shown, &answer, "").unwrap_or_else(|why| panic!("{place}: {why}: {text}"));
    }
}

#[test]
fn the_documents_commands_work_as_they_stand() {
    let platform = Platform::start("documented");
    let folder = platform.stack.folder().join("reader");
    std::fs::create_dir_all(folder.join("data")).unwrap();
    // The test hands on by the environment what `make run` writes into this file.
    std::fs::write(folder.join("data/dev.env"), "").unwrap();
    let mut count = 0;
    for document in [
        "README.md",
        "docs/segments.md",
        "docs/api-by-example.md",
        "docs/privacy.md",
        "docs/webhooks.md",
    ] {
        for example in examples(document) {
            run(&platform, &folder, &example);
            count += 1;
        }
    }
    assert!(count > 17, "{count} examples");
}
