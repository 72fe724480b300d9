//! The mails that rewriting is tested and measured with: our own in `tests/corpus`, and those of
//! any other folder that `KRAITER_CORPUS` names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::trouble::{Outcome, Trouble};
use crate::{artifacts, config};

#[derive(Clone, Debug)]
pub struct Mail {
    /// Where it lies, relative to its corpus and without its ending: `gmail/forward`.
    pub name: String,
    pub html: String,
}

/// Our own mails, by name.
pub fn own() -> Outcome<Vec<Mail>> {
    read(&artifacts::project_root().join("tests/corpus"))
}

/// The mails of the folder `KRAITER_CORPUS`, by name; none if it is not set.
pub fn foreign() -> Outcome<Vec<Mail>> {
    config::corpus_folder().map_or_else(|| Ok(Vec::new()), |folder| read(&folder))
}

/// Every HTML file in and below `folder`. Bytes that are not UTF-8 are replaced, since requests
/// hold text.
fn read(folder: &Path) -> Outcome<Vec<Mail>> {
    let mut mails = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        let reading = || Trouble::io(format!("reading {}", current.display()));
        for entry in std::fs::read_dir(&current).map_err(reading())? {
            let entry = entry.map_err(reading())?;
            let path = entry.path();
            let kind = entry.file_type().map_err(reading())?;
            let is_npm = path.ends_with("node_modules");
            if kind.is_dir() && !is_npm {
                folders.push(path);
            } else if is_html(&path) {
                mails.push(mail(folder, path)?);
            }
        }
    }
    if mails.is_empty() {
        return Err(Trouble::content(folder, "there is no HTML file in it"));
    }
    mails.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mails)
}

fn is_html(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_else(|| OsStr::new(""));
    ["html", "htm"]
        .iter()
        .any(|html| ending.eq_ignore_ascii_case(html))
}

fn mail(corpus: &Path, path: PathBuf) -> Outcome<Mail> {
    let reading = format!("reading {}", path.display());
    let bytes = std::fs::read(&path).map_err(Trouble::io(reading))?;
    let name = path.strip_prefix(corpus).unwrap_or(&path);
    Ok(Mail {
        name: name.with_extension("").to_string_lossy().into_owned(),
        html: String::from_utf8_lossy(&bytes).into_owned(),
    })
}
