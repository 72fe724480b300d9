//! Where the built programs lie. The harness runs what was built and builds nothing itself.

use std::path::{Path, PathBuf};

use crate::config;
use crate::trouble::{Outcome, Trouble};

const BUILD: &str = "`make build` makes it";
const SETUP: &str = "`make setup` gets it";

/// The folder of the project.
pub fn project_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The folder that cargo put this program's profile into, such as `target/debug`.
fn profile_dir() -> Outcome<PathBuf> {
    let program = std::env::current_exe().map_err(Trouble::io("finding the running program"))?;
    let folder = program.parent().unwrap_or(&program);
    let is_deps = folder.file_name().is_some_and(|name| name == "deps");
    let profile = if is_deps { folder.parent() } else { None };
    Ok(profile.unwrap_or(folder).to_owned())
}

/// The `target` folder, for results and for what tests leave behind.
pub fn target_dir() -> Outcome<PathBuf> {
    let profile = profile_dir()?;
    Ok(profile.parent().unwrap_or(&profile).to_owned())
}

fn present(path: PathBuf, remedy: &'static str) -> Outcome<PathBuf> {
    if path.is_file() {
        return Ok(path);
    }
    Err(Trouble::Missing { path, remedy })
}

/// The backend's program, of the same profile as the one that is running.
pub fn kraiter() -> Outcome<PathBuf> {
    match config::backend_binary() {
        Some(path) => present(path, BUILD),
        None => present(profile_dir()?.join("kraiter"), BUILD),
    }
}

fn filter_dir() -> Outcome<PathBuf> {
    match config::filter_folder() {
        Some(folder) => Ok(folder),
        None => Ok(target_dir()?.join("wasm32-unknown-unknown/filter")),
    }
}

/// The filter as Envoy loads it.
pub fn filter() -> Outcome<PathBuf> {
    present(filter_dir()?.join("kraiter_filter.wasm"), BUILD)
}

/// A filter that answers and does nothing else: what the edge bench measures against.
pub fn answer_only_filter() -> Outcome<PathBuf> {
    let remedy = "`make bench` builds it";
    present(filter_dir()?.join("examples/answer_only.wasm"), remedy)
}

/// The filter with a switch that ends its VM.
pub fn trapping_filter() -> Outcome<PathBuf> {
    let remedy = "`make test` builds it";
    present(filter_dir()?.join("examples/trapping.wasm"), remedy)
}

/// Envoy as the setup installed it, or as it is on the PATH.
pub fn envoy() -> Outcome<PathBuf> {
    if let Some(path) = config::envoy_binary() {
        return present(path, SETUP);
    }
    let own = project_root().join(".tools/bin/envoy");
    if own.is_file() {
        return Ok(own);
    }
    let on_path = config::search_path()
        .into_iter()
        .map(|folder| folder.join("envoy"))
        .find(|candidate| candidate.is_file());
    on_path.map_or_else(|| present(own, SETUP), Ok)
}
