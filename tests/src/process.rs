//! Child processes that never outlive the harness, each with its output in a file.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::trouble::{Outcome, Trouble};

/// How much of a log is shown when its process fails.
const TAIL_BYTES: usize = 6000;

/// How long a child may take to end when nobody stopped it in its turn.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// What to start and how.
#[derive(Debug)]
pub struct Launch {
    /// What people call it, such as `Envoy`.
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// Variables of this process's that the child does not get.
    pub without: Vec<OsString>,
    /// Takes both output streams; appended to, so that a restart keeps the story whole.
    pub log: PathBuf,
    /// Sent by the system should the harness die, even when it is killed.
    pub at_harness_death: Signal,
    /// The one core it may run on.
    pub core: Option<usize>,
}

impl Launch {
    pub fn new(name: &str, program: PathBuf, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            program,
            args: Vec::new(),
            env: Vec::new(),
            without: Vec::new(),
            log,
            at_harness_death: Signal::SIGTERM,
            core: None,
        }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn start(self) -> Outcome<Process> {
        let trouble = |what: &str| format!("{what} {}", self.log.display());
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(Trouble::io(trouble("opening")))?;
        let errors = log.try_clone().map_err(Trouble::io(trouble("opening")))?;
        let mut command = Command::new(&self.program);
        for name in &self.without {
            command.env_remove(name);
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // A Ctrl-C reaches the harness only, which then stops its children in order.
            .process_group(0);
        before_exec(&mut command, self.at_harness_death, self.core);
        let starting = format!("starting {} ({})", self.name, self.program.display());
        let child = spawn(command).map_err(Trouble::io(starting))?;
        Ok(Process {
            name: self.name,
            child,
            log: self.log,
        })
    }
}

#[expect(
    unsafe_code,
    reason = "between fork and exec only async-signal-safe calls are allowed; these two are plain \
              system calls that allocate nothing"
)]
fn before_exec(command: &mut Command, at_harness_death: Signal, core: Option<usize>) {
    let cores = core.map(only);
    let prepare = move || -> io::Result<()> {
        set_pdeathsig(at_harness_death)?;
        if let Some(cores) = &cores {
            sched_setaffinity(Pid::from_raw(0), cores)?;
        }
        Ok(())
    };
    // SAFETY: see the reason above; the closure touches only values that it owns.
    unsafe {
        command.pre_exec(prepare);
    }
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    // A core that no machine has leaves the set empty, and the start then fails.
    let _ = set.set(core);
    set
}

/// Binds the calling thread, and those it starts from now on, to one core.
pub fn stay_on_core(core: usize) -> Outcome<()> {
    let binding = format!("binding a thread to core {core}");
    sched_setaffinity(Pid::from_raw(0), &only(core))
        .map_err(|errno| Trouble::io(binding)(errno.into()))
}

type Job = (Command, Sender<io::Result<Child>>);

/// Starts the child from a thread that lives as long as the harness: the system sends the signal of
/// [`Launch::at_harness_death`] when the *thread* that started the child ends, and a test's own
/// thread ends with the test.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Nobody waits for the answer only if the asking thread is gone, and its
                // child is then ended by the harness's own end.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (answer, child) = channel();
    let gone = |_| io::Error::other("the spawning thread is gone");
    let jobs = spawner.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.send((command, answer))
        .map_err(|_| io::Error::other("the spawning thread is gone"))?;
    drop(jobs);
    child.recv().map_err(gone)?
}

/// A running child. Dropping it asks it to end, and kills it when it does not.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Processor time that all its threads have used so far. `None` where the system does not say.
    pub fn processor_time(&self) -> Option<Duration> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?;
        let nanos = tasks.flatten().filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Some(Duration::from_nanos(nanos.sum()))
    }

    /// `None` while it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error with the end of its log, if it has ended.
    pub fn check(&mut self) -> Outcome<()> {
        match self.exited() {
            None => Ok(()),
            Some(status) => Err(self.died(status)),
        }
    }

    pub fn died(&self, status: ExitStatus) -> Trouble {
        Trouble::Died {
            name: self.name.clone(),
            status: status.to_string(),
            log: self.log.clone(),
            tail: tail(&self.log),
        }
    }

    /// To the child and all that it started.
    pub fn signal(&self, signal: Signal) {
        // The group may be gone already, which is what most signals here are for.
        let _ = killpg(self.raw_pid(), signal);
    }

    /// To the child alone, which then ends what it started itself.
    pub fn signal_alone(&self, signal: Signal) {
        let _ = kill(self.raw_pid(), signal);
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Asks it to end and waits; kills it when it does not end within `patience`.
    pub fn stop(&mut self, signal: Signal, patience: Duration) -> Option<ExitStatus> {
        if let Some(status) = self.exited() {
            return Some(status);
        }
        self.signal_alone(signal);
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.exited() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        None
    }

    /// Ends it and all that it started, on the spot.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Signal::SIGTERM, DROP_PATIENCE);
    }
}

/// The most memory that a running process ever had.
pub fn peak_memory_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let Ok(bytes) = std::fs::read(log) else {
        return "(no log)".to_owned();
    };
    let start = bytes.len().saturating_sub(TAIL_BYTES);
    let text = String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned();
    match start {
        0 => text,
        _ => text
            .split_once('\n')
            .map_or(text.clone(), |(_, rest)| format!("…\n{rest}")),
    }
}
