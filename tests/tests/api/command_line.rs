//! What all commands have in common: help, exit codes, fields of answers, completions, progress.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kraiter_tests::artifacts;
use kraiter_tests::database;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use serde_json::Value;

use crate::service::{Service, register, rewrite};

/// The program, with nothing set in its environment but what the test sets.
fn kraiter(args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(artifacts::kraiter().unwrap())
        .args(args)
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (answer, errors) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), answer, errors)
}

fn exit_code(service: &Service, args: &[&str]) -> Option<i32> {
    let output = service.backend.prepared(args).unwrap().output().unwrap();
    output.status.code()
}

/// Names of the commands that help lists.
fn commands() -> Vec<String> {
    let (_, help, _) = told(&kraiter(&["--help"], &[]));
    let list = help.split("Commands:\n").nth(1).unwrap();
    let list = list.split("\n\n").next().unwrap();
    let names = list.lines().filter(|line| !line.starts_with("   "));
    let names = names.map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.collect()
}

#[test]
fn without_a_command_help_is_shown_whatever_the_environment_says() {
    for env in [&[][..], &[("KRAITER_DATA_DIR", "/nowhere")]] {
        for args in [&[][..], &["tenant"], &["keyring", "--json"]] {
            let (code, answer, errors) = told(&kraiter(args, env));
            assert_eq!((code, answer.as_str()), (Some(2), ""), "{args:?}");
            let usage = format!("Usage: kraiter {}", args.first().unwrap_or(&"[OPTIONS]"));
            assert!(errors.contains(&usage), "{args:?} {env:?}: {errors}");
            assert!(errors.contains("Commands:"), "{args:?} {env:?}: {errors}");
        }
    }
}

