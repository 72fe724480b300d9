//! One database of a size, with a backend on it and what is asked of both.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use kraiter_tests::api::Api;
use kraiter_tests::backend::{Backend, BackendOptions};
use kraiter_tests::data_set::DataSet;
use kraiter_tests::database::Cluster;
use kraiter_tests::http::{Request, read_response};
use kraiter_tests::stack::ANY_PORT;
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_wire::Day;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Row, Statement};

use super::edges::{self, Sent};

/// Sends that are looked up and opened: far more than a turn comes back to.
const SENDS: usize = 50_000;
/// As the time over which events lie: their partitions are what a year of retention has.
const DAYS: u64 = 390;

/// The service closes connections that are idle for longer.
const IDLE: Duration = Duration::from_secs(2);

pub(super) fn failed(what: impl Into<String>) -> Trouble {
    Trouble::io("measuring queries")(std::io::Error::other(what.into()))
}

fn refused(error: tokio_postgres::Error) -> Trouble {
    let cause = error.as_db_error().map(ToString::to_string);
    failed(cause.unwrap_or_else(|| error.to_string()))
}

pub(super) struct Side {
    pub(super) set: DataSet,
    pub(super) backend: Backend,
    api: Api,
    runtime: Runtime,
    client: Client,
    select: Statement,
    connection: Option<Connection>,
    sends: Vec<Sent>,
    turn: usize,
}

/// To the service.
struct Connection {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    used: Instant,
}

impl Connection {
    fn open(to: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            answers: BufReader::new(stream.try_clone()?),
            stream,
            used: Instant::now(),
        })
    }
}

impl Side {
    pub(super) fn start(
        cluster: &Cluster,
        folder: &Path,
        name: &str,
        events: usize,
    ) -> Outcome<Self> {
        cluster.migrated(name)?;
        let url = cluster.url(name)?;
        let folder = folder.join(name);
        let backend = Backend::start(BackendOptions {
            data_dir: folder.join("data"),
            listen: ANY_PORT,
            database_url: Some(url.clone()),
            env: Vec::new(),
            log: folder.join("backend.log"),
        })?;
        let api = backend.tenant("bench", "https://t.example")?;
        let events = events as u64;
        let now = edges::now().0;
        // Four mails to each contact, and three opens or clicks on two mails.
        let set = DataSet {
            seed: 1,
            contacts: (events / 10).max(1),
            sends: (events * 2 / 5).max(1),
            edge_events: events * 3 / 5,
            campaigns: 100,
            from: now - DAYS * Day::MILLIS,
            until: now - Day::MILLIS,
        };
        eprintln!("  {events} events for {name}");
        set.load(&url, 1)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(Trouble::io("making a runtime"))?;
        let (client, connection) = runtime
            .block_on(tokio_postgres::connect(&url, NoTls))
            .map_err(refused)?;
        runtime.spawn(connection);
        let select = runtime
            .block_on(client.prepare("select 1"))
            .map_err(refused)?;
        let mut side = Self {
            set,
            backend,
            api,
            runtime,
            client,
            select,
            connection: None,
            sends: Vec::new(),
            turn: 0,
        };
        side.sends = side.some_sends()?;
        Ok(side)
    }

    /// In an order that has nothing to do with where they are stored.
    fn some_sends(&mut self) -> Outcome<Vec<Sent>> {
        self.sends_by("hashtext(id)")
    }

    /// Those that are opened and clicked now.
    pub(super) fn newest_sends(&mut self) -> Outcome<Vec<Sent>> {
        self.sends_by("registered_at desc")
    }

    fn sends_by(&mut self, order: &str) -> Outcome<Vec<Sent>> {
        let sql = format!(
            "select id, uuid_send(contact_id), (extract(epoch from registered_at) * 1000)::bigint \
             from sends order by {order} limit {SENDS}"
        );
        Ok(self.rows(&sql)?.iter().map(Sent::read).collect())
    }

    fn rows(&mut self, sql: &str) -> Outcome<Vec<Row>> {
        let rows = self.runtime.block_on(self.client.query(sql, &[]));
        rows.map_err(refused)
    }

    pub(super) fn run(&mut self, sql: &str) -> Outcome<()> {
        let run = self.runtime.block_on(self.client.batch_execute(sql));
        run.map_err(refused)
    }

