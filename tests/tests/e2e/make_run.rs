//! What `make run` starts: the stack's own program, its file for scripts, the commands it prints, and
//! how it ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use kraiter_tests::api::Api;
use kraiter_tests::stack::test_folder;
use kraiter_tests::wait;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A running `stack` in a process group of its own, as a terminal would start it.
struct Run {
    child: Child,
    data_dir: PathBuf,
    output: PathBuf,
    api_port: u16,
    edge_port: u16,
}

/// Ports that were free a moment ago; held together, so that they differ.
fn free_ports() -> [u16; 2] {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let held = [bind(), bind()];
    held.map(|listener| listener.local_addr().unwrap().port())
}

impl Run {
    fn start(folder: &Path, [api_port, edge_port]: [u16; 2]) -> Self {
        Self::start_by(
            &["env", env!("CARGO_BIN_EXE_stack")],
            folder,
            [api_port, edge_port],
        )
    }

    fn start_by(command: &[&str], folder: &Path, [api_port, edge_port]: [u16; 2]) -> Self {
        let output = folder.join("output");
        let file = std::fs::File::create(&output).unwrap();
        let data_dir = folder.join("data of the stack's");
        let child = Command::new(command[0])
            .args(&command[1..])
            .env("KRAITER_API_PORT", api_port.to_string())
            .env("KRAITER_EDGE_PORT", edge_port.to_string())
            .env("KRAITER_DATA_DIR", &data_dir)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            child,
            data_dir,
            output,
            api_port,
            edge_port,
        }
    }

    /// Waits for its first sign of life; what a killed stack left is cleared by then.
    fn started(&self) {
        wait::until("the first sign of life", || match self.text() {
            text if text.contains("starting") => Ok(()),
            text => Err(text),
        })
        .unwrap();
    }

    /// Waits for the file that says that the stack answers, and reads it.
    fn up(&mut self) -> Api {
        let file = self.data_dir.join("dev.env");
        let text = wait::until("dev.env", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the stack ended ({status}): {}", self.text());
            }
            std::fs::read_to_string(&file).map_err(|error| format!("{error}: {}", self.text()))
        })
        .unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let lines: Vec<&str> = text.lines().collect();
        let key = lines[2]
            .strip_prefix("KRAITER_API_KEY=")
            .unwrap()
            .to_owned();
        let api = format!("KRAITER_API=http://127.0.0.1:{}", self.api_port);
        let edge = format!("KRAITER_EDGE=http://127.0.0.1:{}", self.edge_port);
        assert_eq!(lines, [api, edge, format!("KRAITER_API_KEY={key}")]);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.api_port));
        Api { address, key }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The commands that were printed, once all are there.
    fn printed_commands(&self) -> Vec<String> {
        wait::until("three printed commands", || {
            let text = self.text();
            let commands: Vec<_> = text.lines().filter(|line| line.starts_with(". ")).collect();
            match (commands.len(), text.ends_with("\n\n")) {
                (3, true) => Ok(commands.into_iter().map(str::to_owned).collect()),
                _ => Err(text),
            }
        })
        .unwrap()
    }

    fn ended(&mut self) -> ExitStatus {
        wait::until("the stack to end", || {
            match self.child.try_wait().unwrap() {
                Some(status) => Ok(status),
                None => Err(self.text()),
            }
        })
        .unwrap()
    }

    /// All that the stack's folder and ports must show once it has ended.
    fn leaves_nothing(&self) {
        assert!(!self.data_dir.join("dev.env").exists());
        for port in [self.api_port, self.edge_port] {
            assert!(
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(),
                "{port} is open"
            );
        }
        let parent = format!(" {} ", self.child.id());
        let children = processes_that(|line| line.ends_with(&parent));
        assert_eq!(children, [0; 0]);
        // Its Postgres is nobody's child by now, if it were still there.
        let folder = self.data_dir.display().to_string();
        let servers: Vec<i32> = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| {
                let line = std::fs::read_to_string(entry.path().join("cmdline"));
                line.is_ok_and(|line| line.contains(&folder) && !line.starts_with("sh\0"))
            })
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        assert_eq!(servers, [0; 0]);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Processes by their line in /proc: `pid (name) state parent …`.
fn processes_that(wanted: impl Fn(&str) -> bool) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let of = |path: PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        let (head, rest) = stat.split_once(')')?;
        // Name, state and parent.
        let shown: Vec<&str> = rest.split(' ').take(3).collect();
        let line = format!("{} {} ", head.split_once('(')?.1, shown[2]);
        wanted(&line)
            .then(|| head.split(' ').next()?.parse().ok())
            .flatten()
    };
    entries.filter_map(|entry| of(entry.path())).collect()
}