#[test]
fn help_lists_commands_settings_and_exit_codes_on_standard_output() {
    let (code, help, errors) = told(&kraiter(&["--help"], &[]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let places = [
        "Commands:",
        "Global options:",
        "Exit codes:",
        "  3  done, and found",
    ]
    .map(|part| help.find(part).unwrap_or_else(|| panic!("{part}: {help}")));
    assert!(places.is_sorted(), "{help}");
    assert!(commands().len() >= 12, "{help}");
    let (code, same, _) = told(&kraiter(&["help", "tenant", "create"], &[]));
    let (_, help, _) = told(&kraiter(&["tenant", "create", "--help"], &[]));
    assert_eq!((code, &same), (Some(0), &help));
    assert!(help.contains("--tracking-origin <ORIGIN>"), "{help}");
}

#[test]
fn what_is_misspelt_is_named_with_what_was_probably_meant() {
    for (args, wrong, meant) in [
        (&["tenan", "list"][..], "'tenan'", "'tenant'"),
        (&["tenant", "lst"], "'lst'", "'list'"),
        (&["verify", "--tennant", "a"], "'--tennant'", "'--tenant'"),
        (
            &["serve", "--data-dri", "a"],
            "'--data-dri'",
            "'--data-dir'",
        ),
        (&["completions", "bsh"], "'bsh'", "'bash'"),
    ] {
        let (code, answer, errors) = told(&kraiter(args, &[]));
        assert_eq!((code, answer.as_str()), (Some(2), ""), "{args:?}");
        let first = errors.lines().next().unwrap();
        assert!(
            first.starts_with("error: ") && first.contains(wrong),
            "{errors}"
        );
        assert!(
            errors.contains("tip: ") && errors.contains(meant),
            "{errors}"
        );
    }
}

#[test]
fn exit_codes_tell_failures_wrong_usage_and_findings_apart() {
    let url = database::fresh().unwrap();
    let service = Service::on("cli-exit", &url);
    let api = service.tenant("shop");
    register(&api, "snd-1", "ada@example.com");
    assert_eq!(exit_code(&service, &["tenant", "list"]), Some(0));
    assert_eq!(exit_code(&service, &["verify"]), Some(0));
    assert_eq!(exit_code(&service, &["verify", "--tenant", "x"]), Some(1));
    assert_eq!(exit_code(&service, &["verify", "--tenent"]), Some(2));
    assert_eq!(
        exit_code(&service, &["tenant", "list", "--log", "a=b=c"]),
        Some(2)
    );
    let (code, _, errors) = told(&kraiter(
        &["tenant", "list"],
        &[("DATABASE_URL", "mysql://h")],
    ));
    assert_eq!(code, Some(2), "{errors}");
    let plant = "update contacts set emails_sent_count = 9";
    database::execute(&url, plant).unwrap();
    for args in [&["verify"][..], &["verify", "--json"]] {
        assert_eq!(exit_code(&service, args), Some(3));
    }
}

#[test]
fn a_failure_is_a_line_that_says_what_is_wrong_and_one_that_says_what_to_do() {
    let service = Service::start("cli-failures");
    service.tenant("shop");
    let nobody = "postgres://u:hunter2@127.0.0.1:1/d";
    let folder = service.backend.data_dir().join("a-file");
    fs::write(&folder, "").unwrap();
    let folder = folder.to_str().unwrap();
    for (args, wrong, tip) in [
        (
            &["tenant", "list", "--database-url", nobody][..],
            "no connection",
            "DATABASE_URL",
        ),
        (
            &["verify", "--tenant", "no one"],
            "\"no one\"",
            "kraiter tenant list",
        ),
        (
            &["block", "host", "a.example", "--remove"],
            "a.example",
            "kraiter block list",
        ),
        (&["keyring", "retire", "1"], "key 1", "kraiter keyring sign"),
        (&["keyring", "sign", "7"], "key 7", "kraiter keyring show"),
        (
            &["keyring", "show", "--keyring-file", "/proc/none/k"],
            "/proc/none",
            "KRAITER_KEYRING_FILE",
        ),
        (&["reclassify", "--rules-dir", folder], folder, ""),
        (&["reclassify", "--since", "monday"], "'monday'", "--help"),
        (&["tenant", "list", "--log", "a=b=c"], "'a=b=c'", "--help"),
        (&["replay", "/no/such/file"], "/no/such/file", ""),
    ] {
        let output = service.backend.prepared(args).unwrap().output().unwrap();
        let (code, answer, errors) = told(&output);
        // A replay tells what it did until then.
        let silent = answer.is_empty() || args[0] == "replay";
        assert!(
            silent && code.is_some_and(|code| code > 0),
            "{args:?}: {answer}"
        );
        let (first, rest) = errors.split_once('\n').unwrap();
        assert!(first.starts_with("error: "), "{args:?}: {errors}");
        assert!(
            errors.contains(wrong) && rest.contains(tip),
            "{args:?}: {errors}"
        );
        let causes = errors.matches("os error").count();
        assert!(causes <= 1, "{args:?}: a cause is told twice: {errors}");
        for leak in ["hunter2", "Error(", "Os {", "Some(", "panicked", " { "] {
            assert!(!errors.contains(leak), "{args:?}: {errors}");
        }
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    let first = value.get(0).unwrap_or(value);
    let fields = first.as_object().unwrap_or_else(|| panic!("{value}"));
    fields.keys().map(String::as_str).collect()
}

#[test]
fn answers_for_programs_have_the_fields_that_the_document_names() {
    let url = database::fresh().unwrap();
    let service = Service::on("cli-fields", &url);
    let (backend, api) = (&service.backend, service.tenant("shop"));
    rewrite(&api, "snd-1", "ada@example.com");
    let journal = service.backend.data_dir().join("journal.ndjson");
    fs::write(&journal, "no event\n").unwrap();
    let listed = backend.json(&["api-key", "list", "--tenant", "shop", "--json"]);
    let key = listed.unwrap()[0]["id"].as_str().unwrap().to_owned();
    let to = format!("http://{}", backend.address());
    let origin = "https://t.example";
    let document = artifacts::project_root().join("docs/commands.md");
    let document = fs::read_to_string(document).unwrap();
    let mut rows: Vec<(&str, BTreeSet<&str>)> = Vec::new();
    for line in document
        .lines()
        .filter(|line| line.starts_with("| `kraiter "))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').strip_prefix("kraiter ").unwrap();
        rows.push((name, cells[3].split('`').skip(1).step_by(2).collect()));
    }
    let answers: &[(&str, &[&str])] = &[
        ("migrate", &[]),
        ("tenant create", &["acme", "--tracking-origin", origin]),
        ("tenant list", &[]),
        ("api-key create", &["--tenant", "shop", "--scopes", "read"]),
        ("api-key list", &["--tenant", "shop"]),
        ("api-key revoke", &["--tenant", "shop", &key]),
        ("block tenant", &["acme"]),
        ("block send", &["--tenant", "shop", "snd-1"]),
        ("block host", &["evil.example"]),
        ("block list", &[]),
        ("replay", &[journal.to_str().unwrap(), "--to", &to]),
        ("verify", &[]),
        ("reclassify", &[]),
        ("retention", &[]),
        ("keyring show", &[]),
        ("keyring add", &[]),
        ("keyring sign", &["2"]),
        ("keyring retire", &["1"]),
    ];
    for (name, more) in answers {
        let args: Vec<&str> = name.split(' ').chain(more.iter().copied()).collect();
        let answer = backend.says(&[&args[..], &["--json"]].concat()).unwrap();
        let row = rows.iter().find(|row| row.0 == *name);
        let (_, fields) = row.unwrap_or_else(|| panic!("docs/commands.md lacks {name}"));
        assert_eq!(&keys(&answer), fields, "{name}: {answer}");
    }
    let answered: BTreeSet<&str> = answers.iter().map(|(name, _)| *name).collect();
    let without: BTreeSet<&str> = ["serve", "openapi", "completions"].into();
    let named: BTreeSet<&str> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, &answered | &without, "docs/commands.md");
    let groups: BTreeSet<&str> = named
        .iter()
        .filter_map(|name| name.split(' ').next())
        .collect();
    let all: BTreeSet<String> = commands()
        .into_iter()
        .filter(|name| name != "help")
        .collect();
    let all: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(groups, all);
}

#[test]
fn lists_are_tables_whose_columns_stand_below_each_other() {
    let service = Service::start("cli-tables");
    for name in ["shop", "a-shop-with-a-long-name", "x"] {
        service.tenant(name);
    }
    let reason = ["--reason", "ein Grund für Łódź"];
    for host in ["evil.example", "a-much-longer-name.evil.example"] {
        let args = ["block", "host", host, reason[0], reason[1]];
        service.backend.command(&args).unwrap();
    }
    service.backend.command(&["keyring", "add"]).unwrap();
    for (args, header, rows) in [
        (&["tenant", "list"][..], "TRACKING ORIGIN", 3),
        (&["api-key", "list", "--tenant", "shop"], "SCOPES", 1),
        (&["block", "list"], "REASON", 2),
        (&["keyring", "show"], "CREATED", 2),
        (&["retention", "--dry-run"], "KEPT SINCE", 3),
    ] {
        let table = service.backend.command(args).unwrap();
        let mut lines = table.lines();
        let head = lines.next().unwrap();
        let column = head.find(header).unwrap_or_else(|| panic!("{table}"));
        let lines: Vec<Vec<char>> = lines.map(|line| line.chars().collect()).collect();
        assert_eq!(lines.len(), rows, "{table}");
        for line in lines {
            assert!(line[column - 1] == ' ' && line[column] != ' ', "{table}");
        }
    }
}

/// What bash offers after these words.
fn completed(script: &str, words: &[&str]) -> Vec<String> {
    let ask = format!(
        "{script}\nCOMP_WORDS=({words}); COMP_CWORD={last}\n\
         _kraiter kraiter \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words = words
            .iter()
            .map(|word| format!("'{word}' "))
            .collect::<String>(),
        last = words.len() - 1,
    );
    let output = Command::new("bash").args(["--norc", "-c", &ask]).output();
    let (code, answer, errors) = told(&output.unwrap());
    assert_eq!(code, Some(0), "{errors}");
    answer.lines().map(str::to_owned).collect()
}

#[test]
fn bash_parses_its_completions_and_offers_commands_and_options() {
    let (code, script, errors) = told(&kraiter(&["completions", "bash"], &[]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let mut bash = Command::new("bash");
    let mut bash = bash.arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    let mut input = bash.stdin.take().unwrap();
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    assert!(bash.wait().unwrap().success());
    let offered = completed(&script, &["kraiter", ""]);
    for command in commands() {
        assert!(offered.contains(&command), "{command}: {offered:?}");
    }
    assert_eq!(completed(&script, &["kraiter", "ten"]), ["tenant"]);
    assert_eq!(completed(&script, &["kraiter", "tenant", "cr"]), ["create"]);
    let origin = completed(&script, &["kraiter", "tenant", "create", "--tr"]);
    assert_eq!(origin, ["--tracking-origin"]);
    let global = completed(&script, &["kraiter", "verify", "--da"]);
    assert_eq!(global, ["--database-url", "--data-dir"]);
}

#[test]
fn every_shell_has_completions_that_name_all_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, errors) = told(&kraiter(&["completions", shell], &[]));
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{shell}");
        for command in commands() {
            assert!(script.contains(&command), "{shell} lacks {command}");
        }
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let mut command = Command::new(artifacts::kraiter().unwrap());
    command
        .arg("openapi")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 10]).unwrap();
    drop(output);
    let (code, _, errors) = told(&child.wait_with_output().unwrap());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
}

