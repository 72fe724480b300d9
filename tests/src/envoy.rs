//! Envoy's process, and what its admin interface says.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::artifacts;
use crate::envoy_config::EnvoyConfig;
use crate::http::{Request, Response};
use crate::process::{Launch, Process};
use crate::trouble::{Outcome, Trouble};
use crate::wait;

const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Events that a collector does not take within this time are left to the edge's own means.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(5);

/// A little more than the longest time between two looks of the filter's at what is due.
const TICK: Duration = Duration::from_millis(300);

/// What an Envoy is started with.
#[derive(Clone, Debug)]
pub struct EnvoyOptions {
    pub config: EnvoyConfig,
    /// The environment that the configuration hands on to the filter.
    pub keyring: String,
    pub ingest_secret: String,
    pub workers: u32,
    /// For the configuration file and the log.
    pub folder: PathBuf,
    /// Names both files, so that several Envoys can share a folder.
    pub name: String,
    pub core: Option<usize>,
}

#[derive(Debug)]
pub struct Envoy {
    process: Process,
    edge: SocketAddr,
    admin: SocketAddr,
}

impl Envoy {
    /// Returns once it takes requests; an error holds the end of its log if it refuses to start.
    pub fn start(options: EnvoyOptions) -> Outcome<Self> {
        let mut launch = launch(&options)?;
        let admin_file = options.folder.join(format!("{}.admin", options.name));
        if admin_file.exists() {
            let clearing = format!("removing {}", admin_file.display());
            std::fs::remove_file(&admin_file).map_err(Trouble::io(clearing))?;
        }
        launch = launch.arg("--admin-address-path").arg(&admin_file);
        launch.core = options.core;
        let mut process = launch.start()?;
        let admin = wait::until_or("Envoy's admin interface", || {
            process.check()?;
            let text = std::fs::read_to_string(&admin_file).unwrap_or_default();
            let address = text.trim().parse::<SocketAddr>();
            Ok(address.map_err(|_| "no admin address yet".to_owned()))
        })?;
        wait::until_or("Envoy to be ready", || {
            process.check()?;
            Ok(match Request::get("/ready").send(admin) {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(answer.text()),
                Err(error) => Err(error.to_string()),
            })
        })?;
        let edge = listener_address(admin, options.config.listener_name())?;
        Ok(Self {
            process,
            edge,
            admin,
        })
    }