fn in_a_shell(command: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir("/")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_printed_commands_do_what_they_say_and_sigint_to_the_group_ends_all() {
    let folder = test_folder("make-run").unwrap();
    let mut run = Run::start(&folder, free_ports());
    run.up();
    let [rewrite, pixel, contact] = run.printed_commands().try_into().unwrap();
    let mail: Value = serde_json::from_str(&in_a_shell(&rewrite)).unwrap();
    let html = mail["html"].as_str().unwrap();
    let origin = format!("http://127.0.0.1:{}", run.edge_port);
    assert!(html.contains(&format!("{origin}/c/")), "{html}");
    assert_eq!(in_a_shell(&pixel), "200 image/gif\n");
    let contact: Value = serde_json::from_str(&in_a_shell(&contact)).unwrap();
    assert_eq!(contact["email"], "ada@example.com");
    assert_eq!(contact["emailsSentCount"], 1);
    assert_eq!(contact["emailsOpenedCount"], 1);

    killpg(run.pid(), Signal::SIGINT).unwrap();
    assert!(run.ended().success(), "{}", run.text());
    run.leaves_nothing();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_later_start_keeps_data_and_key_and_follows_a_changed_port() {
    let folder = test_folder("make-run-again").unwrap();
    let mut first = Run::start(&folder, free_ports());
    let api = first.up();
    let body = json!({"sendId": "s-1", "contact": "bob@example.com", "html": "<p>x</p>"});
    let mail = api.write("POST", "/rewrite", &body).unwrap();
    assert!(
        mail["html"]
            .as_str()
            .unwrap()
            .contains(&format!(":{}/o/", first.edge_port))
    );
    killpg(first.pid(), Signal::SIGTERM).unwrap();
    assert!(first.ended().success(), "{}", first.text());
    first.leaves_nothing();

    let mut second = Run::start(&folder, free_ports());
    let again = second.up();
    assert_eq!(again.key, api.key);
    assert_eq!(
        again.contact("bob@example.com").unwrap()["emailsSentCount"],
        1
    );
    let body = json!({"sendId": "s-2", "contact": "bob@example.com", "html": "<p>x</p>"});
    let mail = again.write("POST", "/rewrite", &body).unwrap();
    assert!(
        mail["html"]
            .as_str()
            .unwrap()
            .contains(&format!(":{}/o/", second.edge_port))
    );
    killpg(second.pid(), Signal::SIGTERM).unwrap();
    // As make does, which got the signal as well and passes it on.
    killpg(second.pid(), Signal::SIGTERM).unwrap();
    assert!(second.ended().success(), "{}", second.text());
    second.leaves_nothing();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// As a shell without job control starts what it puts into the background.
#[test]
fn started_with_sigint_ignored_it_still_ends_on_sigint() {
    let folder = test_folder("make-run-ignored").unwrap();
    let command = [
        "sh",
        "-c",
        "trap '' INT; exec \"$0\"",
        env!("CARGO_BIN_EXE_stack"),
    ];
    let mut run = Run::start_by(&command, &folder, free_ports());
    run.up();
    kill(run.pid(), Signal::SIGINT).unwrap();
    assert!(run.ended().success(), "{}", run.text());
    run.leaves_nothing();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_signal_while_it_starts_ends_it_as_well() {
    let folder = test_folder("make-run-early").unwrap();
    let mut run = Run::start(&folder, free_ports());
    run.started();
    killpg(run.pid(), Signal::SIGTERM).unwrap();
    assert!(run.ended().success(), "{}", run.text());
    run.leaves_nothing();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_port_in_use_is_named_with_the_variable_that_moves_it() {
    let folder = test_folder("make-run-busy").unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let [free, _] = free_ports();
    for (ports, variable) in [
        ([port, free], "KRAITER_API_PORT"),
        ([free, port], "KRAITER_EDGE_PORT"),
    ] {
        let mut run = Run::start(&folder, ports);
        assert!(!run.ended().success());
        let text = run.text();
        assert!(
            text.contains(&port.to_string()) && text.contains(variable),
            "{text}"
        );
    }
    let mut run = Run::start_by(
        &[
            "env",
            "KRAITER_DATA_DIR=x",
            "KRAITER_EDGE_PORT=http",
            env!("CARGO_BIN_EXE_stack"),
        ],
        &folder,
        [free, free],
    );
    assert!(!run.ended().success());
    let text = run.text();
    assert!(
        text.contains("KRAITER_EDGE_PORT") && text.contains("\"http\""),
        "{text}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_second_stack_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let folder = test_folder("make-run-twice").unwrap();
    let other_output = test_folder("make-run-twice-second").unwrap();
    let mut first = Run::start(&folder, free_ports());
    let api = first.up();
    let data_dir = format!("KRAITER_DATA_DIR={}", first.data_dir.display());
    let command = ["env", data_dir.as_str(), env!("CARGO_BIN_EXE_stack")];
    let mut second = Run::start_by(&command, &other_output, free_ports());
    assert!(!second.ended().success());
    assert!(
        second.text().contains("KRAITER_DATA_DIR"),
        "{}",
        second.text()
    );
    assert_eq!(first.up().key, api.key);
    assert_eq!(api.get("/settings").unwrap().status, 200);
    killpg(first.pid(), Signal::SIGINT).unwrap();
    assert!(first.ended().success(), "{}", first.text());
    for folder in [folder, other_output] {
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_child_that_dies_is_named_with_its_log_and_the_rest_is_stopped() {
    let folder = test_folder("make-run-died").unwrap();
    let mut run = Run::start(&folder, free_ports());
    run.up();
    let parent = run.child.id();
    let envoys = processes_that(|line| line == format!("envoy {parent} "));
    assert_eq!(envoys.len(), 1, "one Envoy below {parent}");
    kill(Pid::from_raw(envoys[0]), Signal::SIGKILL).unwrap();
    assert!(!run.ended().success());
    let text = run.text();
    assert!(
        text.contains("Envoy ended unexpectedly") && text.contains("envoy.log"),
        "{text}"
    );
    run.leaves_nothing();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Killed on the spot it can stop nothing itself; the system does.
#[test]
fn a_killed_stack_leaves_no_process_behind() {
    let folder = test_folder("make-run-killed").unwrap();
    let mut run = Run::start(&folder, free_ports());
    run.up();
    kill(run.pid(), Signal::SIGKILL).unwrap();
    run.ended();
    let ports = [run.api_port, run.edge_port];
    wait::until("its processes to be gone", || {
        let open: Vec<u16> = ports
            .into_iter()
            .filter(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
            .collect();
        if open.is_empty() {
            Ok(())
        } else {
            Err(format!("{open:?} are open"))
        }
    })
    .unwrap();
    // The next start takes over what the killed one left.
    let mut next = Run::start(&folder, free_ports());
    next.started();
    next.up();
    killpg(next.pid(), Signal::SIGINT).unwrap();
    assert!(next.ended().success(), "{}", next.text());
    next.leaves_nothing();
    std::fs::remove_dir_all(&folder).unwrap();
}
