//! What can go wrong while a stack is started, run and stopped, told to the person at the terminal.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub type Outcome<T> = Result<T, Trouble>;

/// Shown to people in both forms: a test that fails by `unwrap` prints the `Debug` one.
#[derive(thiserror::Error)]
pub enum Trouble {
    #[error("{what}: {error}")]
    Io { what: String, error: std::io::Error },

    #[error("{path} is missing; {remedy}", path = path.display())]
    Missing { path: PathBuf, remedy: &'static str },

    #[error(
        "port {port} of {host} is in use, so the {part} cannot listen there; set {variable} to a \
         free port or stop what uses it", host = address.ip(), port = address.port()
    )]
    PortBusy {
        address: SocketAddr,
        part: &'static str,
        variable: &'static str,
    },

    #[error("the {variable} variable holds {got:?}, which is not {wanted}")]
    Variable {
        variable: &'static str,
        got: String,
        wanted: &'static str,
    },

    #[error("{name} ended unexpectedly ({status}). The end of {log}:\n{tail}", log = log.display())]
    Died {
        name: String,
        status: String,
        log: PathBuf,
        tail: String,
    },

    #[error("waited {seconds} s for {what}; last seen: {last}")]
    TimedOut {
        what: String,
        seconds: u64,
        last: String,
    },

    #[error("stopped before it was up")]
    Cancelled,

    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        command: String,
        status: String,
        stderr: String,
    },

    #[error("{path} is not as expected: {problem}", path = path.display())]
    Content { path: PathBuf, problem: String },

    #[error("{method} {path} answered {status}: {body}")]
    Answer {
        method: String,
        path: String,
        status: u16,
        body: String,
    },
}

impl Trouble {
    /// For `map_err`: says what was being done when the system refused.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }

    pub fn content(path: &Path, problem: impl ToString) -> Self {
        Self::Content {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