    /// Where recipients reach it.
    pub fn edge(&self) -> SocketAddr {
        self.edge
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Processor time used so far.
    pub fn processor_time(&self) -> Option<Duration> {
        self.process.processor_time()
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// A request of a recipient's.
    pub fn send(&self, request: &Request) -> Outcome<Response> {
        let sending = format!("asking the edge at {}", self.edge);
        request.send(self.edge).map_err(Trouble::io(sending))
    }

    pub fn get(&self, path: &str) -> Outcome<Response> {
        self.send(&Request::get(path))
    }

    pub fn ask_admin(&self, method: &str, path: &str) -> Outcome<Response> {
        let asking = format!("asking Envoy's admin interface for {path}");
        let request = Request::new(method, path);
        request.send(self.admin).map_err(Trouble::io(asking))
    }

    /// All counters and gauges as Prometheus reads them.
    pub fn prometheus(&self) -> Outcome<String> {
        Ok(self.ask_admin("GET", "/stats/prometheus")?.text())
    }

    /// The sum of a metric's series whose labels hold all of `labels`, as Prometheus reads them.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Outcome<u64> {
        Ok(sum_of(&self.prometheus()?, name, labels))
    }

    /// Takes no new connections, delivers what it has seen and ends.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        if self.process.exited().is_none() {
            // An Envoy that no longer answers is stopped all the same.
            let _ = self.ask_admin("POST", "/drain_listeners?graceful");
            self.deliver_the_rest();
        }
        self.process.stop(Signal::SIGTERM, STOP_PATIENCE)
    }

    /// Waits until no event is left to deliver, for as long as that gets anywhere soon. Counters
    /// reach the admin interface once a tick, so one look at them is not enough.
    fn deliver_the_rest(&mut self) {
        let start = Instant::now();
        let mut settled_since = None;
        while start.elapsed() < DELIVERY_PATIENCE && self.process.exited().is_none() {
            match self.undelivered() {
                Ok(0) => {
                    let since = *settled_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > TICK {
                        return;
                    }
                }
                Ok(_) => settled_since = None,
                Err(_) => return,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Events that were taken and are not out of the edge yet.
    fn undelivered(&self) -> Outcome<u64> {
        self.metric("kraiter_buffered_events", &[])
    }
}

/// Reads the configuration and says whether Envoy takes it, without starting anything.
pub fn validate(options: &EnvoyOptions) -> Outcome<()> {
    let mut process = launch(options)?.arg("--mode").arg("validate").start()?;
    let status = wait::until("Envoy to validate", || {
        process.exited().ok_or_else(|| "still running".to_owned())
    })?;
    if status.success() {
        return Ok(());
    }
    Err(process.died(status))
}

fn launch(options: &EnvoyOptions) -> Outcome<Launch> {
    let config = options.folder.join(format!("{}.json", options.name));
    let writing = format!("writing {}", config.display());
    std::fs::write(&config, options.config.json().to_string()).map_err(Trouble::io(writing))?;
    let log = options.folder.join(format!("{}.log", options.name));
    let workers = options.workers.to_string();
    Ok(Launch::new("Envoy", artifacts::envoy()?, log)
        .arg("--config-path")
        .arg(config)
        .arg("--concurrency")
        .arg(workers)
        // Several Envoys share a machine in tests; none of them restarts hot.
        .arg("--disable-hot-restart")
        .arg("--file-flush-interval-msec")
        .arg("200")
        .arg("--drain-time-s")
        .arg("1")
        .arg("--log-level")
        .arg("warning")
        .arg("--component-log-level")
        .arg("wasm:info")
        .env("KRAITER_KEYRING", &options.keyring)
        .env("KRAITER_INGEST_SECRET", &options.ingest_secret))
}

/// The port the system chose, if the configuration said 0.
fn listener_address(admin: SocketAddr, name: Option<&str>) -> Outcome<SocketAddr> {
    let path = "/listeners?format=json";
    let asking = "asking Envoy for its listeners";
    let answer = Request::get(path)
        .send(admin)
        .map_err(Trouble::io(asking))?;
    let listeners = answer.json();
    let statuses = listeners
        .pointer("/listener_statuses")
        .and_then(Value::as_array);
    let named =
        |status: &&Value| name.is_none() || status.get("name").and_then(Value::as_str) == name;
    let status = statuses.into_iter().flatten().find(named);
    let port = status.and_then(|status| {
        let port = status.pointer("/local_address/socket_address/port_value")?;
        u16::try_from(port.as_u64()?).ok()
    });
    let port = port.ok_or_else(|| Trouble::Answer {
        method: "GET".to_owned(),
        path: path.to_owned(),
        status: answer.status,
        body: answer.text(),
    })?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

pub(crate) fn sum_of(prometheus: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
    let value = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, found_labels) = series.split_once('{').unwrap_or((series, ""));
        let holds =
            |(key, value): &(&str, &str)| found_labels.contains(&format!("{key}=\"{value}\""));
        let wanted = found == name && labels.iter().all(holds);
        wanted.then(|| value.parse::<u64>().ok()).flatten()
    };
    prometheus.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_series_with_those_labels() {
        let text = "# TYPE a counter\na{kind=\"open\",result=\"ok\"} 3\na{kind=\"click\",result=\"ok\"} 4\nab{} 9\nc 5\n";
        assert_eq!(sum_of(text, "a", &[]), 7);
        assert_eq!(sum_of(text, "a", &[("kind", "open")]), 3);
        assert_eq!(sum_of(text, "c", &[]), 5);
    }
}
