//! The backend's process: `kraiter serve`, and the other commands on the same data.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::api::Api;
use crate::artifacts;
use crate::http::Request;
use crate::process::{Launch, Process};
use crate::trouble::{Outcome, Trouble};
use crate::wait;

/// How long it may take to finish what it accepted and to stop its database.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// What a developer may have set for a backend of another kind.
const NOT_INHERITED: [&str; 9] = [
    "DATABASE_URL",
    "KRAITER_DATA_DIR",
    "KRAITER_INGEST_SECRET",
    "KRAITER_INGEST_SECRET_FILE",
    "KRAITER_KEYRING_FILE",
    "KRAITER_LISTEN",
    "KRAITER_LOG_FORMAT",
    "KRAITER_MIGRATE",
    "KRAITER_WEBHOOK_ALLOW_PRIVATE",
];

/// What a backend is started with; kept, so that it can be started again.
#[derive(Clone, Debug)]
pub struct BackendOptions {
    pub data_dir: PathBuf,
    /// Port 0 takes one of the system's choice.
    pub listen: SocketAddr,
    /// Without one the backend runs a private Postgres in its data folder.
    pub database_url: Option<String>,
    pub env: Vec<(OsString, OsString)>,
    pub log: PathBuf,
}

#[derive(Debug)]
pub struct Backend {
    options: BackendOptions,
    process: Process,
    address: SocketAddr,
}

impl Backend {
    /// Returns once it is ready to serve.
    pub fn start(options: BackendOptions) -> Outcome<Self> {
        let mut backend = Self::start_unready(options)?;
        ready(&mut backend.process, backend.address)?;
        Ok(backend)
    }

    /// Returns once it listens: its database may be away or not migrated.
    pub fn start_unready(options: BackendOptions) -> Outcome<Self> {
        std::fs::create_dir_all(&options.data_dir).map_err(Trouble::io(format!(
            "making {}",
            options.data_dir.display()
        )))?;
        let (process, address) = listen(&options)?;
        Ok(Self {
            options,
            process,
            address,
        })
    }

    /// Where the API and `/ingest` are; another port after a restart if the system chose it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn log(&self) -> &Path {
        &self.options.log
    }

    /// Processor time that it has used so far; zero where the system does not say.
    pub fn processor_time(&self) -> Duration {
        self.process.processor_time().unwrap_or_default()
    }

    /// Starts it again on the same data, after [`stop`](Self::stop) or [`kill`](Self::kill).
    pub fn start_again(&mut self) -> Outcome<()> {
        (self.process, self.address) = listen(&self.options)?;
        ready(&mut self.process, self.address)
    }

    /// An orderly end. `None`: it had to be killed.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.process.stop(Signal::SIGTERM, STOP_PATIENCE)
    }

    /// As if it had crashed.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Runs another command of the program on the same data.
    pub fn command(&self, args: &[&str]) -> Outcome<String> {
        run_command(&self.options, args)
    }

    /// What another command says in JSON, whatever it exits with.
    pub fn says(&self, args: &[&str]) -> Outcome<Value> {
        let output = output_of(&self.options, args)?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let errors = String::from_utf8_lossy(&output.stderr);
            let problem = format!("`kraiter {}`: {error}; {errors}", args.join(" "));
            Trouble::content(&self.options.data_dir, problem)
        })
    }

    /// Another command, to be run by the caller.
    pub fn prepared(&self, args: &[&str]) -> Outcome<Command> {
        command(&self.options, args)
    }

    /// Runs another command, with what it says and its progress for all to see.
    pub fn run_shown(&self, args: &[&str]) -> Outcome<()> {
        let running = format!("kraiter {}", args.join(" "));
        let status = command(&self.options, args)?.status();
        match status.map_err(Trouble::io(format!("running `{running}`")))? {
            status if status.success() => Ok(()),
            status => Err(Trouble::Command {
                command: running,
                status: status.to_string(),
                stderr: String::new(),
            }),
        }
    }

    pub fn json(&self, args: &[&str]) -> Outcome<Value> {
        let output = self.command(args)?;
        serde_json::from_str(&output).map_err(|error| {
            let problem = format!("`kraiter {}` printed {output:?}: {error}", args.join(" "));
            Trouble::content(&self.options.data_dir, problem)
        })
    }

    /// The keyring in its text form, as the edge takes it.
    pub fn keyring(&self) -> Outcome<String> {
        let output = self.command(&["keyring", "show", "--expose"])?;
        Ok(output.trim().to_owned())
    }

    pub fn ingest_secret(&self) -> Outcome<String> {
        let path = self.options.data_dir.join("ingest.secret");
        let reading = format!("reading {}", path.display());
        let secret = std::fs::read_to_string(path).map_err(Trouble::io(reading))?;
        Ok(secret.trim().to_owned())
    }

    /// A new tenant and a key of it with all scopes.
    pub fn tenant(&self, name: &str, tracking_origin: &str) -> Outcome<Api> {
        let origin = ["--tracking-origin", tracking_origin];
        self.command(&["tenant", "create", name, origin[0], origin[1]])?;
        self.api_key(name, "render,read,admin")
    }

    /// A new key of a tenant.
    pub fn api_key(&self, tenant: &str, scopes: &str) -> Outcome<Api> {
        let args = ["api-key", "create", "--tenant", tenant, "--scopes", scopes];
        let made = self.json(&[&args[..], &["--name", "harness", "--json"]].concat())?;
        let key = made.get("key").and_then(Value::as_str);
        let key = key.ok_or_else(|| {
            let problem = format!("`kraiter api-key create` gave no key: {made}");
            Trouble::content(&self.options.data_dir, problem)
        })?;
        Ok(Api {
            address: self.address,
            key: key.to_owned(),
        })
    }

    /// The same access after a restart.
    pub fn reach(&self, api: &Api) -> Api {
        Api {
            address: self.address,
            key: api.key.clone(),
        }
    }
}

