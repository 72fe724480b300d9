//! The Envoys that are compared, all made from the shipped configuration: the same listener,
//! the same connection manager, one worker, no access log. The last one is our filter with the
//! journal, which is an access log: it is no side of a comparison.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kraiter_tests::artifacts;
use kraiter_tests::collector::{Collector, Keep};
use kraiter_tests::envoy::{Envoy, EnvoyOptions};
use kraiter_tests::envoy_config::EnvoyConfig;
use kraiter_tests::forge::Forge;
use kraiter_tests::http::{Request, Response};
use kraiter_tests::load::AnswerShape;
use kraiter_tests::stack::{ANY_PORT, test_folder};
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_tests::wait;
use serde_json::{Value, json};

/// Different mails, so that no answer can be cached anywhere.
const TOKENS: usize = 4096;
const SECRET: &str = "a-secret-of-the-benchs";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Pixel,
    Click,
}

impl Task {
    pub(crate) const ALL: [Self; 2] = [Self::Pixel, Self::Click];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pixel => "pixel",
            Self::Click => "click",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Pixel => "/o/",
            Self::Click => "/c/",
        }
    }

    /// A tracked path of this kind. All clicks have destinations, and so answers, of one length.
    fn path(self, forge: &Forge, number: usize) -> Option<String> {
        let send = format!("snd_bench-{number:06}");
        match self {
            Self::Pixel => forge.pixel(&send),
            Self::Click => forge.click(&send, &destination(number)),
        }
    }
}

fn destination(number: usize) -> String {
    format!("https://shop.example/spring/offer?item={number:06}&from=mail")
}

pub(crate) struct Sides {
    pub(crate) envoys: Vec<(&'static str, Envoy)>,
    pub(crate) collector: Collector,
    requests: [Vec<Vec<u8>>; 2],
    probes: [Request; 2],
    folder: PathBuf,
    /// Requests that our filter has answered; each is an event to be delivered.
    recorded: Cell<u64>,
}

impl Sides {
    /// The side with our filter.
    pub(crate) const OURS: usize = 0;
    /// Our filter again, and a file that each event is also written to.
    const JOURNAL: &str = "filter+journal";

    pub(crate) fn start(core: Option<usize>) -> Outcome<Self> {
        let forge = Forge::new([0xBE; 32], 1).ok_or_else(unsigned)?;
        let collector = Collector::start(Keep::Count)?;
        let mut requests = [Vec::new(), Vec::new()];
        let mut probes = [Request::get("/"), Request::get("/")];
        for ((task, requests), probe) in Task::ALL.into_iter().zip(&mut requests).zip(&mut probes) {
            for number in 0..TOKENS {
                let path = task.path(&forge, number).ok_or_else(unsigned)?;
                *probe = mail_client(&path);
                requests.push(probe.to_bytes(true));
            }
        }
        let mut sides = Self {
            envoys: Vec::new(),
            collector,
            requests,
            probes,
            folder: test_folder("bench")?,
            recorded: Cell::new(0),
        };
        let ours = sides.start_envoy(&forge, "filter", core, |_| Ok(()))?;
        sides.envoys.push(("filter", ours));
        let answers = [
            sides.probe(Self::OURS, Task::Pixel)?,
            sides.probe(Self::OURS, Task::Click)?,
        ];
        let direct = sides.start_envoy(&forge, "direct_response", core, |config| {
            without_filter(config, &answers)
        })?;
        sides.envoys.push(("direct_response", direct));
        let answering = artifacts::answer_only_filter()?;
        let answer_only = sides.start_envoy(&forge, "answer_only", core, move |config| {
            config.filter_file(&answering)?;
            // Its whole configuration is where a click leads.
            config.set_settings_text(&destination(0))
        })?;
        sides.envoys.push(("answer_only", answer_only));
        let journal = sides.folder.join("events.ndjson");
        let with_journal = sides.start_envoy(&forge, Self::JOURNAL, core, move |config| {
            config.set("journal", json!(true))?;
            let log = EnvoyConfig::shipped()?.connection_manager()?["access_log"].clone();
            if let Some(manager) = config.connection_manager()?.as_object_mut() {
                manager.insert("access_log".to_owned(), log);
            }
            config.journal(&journal)
        })?;
        sides.envoys.push((Self::JOURNAL, with_journal));
        Ok(sides)
    }

    fn start_envoy(
        &self,
        forge: &Forge,
        name: &str,
        core: Option<usize>,
        edit: impl FnOnce(&mut EnvoyConfig) -> Outcome<()>,
    ) -> Outcome<Envoy> {
        let mut config = EnvoyConfig::shipped()?;
        config.listen(ANY_PORT)?;
        config.admin(ANY_PORT)?;
        config.backend(self.collector.address())?;
        config.filter_file(&artifacts::filter()?)?;
        // Without an access log on any side nobody would read what the filter leaves for it.
        config.set("journal", json!(false))?;
        if let Some(manager) = config.connection_manager()?.as_object_mut() {
            manager.remove("access_log");
        }
        edit(&mut config)?;
        Envoy::start(EnvoyOptions {
            config,
            keyring: forge.keyring(),
            ingest_secret: SECRET.to_owned(),
            workers: 1,
            folder: self.folder.clone(),
            name: name.to_owned(),
            core,
        })
    }

