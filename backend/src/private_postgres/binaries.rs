//! Where Postgres is installed.

use std::path::{Path, PathBuf};

/// Oldest major version that the schema is tested on.
const OLDEST_MAJOR: u32 = 15;

#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    #[error(
        "no Postgres {OLDEST_MAJOR} or newer found in PATH or {searched}; install it (Debian: \
         apt-get install postgresql) or set DATABASE_URL to a server that runs elsewhere"
    )]
    NotFound { searched: &'static str },
}

#[derive(Debug)]
pub(super) struct Binaries {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
}

/// Debian's layout, one folder for each major version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Others: Red Hat's and Alpine's, Homebrew's on both kinds of Mac.
const OTHERS: [&str; 4] = [
    "/usr/pgsql",
    "/usr/libexec/postgresql",
    "/opt/homebrew/opt/postgresql",
    "/usr/local/opt/postgresql",
];

/// The newest version found.
pub(super) fn find() -> Result<Binaries, BinariesError> {
    let debian = std::fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let suffixed = OTHERS.iter().flat_map(|base| {
        (OLDEST_MAJOR..=OLDEST_MAJOR + 9)
            .flat_map(move |major| {
                [
                    format!("{base}-{major}"),
                    format!("{base}@{major}"),
                    format!("{base}{major}"),
                ]
            })
            .map(PathBuf::from)
    });
    let mut versions: Vec<(u32, PathBuf)> = debian
        .chain(suffixed)
        .filter_map(|folder| Some((major_of(&folder)?, folder.join("bin"))))
        .filter(|(major, bin)| *major >= OLDEST_MAJOR && complete(bin))
        .collect();
    versions.sort();
    let on_path = || {
        let path = crate::config::search_path();
        std::env::split_paths(&path)
            .find(|bin| complete(bin))
            .map(|bin| (0, bin))
    };
    let (_, bin) = versions
        .pop()
        .or_else(on_path)
        .ok_or(BinariesError::NotFound { searched: DEBIAN })?;
    Ok(Binaries {
        initdb: bin.join("initdb"),
        postgres: bin.join("postgres"),
    })
}

fn complete(bin: &Path) -> bool {
    bin.join("initdb").is_file() && bin.join("postgres").is_file()
}

fn major_of(folder: &Path) -> Option<u32> {
    let name = folder.file_name()?.to_str()?;
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split('.').next()?.parse().ok()
}
