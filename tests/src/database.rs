//! Postgres for tests: one cluster for all tests of a process, each with a database of its own, and
//! clusters of its own for a test that stops them.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use kraiter_backend::private_postgres::PrivatePostgres;
use tokio::runtime::Runtime;

use crate::artifacts;
use crate::trouble::{Outcome, Trouble};
use crate::wait;

pub use kraiter_backend::private_postgres::{Durability, StopMode};

/// Migrated once; every test's database is a copy of it.
const TEMPLATE: &str = "kraiter_template";

/// A database of the process's shared cluster: migrated, empty, nobody else's. Gives its URL.
pub fn fresh() -> Outcome<String> {
    static SHARED: OnceLock<Mutex<Result<Shared, String>>> = OnceLock::new();
    let shared =
        SHARED.get_or_init(|| Mutex::new(Shared::start().map_err(|error| error.to_string())));
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    match shared.as_mut() {
        Ok(shared) => shared.fresh(),
        Err(error) => Err(trouble("starting Postgres for the tests", error)),
    }
}

struct Shared {
    cluster: Cluster,
    made: u32,
}

impl Shared {
    fn start() -> Outcome<Self> {
        let cluster = Cluster::start(Durability::None)?;
        cluster.migrated(TEMPLATE)?;
        Ok(Self { cluster, made: 0 })
    }

    fn fresh(&mut self) -> Outcome<String> {
        self.made += 1;
        let name = format!("test_{}", self.made);
        let copy = format!("create database {name} template {TEMPLATE}");
        self.cluster.run("postgres", &copy)?;
        self.cluster.url(&name)
    }
}

/// Runs statements on the database at `url`.
pub fn execute(url: &str, statements: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Trouble::io("making a runtime"))?;
    run_on(&runtime, url, statements)
}

fn run_on(runtime: &Runtime, url: &str, statements: &str) -> Outcome<()> {
    let run = async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let work = async {
            let result = client.batch_execute(statements).await;
            drop(client);
            result
        };
        let (result, _) = tokio::join!(work, connection);
        result
    };
    runtime
        .block_on(run)
        .map_err(|error| trouble(statements, error))
}

fn migrate(url: &str) -> Outcome<()> {
    let output = Command::new(artifacts::kraiter()?)
        .arg("migrate")
        .env("DATABASE_URL", url)
        .stdin(Stdio::null())
        .output()
        .map_err(Trouble::io("running `kraiter migrate`"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Trouble::Command {
        command: "kraiter migrate".to_owned(),
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

enum Job {
    Url(String, Sender<Outcome<String>>),
    Run(String, String, Sender<Outcome<()>>),
    Restart(StopMode, Sender<Outcome<()>>),
}

/// A Postgres of this process's own, gone with the process.
#[derive(Debug)]
pub struct Cluster {
    jobs: Sender<Job>,
}

impl Cluster {
    pub fn start(durability: Durability) -> Outcome<Self> {
        let (jobs, inbox) = channel();
        let (started, outcome) = channel();
        // The server lives as long as the thread that starts it.
        std::thread::spawn(move || match Server::start(durability) {
            Ok(server) => {
                let _ = started.send(Ok(()));
                server.serve(inbox);
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        });
        received(outcome)?;
        Ok(Self { jobs })
    }

    /// Where a database of the cluster is reached; the port changes with every restart.
    pub fn url(&self, database: &str) -> Outcome<String> {
        self.ask(|answer| Job::Url(database.to_owned(), answer))
    }

    /// A migrated database on this cluster.
    pub fn migrated(&self, database: &str) -> Outcome<()> {
        self.run("postgres", &format!("create database {database}"))?;
        migrate(&self.url(database)?)
    }

    pub fn run(&self, database: &str, statement: &str) -> Outcome<()> {
        self.ask(|answer| Job::Run(database.to_owned(), statement.to_owned(), answer))
    }

    pub fn restart(&self, mode: StopMode) -> Outcome<()> {
        self.ask(|answer| Job::Restart(mode, answer))
    }

    fn ask<T>(&self, job: impl FnOnce(Sender<Outcome<T>>) -> Job) -> Outcome<T> {
        let (answer, outcome) = channel();
        // A thread that is gone shows as a missing answer.
        let _ = self.jobs.send(job(answer));
        received(outcome)
    }
}

fn received<T>(outcome: Receiver<Outcome<T>>) -> Outcome<T> {
    outcome
        .recv()
        .unwrap_or_else(|_| Err(trouble("asking Postgres", "its thread has ended")))
}

fn trouble(what: &str, error: impl ToString) -> Trouble {
    Trouble::io(what)(std::io::Error::other(error.to_string()))
}

/// What the cluster's thread owns.
struct Server {
    runtime: Runtime,
    folder: PathBuf,
    durability: Durability,
    postgres: Option<PrivatePostgres>,
    /// Removes the folder once this process and the server are gone.
    _remover: Child,
}

impl Server {
    fn start(durability: Durability) -> Outcome<Self> {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("kraiter-tests-{}-{number}", std::process::id());
        // Not under the target folder: Postgres may have to run as a user who cannot look there.
        let folder = std::env::temp_dir().join(name);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Trouble::io("making a runtime"))?;
        let mut server = Self {
            runtime,
            _remover: remover(&folder)?,
            folder,
            durability,
            postgres: None,
        };
        server.up()?;
        Ok(server)
    }

    fn up(&mut self) -> Outcome<()> {
        let start = PrivatePostgres::start(&self.folder, self.durability);
        let postgres = self.runtime.block_on(start);
        self.postgres = Some(postgres.map_err(|error| trouble("starting Postgres", error))?);
        Ok(())
    }

    fn serve(mut self, inbox: Receiver<Job>) {
        for job in inbox {
            // Whoever asked may have given up waiting.
            let _ = match job {
                Job::Url(database, answer) => answer.send(self.url(&database)).is_ok(),
                Job::Run(database, statement, answer) => {
                    answer.send(self.run(&database, &statement)).is_ok()
                }
                Job::Restart(mode, answer) => answer.send(self.restart(mode)).is_ok(),
            };
        }
        if let Some(postgres) = self.postgres.take() {
            let _ = self.runtime.block_on(postgres.stop(StopMode::Fast));
        }
    }

    fn url(&self, database: &str) -> Outcome<String> {
        let running = self.postgres.as_ref();
        let running = running.ok_or_else(|| trouble("asking Postgres", "it is not running"))?;
        Ok(running.url(database))
    }

    fn run(&self, database: &str, statement: &str) -> Outcome<()> {
        let url = self.url(database)?;
        run_on(&self.runtime, &url, statement)
    }

    /// After a kill, its orphans hold on to the shared memory for a moment.
    fn up_again(&mut self) -> Outcome<()> {
        wait::until("Postgres to start again", || {
            self.up().map_err(|error| error.to_string())
        })
    }

    fn restart(&mut self, mode: StopMode) -> Outcome<()> {
        if let Some(postgres) = self.postgres.take() {
            let stop = self.runtime.block_on(postgres.stop(mode));
            stop.map_err(|error| trouble("stopping Postgres", error))?;
        }
        self.up_again()
    }
}

/// A shell that reads until this process is gone, however it goes, and then clears the folder as
/// soon as the server has left it.
fn remover(folder: &Path) -> Outcome<Child> {
    const SCRIPT: &str = "cat >/dev/null
        while [ -e \"$1/data/postmaster.pid\" ] && kill -0 \"$(head -n 1 \"$1/data/postmaster.pid\")\"
        do sleep 0.1; done
        rm -rf \"$1\"";
    Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(Trouble::io("starting sh"))
}
