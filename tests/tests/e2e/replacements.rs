//! A running edge gets another configuration, other code or another environment, under load: no
//! request fails and every event arrives.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use kraiter_tests::collector::{Collector, Keep};
use kraiter_tests::envoy::Envoy;
use kraiter_tests::forge::Forge;
use kraiter_tests::http_server::Reaction;
use kraiter_tests::{artifacts, wait};
use serde_json::{Value, json};

use crate::edge_alone::{LOG_MARK, events_in, keep_opening, lines_of, options, token_in, tokens};
use crate::filter_settings::{listener_in_a_file, put};

/// An edge whose listener, with the filter in it, can be exchanged while it runs.
struct Changing {
    envoy: Envoy,
    collector: Collector,
    forge: Forge,
    file: PathBuf,
    listener: Value,
    version: u32,
}

impl Changing {
    fn start(name: &str) -> Self {
        let collector = Collector::start(Keep::Lines).unwrap();
        let forge = Forge::new([0xED; 32], 7).unwrap();
        let mut options = options(name, &collector, &forge, |config| {
            config.set("batch", json!({"max_age_ms": 100}))
        });
        let (file, listener) = listener_in_a_file(&mut options);
        put(&file, "1", &listener);
        Self {
            envoy: Envoy::start(options).unwrap(),
            collector,
            forge,
            file,
            listener,
            version: 1,
        }
    }

    /// Hands Envoy the listener with the plugin changed, and waits until it serves it.
    fn change(&mut self, edit: impl FnOnce(&mut Value)) {
        let filters = "/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";
        edit(self.listener.pointer_mut(filters).unwrap());
        self.version += 1;
        put(&self.file, &self.version.to_string(), &self.listener);
        let taken = u64::from(self.version);
        wait::until("the new listener", || {
            let text = self.envoy.prometheus().unwrap();
            let count = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name));
                line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            };
            let success = count("envoy_listener_manager_lds_update_success");
            let draining = count("envoy_listener_manager_total_listeners_draining");
            match (success, draining) {
                (Some(success), Some(0)) if success >= taken => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .unwrap();
    }

    /// Waits until the edge has taken some more events.
    fn more_load(&self) {
        let accepted = || {
            let labels = [("result", "accepted")];
            self.envoy.metric("kraiter_events", &labels).unwrap()
        };
        let before = accepted();
        wait::until("more load", || match accepted() {
            seen if seen > before + 200 => Ok(()),
            seen => Err(format!("{before}, then {seen}")),
        })
        .unwrap();
    }

    /// Changes the plugin under load while the collector refuses everything, so that there is
    /// something to lose; then every answered request has to arrive. Gives the log's events.
    fn changed_under_load(mut self, edit: impl FnOnce(&mut Value)) -> Vec<Value> {
        self.collector
            .next_reactions(vec![Reaction::Close; 100_000]);
        let stop = AtomicBool::new(false);
        let (address, stop) = (self.envoy.edge(), &stop);
        let forge = Forge::new([0xED; 32], 7).unwrap();
        let answered: Vec<String> = std::thread::scope(|scope| {
            let opening: Vec<_> = ["a", "b"]
                .into_iter()
                .map(|name| {
                    let forge = &forge;
                    scope.spawn(move || keep_opening(address, forge, name, stop))
                })
                .collect();
            self.more_load();
            self.change(edit);
            self.more_load();
            stop.store(true, Ordering::Relaxed);
            let answered = opening.into_iter().flat_map(|it| it.join().unwrap());
            answered.map(|(token, _)| token).collect()
        });
        self.collector.accept_from_now_on();
        wait::until("every event to arrive", || {
            let batches = self.collector.batches();
            let accepted = batches.iter().filter(|batch| batch.accepted);
            let lines: Vec<Value> = accepted.flat_map(lines_of).collect();
            let arrived = tokens(&lines);
            match answered.iter().filter(|it| !arrived.contains(*it)).count() {
                0 => Ok(()),
                missing => Err(format!("{missing} of {} missing", answered.len())),
            }
        })
        .unwrap();
        let spilled = events_in(self.envoy.log(), LOG_MARK);
        let folder = self.envoy.log().parent().unwrap().to_owned();
        drop(self);
        std::fs::remove_dir_all(folder).unwrap();
        spilled
    }
}

