//! The server's process: starting it, finding one that runs, stopping it.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use super::binaries::Binaries;
use super::cluster::{Cluster, command, file};
use super::{Durability, PrivatePostgresError};

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Connections are closed, everything is written: what an operator would do.
    Fast,
    /// SIGKILL to the main process, as if it had crashed.
    Kill,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: i32,
    pub(super) port: u16,
    /// `None` when another command started it.
    child: Option<Child>,
}

/// How long a server may take to come up: recovery after a crash replays what was not yet written.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// A server that was killed leaves processes behind which hold its memory for a moment longer, and
/// while they do a new one refuses to start.
const START_ATTEMPTS: u32 = 4;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(500);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

pub(super) async fn start(
    cluster: &Cluster,
    binaries: &Binaries,
    durability: Durability,
) -> Result<Running, PrivatePostgresError> {
    if let Some(running) = wait_for_other(cluster).await {
        tracing::debug!(
            pid = running.pid,
            "using the database server that runs already"
        );
        return Ok(running);
    }
    for _ in 1..START_ATTEMPTS {
        if let Ok(running) = start_once(cluster, binaries, durability).await {
            return Ok(running);
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
    start_once(cluster, binaries, durability).await
}

/// A quarter of the machine's memory, as Postgres' manual proposes; what is not needed is not taken.
fn shared_buffers_mb() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| {
        let kilobytes = line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?;
        kilobytes.trim().parse::<u64>().ok()
    });
    (total.unwrap_or(0) / 1024 / 4).clamp(128, 8192)
}

async fn start_once(
    cluster: &Cluster,
    binaries: &Binaries,
    durability: Durability,
) -> Result<Running, PrivatePostgresError> {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&cluster.log)
        .map_err(file("open", &cluster.log))?;
    let log_err = log.try_clone().map_err(file("open", &cluster.log))?;
    let port = free_port().map_err(file("find a port for", &cluster.data))?;
    let mut command = command(&binaries.postgres, cluster.user);
    command
        .arg("-D")
        .arg(&cluster.data)
        .args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ])
        .args(["-c", &format!("port={port}"), "-c", "max_connections=200"])
        .stdin(std::process::Stdio::null())
        .stdout(log)
        .stderr(log_err)
        // Its own group: Ctrl-C is for us, and we stop the server once all is written.
        .process_group(0);
    if durability == Durability::Full {
        for setting in [
            format!("shared_buffers={}MB", shared_buffers_mb()),
            // Each page that changes is written to the log in full once after a checkpoint: rare
            // checkpoints make counting, which changes pages at random, much cheaper.
            "max_wal_size=4GB".to_owned(),
            "checkpoint_timeout=15min".to_owned(),
        ] {
            command.args(["-c", &setting]);
        }
    } else {
        for setting in [
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
        ] {
            command.args(["-c", setting]);
        }
    }
    stop_with_parent(&mut command);
    let mut child = command
        .spawn()
        .map_err(|source| PrivatePostgresError::Spawn {
            program: binaries.postgres.clone(),
            source,
        })?;
    let attempts = START_TIMEOUT.as_millis() / POLL.as_millis();
    for _ in 0..attempts {
        if let Ok(Some(_)) = child.try_wait() {
            break;
        }
        if let Some(Found {
            pid,
            port,
            ready: true,
        }) = find(&cluster.data)
        {
            return Ok(Running {
                pid,
                port,
                child: Some(child),
            });
        }
        tokio::time::sleep(POLL).await;
    }
    Err(PrivatePostgresError::NotStarted {
        log: cluster.log.clone(),
        tail: tail(&cluster.log),
    })
}

pub(super) async fn stop(
    running: Running,
    cluster: &Cluster,
    mode: StopMode,
) -> Result<(), PrivatePostgresError> {
    let Some(mut child) = running.child else {
        return Ok(());
    };
    let signal = match mode {
        StopMode::Fast => Signal::SIGINT,
        StopMode::Kill => Signal::SIGKILL,
    };
    // A process that is gone already is what was wanted.
    let _ = kill(Pid::from_raw(running.pid), signal);
    match tokio::time::timeout(STOP_TIMEOUT, child.wait()).await {
        Ok(_) => Ok(()),
        Err(_) => Err(PrivatePostgresError::NotStopped {
            pid: running.pid,
            log: cluster.log.clone(),
        }),
    }
}

struct Found {
    pid: i32,
    port: u16,
    ready: bool,
}

/// What `postmaster.pid` says: process on line 1, port on line 4, state on line 8.
fn find(data: &Path) -> Option<Found> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let lines: Vec<_> = text.lines().collect();
    let pid = lines.first()?.trim().parse().ok()?;
    let port = lines.get(3)?.trim().parse().ok()?;
    let ready = lines.get(7).is_some_and(|state| state.trim() == "ready");
    alive(pid).then_some(Found { pid, port, ready })
}

fn alive(pid: i32) -> bool {
    !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
}

/// A server on this cluster that another command started, waiting for one that is on its way up
/// and for one that is on its way down.
async fn wait_for_other(cluster: &Cluster) -> Option<Running> {
    for _ in 0..STOP_TIMEOUT.as_millis() / POLL.as_millis() {
        match find(&cluster.data) {
            None => return None,
            Some(Found {
                pid,
                port,
                ready: true,
            }) => {
                return Some(Running {
                    pid,
                    port,
                    child: None,
                });
            }
            Some(Found { .. }) => tokio::time::sleep(POLL).await,
        }
    }
    None
}

/// A port that was free a moment ago; Postgres cannot be asked to choose one.
fn free_port() -> std::io::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

/// On Linux the kernel tells the server to shut down when the thread that started it ends, however
/// it ends. Elsewhere a killed process leaves its server running, and the next start finds it.
#[cfg(target_os = "linux")]
fn stop_with_parent(command: &mut tokio::process::Command) {
    let set = || nix::sys::prctl::set_pdeathsig(Signal::SIGINT).map_err(Into::into);
    #[expect(
        unsafe_code,
        reason = "there is no safe way to act between fork and exec"
    )]
    // SAFETY: prctl is a plain system call: it allocates nothing and takes no lock, as is required
    // between fork and exec.
    unsafe {
        command.pre_exec(set)
    };
}

#[cfg(not(target_os = "linux"))]
fn stop_with_parent(_: &mut tokio::process::Command) {}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(10)..)
        .unwrap_or_default()
        .join("\n")
}
