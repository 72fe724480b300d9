//! What judging costs: the same load through a service that judges opens and clicks as they come, and
//! through one that does not, by turns.

use std::ffi::OsString;
use std::path::Path;

use kraiter_tests::backend::{Backend, BackendOptions};
use kraiter_tests::stack::ANY_PORT;
use kraiter_tests::trouble::Outcome;
use serde_json::Value;

use super::postgres::Postgres;
use super::writers::{self, Pen};
use crate::report::Finding;

pub(super) struct Judging {
    judged: Backend,
    unjudged: Backend,
    /// Events a second.
    with: Vec<f64>,
    without: Vec<f64>,
}

impl Judging {
    /// With the keys and secrets that an earlier service left in the suite's folder.
    pub(super) fn start(folder: &Path, url: &str) -> Outcome<Self> {
        Ok(Self {
            // So that most of what comes out of neighbours falls into the turn that asks for it.
            judged: service(folder, url, ("KRAITER_SETTLING_INTERVAL", "1"))?,
            unjudged: service(folder, url, ("KRAITER_JUDGING", "off"))?,
            with: Vec::new(),
            without: Vec::new(),
        })
    }

    pub(super) fn round(
        &mut self,
        postgres: &mut Postgres,
        pen: &mut Pen,
        number: usize,
        events: usize,
    ) -> Outcome<()> {
        // Whoever goes second finds warmer caches.
        let order = match number.is_multiple_of(2) {
            true => [true, false],
            false => [false, true],
        };
        for judged in order {
            let requests = pen.write(events)?;
            let (service, rates) = match judged {
                true => (&self.judged, &mut self.with),
                false => (&self.unjudged, &mut self.without),
            };
            let took = writers::post(service.address(), &requests)?;
            rates.push(events as f64 / took.as_secs_f64());
            postgres.settled()?;
        }
        let last = |rates: &[f64]| rates.last().copied().unwrap_or_default();
        eprintln!(
            "  round {number}  {:>7.0} judged, {:>7.0} not judged, events/s",
            last(&self.with),
            last(&self.without)
        );
        Ok(())
    }

    pub(super) fn verified(&self) -> Outcome<Value> {
        self.judged.says(&["verify", "--json"])
    }

    pub(super) fn finding(&self) -> Finding {
        Finding::new("ingest/unjudged", &self.with, &self.without, "events/s")
    }
}

fn service(folder: &Path, url: &str, (name, value): (&str, &str)) -> Outcome<Backend> {
    let file = |file: &str| OsString::from(folder.join(super::DATA).join(file));
    Backend::start(BackendOptions {
        data_dir: folder.join(name),
        listen: ANY_PORT,
        database_url: Some(url.to_owned()),
        env: vec![
            ("KRAITER_KEYRING_FILE".into(), file("keyring.json")),
            ("KRAITER_INGEST_SECRET_FILE".into(), file("ingest.secret")),
            ("KRAITER_RETENTION_INTERVAL".into(), "0".into()),
            (name.into(), value.into()),
        ],
        log: folder.join(format!("{name}.log")),
    })
}
