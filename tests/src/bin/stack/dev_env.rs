//! `dev.env`: how scripts find a running stack. It is there while the stack answers, and no longer.

use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kraiter_tests::api::Api;
use kraiter_tests::config::DATA_DIR;
use kraiter_tests::stack::Stack;
use kraiter_tests::trouble::{Outcome, Trouble};

/// Removes the file when it is dropped.
#[derive(Debug)]
pub(crate) struct DevEnv {
    path: PathBuf,
}

impl DevEnv {
    pub(crate) fn write(data_dir: &Path, stack: &Stack, access: &Api) -> Outcome<Self> {
        let path = data_dir.join("dev.env");
        let text = format!(
            "KRAITER_API=http://{}\nKRAITER_EDGE={}\nKRAITER_API_KEY={}\n",
            access.address,
            stack.edge_origin(),
            access.key,
        );
        write_secret(&path, &text)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DevEnv {
    fn drop(&mut self) {
        // Whoever removed it before has done the work.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A killed stack could not remove its file; scripts that wait for one would take it for ours.
pub(crate) fn remove_stale(data_dir: &Path) -> Outcome<()> {
    let path = data_dir.join("dev.env");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Trouble::io(format!("removing {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Two stacks on one folder would share a database and write each other's files. The lock goes
/// with the process.
pub(crate) fn only_stack_of(data_dir: &Path) -> Outcome<File> {
    let path = data_dir.join("stack.lock");
    let opening = format!("opening {}", path.display());
    let lock = File::create(&path).map_err(Trouble::io(opening))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Trouble::Content {
            path: data_dir.to_owned(),
            problem: format!(
                "another stack runs on this folder; stop it or set {DATA_DIR} to another one"
            ),
        }),
        Err(TryLockError::Error(error)) => {
            Err(Trouble::io(format!("locking {}", path.display()))(error))
        }
    }
}

/// Readable by its owner only, and there either whole or not at all.
pub(crate) fn write_secret(path: &Path, text: &str) -> Outcome<()> {
    let writing = format!("writing {}", path.display());
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    std::fs::write(&new, "")
        .and_then(|()| std::fs::set_permissions(&new, Permissions::from_mode(0o600)))
        .and_then(|()| std::fs::write(&new, text))
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(Trouble::io(writing))
}