fn listen(options: &BackendOptions) -> Outcome<(Process, SocketAddr)> {
    let address_file = options.data_dir.join("harness.address");
    // One of an earlier start would be taken for this one's.
    if address_file.exists() {
        let clearing = format!("removing {}", address_file.display());
        std::fs::remove_file(&address_file).map_err(Trouble::io(clearing))?;
    }
    let mut launch = Launch::new("the backend", artifacts::kraiter()?, options.log.clone())
        .arg("serve")
        .arg("--data-dir")
        .arg(&options.data_dir)
        .arg("--listen")
        .arg(options.listen.to_string())
        .arg("--address-file")
        .arg(&address_file);
    launch.env.extend(environment(options));
    launch.without = NOT_INHERITED.map(OsString::from).to_vec();
    let mut process = launch.start()?;
    let address = wait::until_or("the backend to serve", || {
        process.check()?;
        let text = std::fs::read_to_string(&address_file).unwrap_or_default();
        let address = text.trim().parse::<SocketAddr>();
        Ok(address.map_err(|_| "no address yet".to_owned()))
    })?;
    Ok((process, address))
}

fn ready(process: &mut Process, address: SocketAddr) -> Outcome<()> {
    wait::until_or("the backend to be ready", || {
        process.check()?;
        Ok(match Request::get("/readyz").send(address) {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(format!("/readyz: {} {}", answer.status, answer.text())),
            Err(error) => Err(format!("/readyz: {error}")),
        })
    })
}

fn environment(options: &BackendOptions) -> Vec<(OsString, OsString)> {
    let mut env = options.env.clone();
    let url = options.database_url.iter();
    env.extend(url.map(|url| (OsString::from("DATABASE_URL"), url.into())));
    env
}

fn command(options: &BackendOptions, args: &[&str]) -> Outcome<Command> {
    let mut command = Command::new(artifacts::kraiter()?);
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command
        .args(args)
        .arg("--data-dir")
        .arg(&options.data_dir)
        .envs(environment(options))
        .stdin(Stdio::null());
    Ok(command)
}

fn output_of(options: &BackendOptions, args: &[&str]) -> Outcome<Output> {
    let running = format!("running `kraiter {}`", args.join(" "));
    command(options, args)?
        .output()
        .map_err(Trouble::io(running))
}

fn run_command(options: &BackendOptions, args: &[&str]) -> Outcome<String> {
    let shown = format!("kraiter {}", args.join(" "));
    let output = output_of(options, args)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Trouble::Command {
        command: shown,
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
