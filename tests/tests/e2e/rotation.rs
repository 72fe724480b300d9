//! Keys are rotated under load: the edge learns of them by its plugin's configuration alone, and no
//! request fails at any moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kraiter_tests::http::Request;
use kraiter_tests::live_filter::LiveFilter;
use kraiter_tests::stack::StackOptions;
use kraiter_tests::wait;

use crate::outages::Stop;
use crate::rewritten::{Platform, Rewritten};

const HTML: &str = r#"<a href="https://shop.example/x">x</a>"#;
const ADA: &str = "ada@example.com";

/// Opens and clicks that were answered as they should be.
#[derive(Default)]
struct Seen {
    opens: AtomicU64,
    clicks: AtomicU64,
}

impl Seen {
    fn visit(&self, platform: &Platform, mail: &Rewritten) {
        let (click, destination) = mail.links().remove(0);
        assert_eq!(platform.stack.follow(&mail.pixel()).unwrap().status, 200);
        self.opens.fetch_add(1, Ordering::SeqCst);
        let answer = platform.stack.follow(&click).unwrap();
        assert_eq!(answer.status, 302, "{click}");
        assert_eq!(answer.header("location").unwrap(), destination);
        self.clicks.fetch_add(1, Ordering::SeqCst);
    }

    fn counts(&self) -> [u64; 2] {
        [&self.opens, &self.clicks].map(|count| count.load(Ordering::SeqCst))
    }
}

/// A stack whose filter can be configured anew while it runs.
fn with_live_filter(name: &str) -> (Platform, LiveFilter) {
    let installed = Arc::new(Mutex::new(None));
    let options = StackOptions::for_test(name).unwrap();
    let (folder, slot) = (options.folder.clone(), Arc::clone(&installed));
    let options = options.edit(move |config| {
        *slot.lock().unwrap() = Some(LiveFilter::install(config, &folder)?);
        Ok(())
    });
    let platform = Platform::with(options);
    let live = installed.lock().unwrap().take().unwrap();
    (platform, live)
}

/// The key that a mail was signed with: the second byte of each of its tokens.
fn key_of(mail: &Rewritten) -> String {
    let pixel = mail.pixel();
    pixel.rsplit('/').next().unwrap()[1..4].to_owned()
}

/// Gives the edge a keyring by the plugin's configuration and waits until every worker has it.
fn give_keyring(platform: &Platform, live: &mut LiveFilter, keyring: &str) {
    live.update(|config| config.set("keyring", keyring.into()))
        .unwrap();
    let reloads = u64::from(live.versions());
    wait::until("Envoy to take the configuration up", || {
        let stats = platform
            .stack
            .envoy
            .ask_admin("GET", "/stats")
            .unwrap()
            .text();
        let mut lines = stats.lines();
        let line = lines.find(|line| line.contains("kraiter.config_reload:"));
        let seen = line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        match seen {
            Some(seen) if seen >= reloads => Ok(()),
            _ => Err(line.unwrap_or("no such counter").to_owned()),
        }
    })
    .unwrap();
}

/// Waits until a click answers with this status on every worker. HEAD is answered and not recorded.
fn wait_for_status(platform: &Platform, url: &str, status: u16) {
    let path = platform.stack.path_of(url).unwrap();
    wait::until("every worker to know the keys", || {
        for _ in 0..20 {
            let answer = platform
                .stack
                .envoy
                .send(&Request::new("HEAD", path))
                .unwrap();
            if answer.status != status {
                return Err(answer.status.to_string());
            }
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn keys_are_rotated_under_load_and_no_request_fails() {
    let (platform, mut live) = with_live_filter("live-rotation");
    let backend = &platform.stack.backend;
    let old = platform.rewrite("snd-old", ADA, HTML);
    let new = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let seen = Seen::default();
    let enough = |what: &str| {
        let before = seen.counts();
        wait::until(what, || match seen.counts() {
            now if now
                .iter()
                .zip(before)
                .all(|(now, before)| *now > before + 100) =>
            {
                Ok(())
            }
            now => Err(format!("{now:?}")),
        })
        .unwrap();
    };
    std::thread::scope(|scope| {
        let loading = Stop(&stop);
        let visits: Vec<_> = (0..4)
            .map(|number| {
                let (platform, old, new, seen, stop) = (&platform, &old, &new, &seen, &stop);
                scope.spawn(move || {
                    let mut round = 0;
                    while !stop.load(Ordering::Relaxed) {
                        if number % 2 == 0 {
                            seen.visit(platform, old);
                            continue;
                        }
                        // A mail of now, followed at once: signed with whatever key signs.
                        let mail = platform.rewrite(&format!("snd-{number}-{round}"), ADA, HTML);
                        seen.visit(platform, &mail);
                        if key_of(&mail) != key_of(old) {
                            *new.lock().unwrap() = Some(mail);
                        }
                        round += 1;
                    }
                })
            })
            .collect();
        enough("load on the old key");
        backend.command(&["keyring", "add"]).unwrap();
        give_keyring(&platform, &mut live, &backend.keyring().unwrap());
        enough("load while both keys verify");
        backend.command(&["keyring", "sign", "2"]).unwrap();
        wait::until("mail signed with the new key", || {
            match new.lock().unwrap().is_some() {
                true => Ok(()),
                false => Err("none yet".to_owned()),
            }
        })
        .unwrap();
        enough("load on both keys");
        drop(loading);
        for visit in visits {
            visit.join().unwrap();
        }
    });
    let new = new.into_inner().unwrap().unwrap();
    let [opens, clicks] = seen.counts();
    platform.stack.delivered(opens + clicks).unwrap();

    // Nothing of the old key is on its way any more: it goes from the edge, then from the backend.
    let keyring = backend.keyring().unwrap();
    let kept = keyring
        .split(',')
        .find(|key| key.starts_with("2:"))
        .unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loading = Stop(&stop);
        let visiting = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                seen.visit(&platform, &new);
            }
        });
        enough("load on the new key");
        give_keyring(&platform, &mut live, kept);
        wait_for_status(&platform, &old.links().remove(0).0, 404);
        backend.command(&["keyring", "retire", "1"]).unwrap();
        enough("load after the old key is gone");
        drop(loading);
        visiting.join().unwrap();
    });
    wait_for_status(&platform, &new.links().remove(0).0, 302);
    let invalid = platform.stack.follow(&old.pixel()).unwrap();
    assert_eq!(invalid.status, 200, "a picture all the same");
    let [opens, clicks] = seen.counts();
    platform.stack.delivered(opens + clicks).unwrap();
    let [_, opened, clicked] = platform.counts(ADA);
    assert_eq!([opened, clicked], [opens, clicks]);
}

#[test]
fn a_keyring_that_the_filter_refuses_leaves_the_one_it_has() {
    let (platform, mut live) = with_live_filter("live-refusal");
    let mail = platform.rewrite("snd-1", ADA, HTML);
    live.update(|config| config.set("keyring", "1:short".into()))
        .unwrap();
    wait::until("the refusal", || {
        match std::fs::read_to_string(platform.stack.envoy.log()).unwrap() {
            log if log.contains("configuration refused") => Ok(()),
            log => Err(log),
        }
    })
    .unwrap();
    let seen = Seen::default();
    for _ in 0..10 {
        seen.visit(&platform, &mail);
    }
    platform.stack.delivered(20).unwrap();
    assert_eq!(platform.counts(ADA), [1, 10, 10]);
}
