//! The database as the bench sees it: the table that is copied into, and what Postgres costs.

use std::time::{Duration, Instant};

use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_tests::wait;
use kraiter_wire::{EventId, UnixMillis};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use super::writers::Sent;

type Failed = tokio_postgres::Error;

pub(super) struct Postgres {
    runtime: Runtime,
    client: Client,
    /// The server's main process.
    main: i32,
}

fn trouble(error: Failed) -> Trouble {
    let cause = error.as_db_error().map(ToString::to_string);
    let cause = cause.unwrap_or_else(|| error.to_string());
    Trouble::io("asking Postgres")(std::io::Error::other(cause))
}

impl Postgres {
    pub(super) fn connect(url: &str) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(Trouble::io("making a runtime"))?;
        let connect = tokio_postgres::connect(url, NoTls);
        let (client, connection) = runtime.block_on(connect).map_err(trouble)?;
        runtime.spawn(connection);
        let own = runtime.block_on(client.query_one("select pg_backend_pid()", &[]));
        let main = parent(own.map_err(trouble)?.get(0)).unwrap_or(0);
        Ok(Self {
            runtime,
            client,
            main,
        })
    }

    /// A table like `events`, with its rows, its partitions and its indexes.
    pub(super) fn prepare_copy(&mut self) -> Outcome<()> {
        let sql = "
            set statement_timeout = 0;
            create table events_copy (like events including all) partition by range (id);
            do $$ declare p record; begin
              for p in select c.relname, pg_get_expr(c.relpartbound, c.oid) as bound
                  from pg_inherits i join pg_class c on c.oid = i.inhrelid
                  where i.inhparent = 'events'::regclass loop
                execute format('create table %I partition of events_copy %s',
                  'copy_of_' || p.relname, p.bound);
              end loop; end $$;
            insert into events_copy select * from events order by id;";
        self.run(sql)?;
        self.run("vacuum analyze events_copy")?;
        self.run("checkpoint")
    }

    fn run(&mut self, sql: &str) -> Outcome<()> {
        let run = self.client.batch_execute(sql);
        self.runtime.block_on(run).map_err(trouble)
    }

    /// Waits until no event waits for its neighbours.
    pub(super) fn settled(&mut self) -> Outcome<()> {
        let sql =
            "select (select count(*) from unsettled) + (select count(*) from unsettled_clicks)";
        wait::until("events to be settled", || {
            let left = self.runtime.block_on(self.client.query_one(sql, &[]));
            match left.map(|left| left.get::<_, i64>(0)) {
                Ok(0) => Ok(()),
                Ok(some) => Err(format!("{some} notes are left")),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// Sends in an order that has nothing to do with where they are stored.
    pub(super) fn sends(&mut self, count: usize) -> Outcome<Vec<Sent>> {
        let sql = "select id, uuid_send(contact_id), \
                     (extract(epoch from registered_at) * 1000)::bigint \
                   from sends order by hashtext(id) limit $1";
        let (count, client) = (count as i64, &self.client);
        let rows = self
            .runtime
            .block_on(async { client.query(sql, &[&count]).await })
            .map_err(trouble)?;
        let sent = |row: &tokio_postgres::Row| {
            let registered = u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
            Sent {
                id: row.get(0),
                contact: row.get::<_, &[u8]>(1).try_into().unwrap_or_default(),
                day: UnixMillis(registered).day(),
            }
        };
        Ok(rows.iter().map(sent).collect())
    }

    /// Copies the events after `first` into the table beside: the time of that, and how many.
    pub(super) fn copy_since(&mut self, first: EventId) -> Outcome<(Duration, u64)> {
        use futures_util::{SinkExt, TryStreamExt};
        let client = &self.client;
        let copy = async {
            let sql = format!(
                "copy (select * from events where id > '{first}' order by id) to stdout \
                 (format binary)"
            );
            let rows = client.copy_out(&sql).await?;
            let rows: Vec<_> = rows.try_collect().await?;
            let start = Instant::now();
            let sink = client.copy_in("copy events_copy from stdin (format binary)");
            let mut sink = std::pin::pin!(sink.await?);
            // In pieces of a size at which a message's own cost does not show.
            let mut piece = bytes::BytesMut::new();
            for row in rows {
                piece.extend_from_slice(&row);
                if piece.len() > 64 << 10 {
                    sink.feed(piece.split().freeze()).await?;
                }
            }
            sink.feed(piece.freeze()).await?;
            let count = sink.finish().await?;
            Ok((start.elapsed(), count))
        };
        self.runtime.block_on(copy).map_err(trouble)
    }

    /// On disk, with indexes.
    pub(super) fn bytes_per_event(&mut self) -> Outcome<f64> {
        let sql = "select sum(pg_total_relation_size(inhrelid))::float8 \
                     / (select count(*) from events) \
                   from pg_inherits where inhparent = 'events'::regclass";
        let row = self.runtime.block_on(self.client.query_one(sql, &[]));
        Ok(row.map_err(trouble)?.get(0))
    }

    /// Of all of the server's processes.
    pub(super) fn processor_time(&self) -> Duration {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let own = pids.filter(|pid| *pid == self.main || parent(*pid) == Some(self.main));
        own.filter_map(ticks).map(Duration::from_millis).sum()
    }
}

/// What `/proc/PID/stat` says after the name, which may hold anything.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// Milliseconds of processor time, of children that have ended included: the kernel counts in
/// hundredths of a second.
fn ticks(pid: i32) -> Option<u64> {
    let stat = stat(pid)?;
    let fields = stat.get(11..15)?;
    let ticks = fields.iter().filter_map(|field| field.parse::<u64>().ok());
    Some(ticks.sum::<u64>() * 10)
}
