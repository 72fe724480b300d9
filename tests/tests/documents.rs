//! What the documents say has to be there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// What stands between backquotes.
fn code_spans(text: &str) -> BTreeSet<&str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_path_in_architecture_md_exists() {
    let text = read("ARCHITECTURE.md");
    assert!(
        text.lines().count() <= 150,
        "ARCHITECTURE.md is to be read in one go"
    );
    let is_path = |span: &&str| span.contains('/') && !span.starts_with('/') && !span.contains(' ');
    let paths: Vec<_> = code_spans(&text).into_iter().filter(is_path).collect();
    assert!(paths.len() > 20, "{paths:?}");
    let missing: Vec<_> = paths
        .iter()
        .filter(|path| !root().join(path).exists())
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names {missing:?}");
}

#[test]
fn every_make_target_in_the_readme_exists() {
    let makefile = read("Makefile");
    let targets: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    let readme = read("README.md");
    let named: BTreeSet<_> = code_spans(&readme)
        .into_iter()
        .chain(readme.lines())
        .filter_map(|text| text.trim().strip_prefix("make "))
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    assert!(named.contains("run") && named.contains("test"), "{named:?}");
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !targets.contains(**name))
        .collect();
    assert!(missing.is_empty(), "README.md names {missing:?}");
}

#[test]
fn every_relative_link_in_the_documents_leads_somewhere() {
    let mut documents: Vec<_> = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "envoy/README.md",
        "client/README.md",
        "tests/fuzz/README.md",
    ]
    .map(str::to_owned)
    .into();
    let pages = std::fs::read_dir(root().join("docs")).unwrap();
    let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    documents.extend(
        pages
            .filter(|page| page.ends_with(".md"))
            .map(|page| format!("docs/{page}")),
    );
    assert!(documents.contains(&"docs/privacy.md".to_owned()));
    for document in &documents {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap();
            if !target.contains("://") && !file.is_empty() {
                assert!(folder.join(file).exists(), "{document} links to {target}");
            }
        }
    }
}

/// All files below a folder of the project, as text.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => text.push_str(&std::fs::read_to_string(path).unwrap()),
            }
        }
    }
    text
}

/// The metrics that a query names, histograms without their suffix.
fn metrics_in(query: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = query
        .split(word)
        .filter(|word| word.starts_with("kraiter_"));
    let base = |name: &str| {
        let suffix = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        suffix.unwrap_or(name).to_owned()
    };
    words.map(base).collect()
}

#[test]
fn every_metric_that_alerts_and_panels_ask_for_is_one_that_edge_or_backend_has() {
    let alerts: Value = serde_saphyr::from_str(&read("docs/monitoring/alerts.yaml")).unwrap();
    let rules: Vec<&Value> = alerts["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    for rule in &rules {
        for part in ["alert", "expr"] {
            assert!(rule[part].is_string(), "{rule}");
        }
        for part in ["summary", "description"] {
            assert!(rule["annotations"][part].is_string(), "{rule}");
        }
    }
    let board: Value = serde_json::from_str(&read("docs/monitoring/grafana.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = rules.into_iter().chain(targets).map(|one| &one["expr"]);
    let named: BTreeSet<String> = queries
        .flat_map(|query| metrics_in(query.as_str().unwrap()))
        .collect();
    assert!(named.len() > 15, "{named:?}");
    let (backend, filter) = (sources("backend/src"), read("filter/src/metrics.rs"));
    let unknown: Vec<&String> = named
        .iter()
        .filter(|name| {
            let of_filter = name.replacen("kraiter_", "kraiter.", 1);
            !backend.contains(&format!("\"{name}\"")) && !filter.contains(&of_filter)
        })
        .collect();
    assert!(unknown.is_empty(), "nothing has {unknown:?}");
}
