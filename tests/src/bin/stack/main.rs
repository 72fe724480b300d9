//! `make run`: a whole stack for trying things out, with a tenant and a key to use it. `make demo`:
//! the same with a campaign played through it.

mod commands;
mod demo;
mod dev_env;
mod tenant;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use kraiter_tests::api::Api;
use kraiter_tests::config::{API_PORT, EDGE_PORT, RunConfig};
use kraiter_tests::stack::{Stack, StackOptions};
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_tests::wait;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How often it is looked whether everything still runs.
const WATCH: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    match run() {
        Ok(()) | Err(Trouble::Cancelled) => {
            say("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("make run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(what: &str) {
    println!("==> {what}");
}

fn run() -> Outcome<()> {
    let config = RunConfig::read()?;
    let with_demo = std::env::args().nth(1).as_deref() == Some("demo");
    let stop = stop_signals()?;
    let api = free(config.api_port, "backend", API_PORT)?;
    let edge = free(config.edge_port, "edge", EDGE_PORT)?;
    std::fs::create_dir_all(&config.data_dir)
        .and_then(|()| config.data_dir.canonicalize())
        .map_err(Trouble::io(format!("making {}", config.data_dir.display())))
        .and_then(|data_dir| keep_running(&data_dir, api, edge, with_demo, &stop))
}

/// Starts everything and returns when it is told to stop, or with what went wrong.
fn keep_running(
    data_dir: &Path,
    api: SocketAddr,
    edge: SocketAddr,
    with_demo: bool,
    stop: &Receiver<()>,
) -> Outcome<()> {
    let _alone = dev_env::only_stack_of(data_dir)?;
    dev_env::remove_stale(data_dir)?;
    let mut options = StackOptions::in_folder(data_dir.join("run"));
    options.data_dir = data_dir.to_owned();
    options.api = api;
    options.edge = edge;
    options.progress = say;
    let mut stack = Stack::start(options)?;
    say("preparing the development tenant");
    let access = tenant::ready(&stack)?;
    edge_answers(&stack)?;
    let dev_env = dev_env::DevEnv::write(data_dir, &stack, &access)?;
    if with_demo {
        say("playing a campaign");
        demo::play(&stack, &access)?;
    }
    introduce(&stack, &access, dev_env.path());
    let outcome = watch(&mut stack, stop);
    drop(dev_env);
    say("stopping Envoy, then the backend and Postgres");
    stack.stop();
    outcome
}

/// A pixel that nothing signed is answered all the same: the filter is loaded and serves.
fn edge_answers(stack: &Stack) -> Outcome<()> {
    wait::until("the edge to answer", || {
        match stack.envoy.get("/o/none.gif") {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(format!("status {}", answer.status)),
            Err(error) => Err(error.to_string()),
        }
    })
}

fn watch(stack: &mut Stack, stop: &Receiver<()>) -> Outcome<()> {
    loop {
        match stop.recv_timeout(WATCH) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                stack.backend.process().check()?;
                stack.envoy.process().check()?;
            }
        }
    }
}

/// Signals this close together are one request: make passes a SIGTERM on that the whole group got.
const SAME_REQUEST: Duration = Duration::from_secs(2);

/// Gives a message for Ctrl-C, SIGTERM or a closed terminal. Handlers of its own, so that it stops
/// on SIGINT even when it was started with SIGINT ignored, as shells start background jobs.
fn stop_signals() -> Outcome<Receiver<()>> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(Trouble::io("watching for signals"))?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut first = None;
        for _ in signals.forever() {
            match first {
                None => {
                    first = Some(Instant::now());
                    wait::cancel();
                    if send.send(()).is_err() {
                        return;
                    }
                }
                Some(asked) if asked.elapsed() < SAME_REQUEST => {}
                // Asked again: the system ends the children when this process is gone.
                Some(_) => std::process::exit(1),
            }
        }
    });
    Ok(receive)
}

/// Nothing is started when a port is taken. (Someone may still take it in between; then the part
/// itself says so.)
fn free(port: u16, part: &'static str, variable: &'static str) -> Outcome<SocketAddr> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(Trouble::PortBusy {
            address,
            part,
            variable,
        }),
        Err(error) => Err(Trouble::io(format!("listening on {address}"))(error)),
    }
}

fn introduce(stack: &Stack, access: &Api, dev_env: &Path) {
    say("running; Ctrl-C stops it");
    println!();
    println!("  API      http://{}", access.address);
    println!("  edge     {}", stack.edge_origin());
    println!(
        "  Envoy    http://{} (counters, log levels)",
        stack.envoy.admin()
    );
    println!("  logs     {}", stack.folder().display());
    println!(
        "  access   {} (for scripts: API, edge, key)",
        dev_env.display()
    );
    println!();
    println!("Try it, from any shell on this machine:");
    for (title, command) in commands::to_try(dev_env) {
        println!();
        println!("# {title}");
        println!("{command}");
    }
    println!();
}