#[test]
fn another_plugin_configuration_takes_over_what_the_old_one_had() {
    let spilled = Changing::start("new-settings").changed_under_load(|plugin| {
        let text = plugin["configuration"]["value"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut settings: Value = serde_json::from_str(&text).unwrap();
        settings["fallback_url"] = json!("https://shop.example/sorry");
        plugin["configuration"]["value"] = json!(settings.to_string());
    });
    assert_eq!(spilled.len(), 0);
}

#[test]
fn another_environment_makes_a_new_vm_that_takes_over_what_the_old_one_had() {
    let spilled = Changing::start("new-environment").changed_under_load(|plugin| {
        plugin["vm_config"]["environment_variables"]["key_values"] = json!({"RELEASE": "2"});
    });
    assert_eq!(spilled.len(), 0);
}

/// Code of the same version, as a rebuilt filter is: its VM cannot know that it is being replaced,
/// so its events are in the log as well.
#[test]
fn other_code_makes_a_new_vm_that_takes_over_what_the_old_one_had() {
    let changing = Changing::start("new-code");
    // An empty custom section of the name `x` changes the file and nothing else.
    let mut code = std::fs::read(artifacts::filter().unwrap()).unwrap();
    code.extend([0, 2, 1, b'x']);
    let file = changing.file.with_file_name("other.wasm");
    std::fs::write(&file, code).unwrap();
    changing.changed_under_load(|plugin| {
        plugin["vm_config"]["code"]["local"]["filename"] = json!(file);
    });
}

/// The operator's page: add the key everywhere, sign with it, retire the old one; edges learn of it
/// by plugin configuration alone.
#[test]
fn keys_rotate_under_load_without_a_failed_request() {
    let mut edge = Changing::start("live-rotation");
    let new = Forge::with_key(2, [0xEE; 32], 7).unwrap();
    let rings = {
        let (old, new) = (edge.forge.keyring(), new.keyring());
        [old.clone(), format!("{old},{new}"), new]
    };
    let set = |ring: String| {
        move |plugin: &mut Value| {
            let text = plugin["configuration"]["value"]
                .as_str()
                .unwrap()
                .to_owned();
            let mut settings: Value = serde_json::from_str(&text).unwrap();
            settings["keyring"] = json!(ring);
            plugin["configuration"]["value"] = json!(settings.to_string());
        }
    };
    let address = edge.envoy.edge();
    let signed_before = Forge::new([0xED; 32], 7).unwrap();
    let (stop_old, stop_new) = (AtomicBool::new(false), AtomicBool::new(false));
    let answered: Vec<String> = std::thread::scope(|scope| {
        let old_mail = scope.spawn(|| keep_opening(address, &signed_before, "old", &stop_old));
        let [first, both, last] = rings.map(set);
        edge.change(first);
        edge.change(both);
        let new_mail = scope.spawn(|| keep_opening(address, &new, "new", &stop_new));
        let click = signed_before
            .click("snd-1", "https://shop.example/")
            .unwrap();
        assert_eq!(edge.envoy.get(&click).unwrap().status, 302);
        // Old mail is no longer expected to work from here on.
        stop_old.store(true, Ordering::Relaxed);
        let mut answered = old_mail.join().unwrap();
        edge.change(last);
        assert_eq!(edge.envoy.get(&click).unwrap().status, 404);
        let click = new.click("snd-1", "https://shop.example/").unwrap();
        assert_eq!(edge.envoy.get(&click).unwrap().status, 302);
        stop_new.store(true, Ordering::Relaxed);
        answered.extend(new_mail.join().unwrap());
        answered.push((token_in(&click), std::time::Instant::now()));
        answered.into_iter().map(|(token, _)| token).collect()
    });
    wait::until("every event to arrive", || {
        let batches = edge.collector.batches();
        let lines: Vec<Value> = batches.iter().flat_map(lines_of).collect();
        let arrived = tokens(&lines);
        match answered.iter().filter(|it| !arrived.contains(*it)).count() {
            0 => Ok(()),
            missing => Err(format!("{missing} of {} missing", answered.len())),
        }
    })
    .unwrap();
    let invalid = [("reason", "signature")];
    assert_eq!(
        edge.envoy
            .metric("kraiter_invalid_tokens", &invalid)
            .unwrap(),
        0
    );
    let folder = edge.envoy.log().parent().unwrap().to_owned();
    drop(edge);
    std::fs::remove_dir_all(folder).unwrap();
}
