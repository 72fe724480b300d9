//! Files that hold a secret: readable by their owner only, replaced whole or not at all.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file's text without surrounding white space, or what `make` gives if there is no file yet.
/// Of several processes that come at once, one makes the secret and all return it.
pub(crate) fn read_or_create(path: &Path, make: impl FnOnce() -> String) -> io::Result<String> {
    let read = || std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let beside = write_beside(path, &make())?;
            let linked = std::fs::hard_link(&beside, path);
            std::fs::remove_file(&beside)?;
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => read(),
            }
        }
        other => other,
    }
}

/// A reader sees the old text or the new one.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    std::fs::rename(write_beside(path, text)?, path)
}

fn write_beside(path: &Path, text: &str) -> io::Result<PathBuf> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("new-{}", crate::random::hex::<4>()));
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    Ok(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("kraiter-{}", crate::random::hex::<8>()));
        let path = folder.join("a.secret");
        assert_eq!(
            read_or_create(&path, || "first".to_owned()).unwrap(),
            "first"
        );
        assert_eq!(
            read_or_create(&path, || "second".to_owned()).unwrap(),
            "first"
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        write(&path, "third").unwrap();
        assert_eq!(
            read_or_create(&path, || "fourth".to_owned()).unwrap(),
            "third"
        );
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
