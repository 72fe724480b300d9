//! The cluster's files: where they lie, whose they are, and how they come to be.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, chown};
use tokio::process::Command;

use super::binaries::Binaries;
use super::{Durability, PrivatePostgresError};

/// A cluster on disk that is ready to be started.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    pub(super) password: String,
    /// Set when this process is root: Postgres refuses to be.
    pub(super) user: Option<Owner>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
}

/// Where clusters lie whose own folder the database's user cannot reach.
const FALLBACK_ROOT: &str = "/var/lib/kraiter";

pub(super) async fn open_or_create(
    folder: &Path,
    binaries: &Binaries,
    durability: Durability,
) -> Result<Cluster, PrivatePostgresError> {
    std::fs::create_dir_all(folder).map_err(file("create", folder))?;
    let folder = folder.canonicalize().map_err(file("find", folder))?;
    let user = if Uid::effective().is_root() {
        Some(unprivileged_user()?)
    } else {
        None
    };
    let home = home_of(&folder, user)?;
    let cluster = Cluster {
        data: home.join("data"),
        log: home.join("postgres.log"),
        password: password(&home)?,
        user,
    };
    if !cluster.data.join("PG_VERSION").is_file() {
        initialise(&cluster, binaries, durability).await?;
    }
    Ok(cluster)
}

/// The folder itself, or, where its parents are closed to the database's user (a checkout under
/// /root, a private temporary folder), one of its own that is remembered in the folder.
fn home_of(folder: &Path, user: Option<Owner>) -> Result<PathBuf, PrivatePostgresError> {
    let Some(owner) = user else {
        return Ok(folder.to_owned());
    };
    let pointer = folder.join("location");
    let home = if let Ok(remembered) = std::fs::read_to_string(&pointer) {
        PathBuf::from(remembered.trim())
    } else if reachable(folder, owner) {
        folder.to_owned()
    } else {
        let home = Path::new(FALLBACK_ROOT).join(crate::random::hex::<8>());
        std::fs::write(&pointer, format!("{}\n", home.display()))
            .map_err(file("write", &pointer))?;
        home
    };
    std::fs::create_dir_all(&home).map_err(file("create", &home))?;
    chown(&home, Some(owner.uid), Some(owner.gid))
        .map_err(|errno| file("hand over", &home)(errno.into()))?;
    Ok(home)
}

/// Whether every parent lets `owner` through.
fn reachable(folder: &Path, owner: Owner) -> bool {
    folder.ancestors().skip(1).all(|parent| {
        std::fs::metadata(parent).is_ok_and(|meta| {
            let mode = meta.permissions().mode();
            let class = if meta.uid() == owner.uid.as_raw() {
                0o100
            } else if meta.gid() == owner.gid.as_raw() {
                0o010
            } else {
                0o001
            };
            mode & class != 0
        })
    })
}

fn unprivileged_user() -> Result<Owner, PrivatePostgresError> {
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| Owner {
            uid: user.uid,
            gid: user.gid,
        })
        .ok_or(PrivatePostgresError::NoUser)
}

/// The superuser's password, drawn once. Readable by the owner of this process only.
fn password(home: &Path) -> Result<String, PrivatePostgresError> {
    let path = home.join("password");
    crate::secret_file::read_or_create(&path, crate::random::hex::<24>)
        .map_err(file("read or create", &path))
}

async fn initialise(
    cluster: &Cluster,
    binaries: &Binaries,
    durability: Durability,
) -> Result<(), PrivatePostgresError> {
    tracing::info!(data = %cluster.data.display(), "making a database cluster");
    // initdb runs as another user, so the password reaches it by a file of that user's.
    let pwfile = cluster.data.with_extension("pwfile");
    std::fs::write(&pwfile, &cluster.password).map_err(file("write", &pwfile))?;
    std::fs::set_permissions(&pwfile, std::fs::Permissions::from_mode(0o600))
        .map_err(file("protect", &pwfile))?;
    if let Some(owner) = cluster.user {
        chown(&pwfile, Some(owner.uid), Some(owner.gid))
            .map_err(|errno| file("hand over", &pwfile)(errno.into()))?;
    }
    // An initialisation that was cut short leaves a folder that initdb refuses.
    if cluster.data.exists() {
        std::fs::remove_dir_all(&cluster.data).map_err(file("clear", &cluster.data))?;
    }
    let mut command = command(&binaries.initdb, cluster.user);
    command
        .args([
            "--username=kraiter",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
        ])
        .arg(format!("--pgdata={}", cluster.data.display()))
        .arg(format!("--pwfile={}", pwfile.display()));
    if durability == Durability::None {
        command.arg("--no-sync");
    }
    let output = command
        .output()
        .await
        .map_err(|source| PrivatePostgresError::Spawn {
            program: binaries.initdb.clone(),
            source,
        })?;
    std::fs::remove_file(&pwfile).map_err(file("remove", &pwfile))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(PrivatePostgresError::Program {
        program: "initdb",
        status: output.status,
        output: String::from_utf8_lossy(&text).into_owned(),
    })
}

/// A command that runs as the database's user, in a folder that this user can stand in.
pub(super) fn command(program: &Path, user: Option<Owner>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").kill_on_drop(false);
    if let Some(owner) = user {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    command
}

pub(super) fn file(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> PrivatePostgresError {
    move |source| PrivatePostgresError::File {
        action,
        path: path.to_owned(),
        source,
    }
}