/// What is drawn on a terminal that is standard error, and the answer.
fn on_a_terminal(mut command: Command) -> (String, String) {
    let size = Winsize {
        ws_row: 24,
        ws_col: 100,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(&size, None).unwrap();
    command.env("TERM", "xterm").stdout(Stdio::piped());
    command.stderr(Stdio::from(terminal.slave));
    let mut child = command.spawn().unwrap();
    // Another test's child may hold the other end, too, so its end is not waited for.
    fcntl(&terminal.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let (mut drawn, mut screen) = (Vec::new(), File::from(terminal.master));
    let mut piece = [0; 4096];
    loop {
        let ended = child.try_wait().unwrap().is_some();
        while let Ok(length @ 1..) = screen.read(&mut piece) {
            drawn.extend_from_slice(&piece[..length]);
        }
        if ended {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let (code, answer, _) = told(&child.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{answer}");
    (String::from_utf8_lossy(&drawn).into_owned(), answer)
}

#[test]
fn a_bar_is_drawn_on_a_terminal_only_and_the_answer_is_the_same() {
    let service = Service::start("cli-progress");
    register(&service.tenant("shop"), "snd-1", "ada@example.com");
    for (args, part) in [
        (&["verify", "--json"][..], "recounting contacts"),
        (&["reclassify", "--json"], "sends"),
    ] {
        let prepared = || service.backend.prepared(args).unwrap();
        let (drawn, answer) = on_a_terminal(prepared());
        assert!(drawn.contains(part), "{args:?}: {drawn:?}");
        let (code, piped, errors) = told(&prepared().output().unwrap());
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(piped, answer);
    }
}