    pub(crate) fn name(&self, side: usize) -> &'static str {
        self.envoys.get(side).map_or("?", |(name, _)| name)
    }

    /// Whether this side has events to deliver.
    pub(crate) fn records(&self, side: usize) -> bool {
        side == Self::OURS || self.name(side) == Self::JOURNAL
    }

    pub(crate) fn note_answers(&self, side: usize, answers: u64) {
        if self.records(side) {
            self.recorded.set(self.recorded.get() + answers);
        }
    }

    /// Waits until the collector has as many events as our filter has answered requests, to the
    /// event: none dropped, none sent twice.
    pub(crate) fn all_delivered(&self) -> Outcome<u64> {
        let expected = self.recorded.get();
        wait::until("every event to be delivered", || {
            match self.collector.accepted_lines() {
                delivered if delivered == expected => Ok(delivered),
                delivered => Err(format!("{delivered} of {expected}")),
            }
        })
    }

    pub(crate) fn requests(&self, task: Task) -> &[Vec<u8>] {
        let [pixels, clicks] = &self.requests;
        match task {
            Task::Pixel => pixels,
            Task::Click => clicks,
        }
    }

    pub(crate) fn address(&self, side: usize) -> Outcome<SocketAddr> {
        let (_, envoy) = self.envoys.get(side).ok_or_else(|| super::no_side(side))?;
        Ok(envoy.edge())
    }

    pub(crate) fn processor_time(&self, side: usize) -> Outcome<Option<Duration>> {
        let (_, envoy) = self.envoys.get(side).ok_or_else(|| super::no_side(side))?;
        Ok(envoy.processor_time())
    }

    /// Asks once over a connection that stays open, and gives what an answer looks like.
    pub(crate) fn shape(&self, side: usize, task: Task) -> Outcome<AnswerShape> {
        Ok(AnswerShape::of(&self.probe(side, task)?))
    }

    fn probe(&self, side: usize, task: Task) -> Outcome<Response> {
        let [pixel, click] = &self.probes;
        let probe = match task {
            Task::Pixel => pixel,
            Task::Click => click,
        };
        let expected = match task {
            Task::Pixel => 200,
            Task::Click => 302,
        };
        let mut answer = probe
            .send(self.address(side)?)
            .map_err(Trouble::io("probing an edge"))?;
        // Said only because this one connection was to be closed.
        answer.headers.retain(|(name, _)| name != "connection");
        self.note_answers(side, 1);
        match answer.status == expected {
            true => Ok(answer),
            false => Err(Trouble::Answer {
                method: "GET".to_owned(),
                path: format!("{}… of {}", task.prefix(), self.name(side)),
                status: answer.status,
                body: answer.text(),
            }),
        }
    }
}

/// What a mail client's image proxy sends, more or less.
fn mail_client(path: &str) -> Request {
    Request::get(path)
        .header(
            "accept",
            "image/avif,image/webp,image/png,image/*;q=0.8,*/*;q=0.5",
        )
        .header("accept-language", "en-GB,en;q=0.7")
        .header("accept-encoding", "gzip, deflate")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.5.0",
        )
}

/// Takes the filter out and lets routes answer with the very bytes that the filter did.
fn without_filter(config: &mut EnvoyConfig, answers: &[Response; 2]) -> Outcome<()> {
    let is_router = |filter: &Value| {
        let kind = filter
            .pointer("/typed_config/@type")
            .and_then(Value::as_str);
        kind.is_some_and(|kind| kind.ends_with(".Router"))
    };
    let filters = config.connection_manager()?.get_mut("http_filters");
    if let Some(filters) = filters.and_then(Value::as_array_mut) {
        filters.retain(is_router);
    }
    let route = |(task, answer): (Task, &Response)| {
        let own = ["date", "server", "content-length"];
        let headers: Vec<Value> = answer
            .headers
            .iter()
            .filter(|(name, _)| !own.contains(&name.as_str()))
            .map(|(name, value)| {
                json!({
                    "header": {"key": name, "value": escaped(value)},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                })
            })
            .collect();
        let mut direct = json!({"status": answer.status});
        if let (false, Some(direct)) = (answer.body.is_empty(), direct.as_object_mut()) {
            direct.insert(
                "body".to_owned(),
                json!({"inline_bytes": base64(&answer.body)}),
            );
        }
        json!({
            "match": {"prefix": task.prefix()},
            "direct_response": direct,
            "response_headers_to_add": headers,
        })
    };
    let routes = Task::ALL.into_iter().zip(answers).map(route).collect();
    *config.routes()? = Value::Array(routes);
    Ok(())
}

/// In added headers a percent sign starts a format.
fn escaped(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace('%', "%%")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn unsigned() -> Trouble {
    let error = std::io::Error::other("a send or a destination of the bench's is not valid");
    Trouble::io("signing links")(error)
}
