//! What the documents say has to be there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "envoy/README.md",
        "client/README.md",
    ] {
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