    pub(super) fn settle(&mut self) -> Outcome<()> {
        self.run("set statement_timeout = 0")?;
        self.run("checkpoint")
    }

    /// Microseconds.
    pub(super) fn select_1(&mut self) -> Outcome<f64> {
        let start = Instant::now();
        let ask = self.client.query_one(&self.select, &[]);
        self.runtime.block_on(ask).map_err(refused)?;
        Ok(micros(start.elapsed()))
    }

    /// The least that a request can ask the service's pool for.
    pub(super) fn ready(&mut self) -> Outcome<f64> {
        self.ask(Request::get("/readyz"))
    }

    pub(super) fn contact(&mut self) -> Outcome<f64> {
        self.turn += 1;
        let number = (self.turn as u64).wrapping_mul(7_777_777_777) % self.set.contacts;
        self.ask(Request::get(format!(
            "/contacts/contact{number}@example.com"
        )))
    }

    pub(super) fn send(&mut self) -> Outcome<f64> {
        let sends = self.sends.len().max(1);
        let send = self.sends.get(self.turn % sends);
        let path = send.map(|send| format!("/sends/{}", send.id));
        self.ask(Request::get(path.unwrap_or_default()))
    }

    pub(super) fn search(&mut self, clicks: i64) -> Outcome<f64> {
        let body = json!({"limit": 100, "conditions": [{
            "property": "contact.emailsClickedCount", "operator": "greaterThanOrEqual",
            "value": clicks}]});
        self.ask(
            Request::new("POST", "/contacts/search").body("application/json", body.to_string()),
        )
    }

    /// The same by an index on clicks, without a service around it.
    pub(super) fn search_by_index(&mut self, clicks: i64, times: usize) -> Outcome<Vec<f64>> {
        let sql = format!(
            "select * from contacts where tenant_id = 1 and emails_clicked_count >= {clicks} \
             order by id limit 100"
        );
        (0..times)
            .map(|_| {
                let start = Instant::now();
                self.rows(&sql)?;
                Ok(micros(start.elapsed()))
            })
            .collect()
    }

    fn ask(&mut self, request: Request) -> Outcome<f64> {
        let request = request.header("authorization", format!("Bearer {}", self.api.key));
        let bytes = request.to_bytes(true);
        let trouble = || Trouble::io("asking the service");
        let open = self.connection.take();
        let mut connection = match open.filter(|open| open.used.elapsed() < IDLE) {
            Some(open) => open,
            None => Connection::open(self.backend.address()).map_err(trouble())?,
        };
        let start = Instant::now();
        connection.stream.write_all(&bytes).map_err(trouble())?;
        let answer = read_response(&mut connection.answers, false).map_err(trouble())?;
        let took = start.elapsed();
        connection.used = Instant::now();
        self.connection = Some(connection);
        match answer.status {
            200 => Ok(micros(took)),
            status => Err(failed(format!("{status} {}", answer.text()))),
        }
    }

    /// The clicks that one contact in `one_in` or fewer has, and one in how many that is.
    pub(super) fn threshold(&mut self, one_in: f64) -> Outcome<(i64, f64)> {
        let sql = format!(
            "select clicks, ({contacts} / above)::float8 from ( \
               select emails_clicked_count as clicks, \
                 sum(count(*)) over (order by emails_clicked_count desc) as above \
               from contacts where tenant_id = 1 group by 1) as counted \
             where above <= {contacts} / {one_in} order by clicks limit 1",
            contacts = self.set.contacts
        );
        let rows = self.rows(&sql)?;
        let row = rows.first();
        let row = row.ok_or_else(|| failed("no number of clicks is rare enough"))?;
        Ok((row.get(0), row.get(1)))
    }

    /// Updates of contacts so far, and how many of them were heap-only.
    pub(super) fn updates(&mut self) -> Outcome<(f64, f64)> {
        // A server process reports what it did within a second of being idle.
        std::thread::sleep(Duration::from_millis(1500));
        let sql = "select n_tup_upd::float8, n_tup_hot_upd::float8 from pg_stat_user_tables \
                   where relname = 'contacts'";
        let rows = self.rows(sql)?;
        let row = rows.first().ok_or_else(|| failed("no table contacts"))?;
        Ok((row.get(0), row.get(1)))
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
