//! How far a file was replayed, kept beside it in `FILE.replayed`.
//!
//! A file is known by how its content begins, not by its name or inode: so it is found again after
//! it was rotated, moved or compressed, and another file of the same name is not taken for it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lines::Offset;
use super::source::{HEAD_BYTES, Source};

/// Where to go on, and in what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Position {
    /// Bytes of the content, uncompressed, that are done.
    byte: u64,
    line: u64,
    /// SHA-256 of the first `headBytes` bytes of the content.
    head: String,
    head_bytes: usize,
}

impl Position {
    /// Where `source` stands.
    pub(super) fn of(source: &Source, offset: Offset) -> io::Result<Self> {
        let wanted = usize::try_from(offset.byte).unwrap_or(HEAD_BYTES);
        let head = source.head(wanted.min(HEAD_BYTES))?;
        Ok(Self {
            byte: offset.byte,
            line: offset.line,
            head: digest(&head),
            head_bytes: head.len(),
        })
    }

    pub(super) fn offset(&self) -> Offset {
        Offset {
            byte: self.byte,
            line: self.line,
        }
    }

    /// Opens the file and goes to this position; `None` if it is another file, or a shorter one.
    pub(super) fn open(&self, path: &Path) -> io::Result<Option<Source>> {
        let mut source = Source::open(path)?;
        let head_bytes = self.head_bytes.min(HEAD_BYTES);
        if !source.can_resume() || !source.skip(head_bytes as u64)? {
            return Ok(None);
        }
        if digest(&source.head(head_bytes)?) != self.head {
            return Ok(None);
        }
        let there = source.skip(self.byte.saturating_sub(head_bytes as u64))?;
        Ok(there.then_some(source))
    }

    /// `None` if there is none that can be used.
    pub(super) fn load(path: &Path) -> Option<Self> {
        let text = std::fs::read(beside(path)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// A reader sees the old position or the new one.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let target = beside(path);
        let mut new = target.clone().into_os_string();
        new.push(".new");
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::rename(new, target)
    }
}

/// `FILE.replayed`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".replayed");
    name.into()
}

/// Files that stand beside `path` under a name that begins with its own, as rotation leaves them.
pub(super) fn rotated(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().map(std::ffi::OsStr::as_encoded_bytes) else {
        return Vec::new();
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let Ok(entries) = std::fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return Vec::new();
    };
    let is_rotated = |candidate: &std::ffi::OsStr| {
        let candidate = candidate.as_encoded_bytes();
        let ours = candidate.ends_with(b".replayed") || candidate.ends_with(b".replayed.new");
        candidate.starts_with(name) && candidate != name && !ours
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| is_rotated(&entry.file_name()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
