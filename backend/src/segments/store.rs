//! Searching contacts in Postgres: conditions as SQL, and a scan in the order of contact ids.
//!
//! Counters have no index, because an indexed counter would cost every event that is taken in an
//! index entry. A search reads contacts in the order of their primary key instead, in chunks, and
//! stops at the end of the page or of what one request may read; the id it stopped at is where
//! the next page starts, so no page depends on counters that move meanwhile.

use deadpool_postgres::Client;
use kraiter_wire::TenantId;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Comparison, Condition, Count, Equality, Moment, Presence, Property, TimeTest};
use crate::contacts::store::{COLUMNS, COLUMNS_COUNT, read};
use crate::contacts::{Consent, Contact};
use crate::database::DatabaseError;
use crate::tenants::store::key;

/// Contacts that one statement reads, so that a statement's time-out is about a bounded work.
const CHUNK_CONTACTS: i64 = 25_000;

/// Chunks that one request reads. The search goes on with the next page.
const MAX_CHUNKS: usize = 10;

/// For one chunk, which takes milliseconds on a server that is well. A chunk is read along the key
/// whatever the planner believes: with the statistics of a table that has just grown it would sort
/// all of a tenant's contacts for each chunk.
const LIMITS: &str = "set local statement_timeout = '5s'; \
                      set local enable_seqscan = off; set local enable_bitmapscan = off";

/// What a search found, and how far it came.
pub(super) struct Found {
    pub(super) contacts: Vec<Contact>,
    /// Where contacts may follow that were not looked at.
    pub(super) stopped_at: Option<Uuid>,
}

/// The first `limit` contacts after `after` that meet all conditions, by id.
pub(super) async fn search(
    client: &mut Client,
    tenant: TenantId,
    conditions: &[Condition],
    after: Option<Uuid>,
    limit: usize,
) -> Result<Found, DatabaseError> {
    let tenant = key(tenant);
    let compiled = Compiled::new(conditions);
    let tx = client.build_transaction().read_only(true).start().await?;
    tx.batch_execute(LIMITS).await?;
    // Not cached: there are as many texts as there are kinds of segments.
    let statement = tx.prepare(&compiled.sql).await?;
    let mut contacts = Vec::new();
    let mut after = after.unwrap_or(Uuid::nil());
    for _ in 0..MAX_CHUNKS {
        let wanted = i64::try_from(limit - contacts.len()).unwrap_or(i64::MAX);
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&tenant, &after, &CHUNK_CONTACTS, &wanted];
        values.extend(
            compiled
                .values
                .iter()
                .map(|value| -> &(dyn ToSql + Sync) { &**value }),
        );
        let rows = tx.query(&statement, &values).await?;
        let mut chunk_end = None;
        for row in &rows {
            let contact = read(row);
            if row.get(COLUMNS_COUNT + 1) {
                chunk_end = Some(contact.id.uuid());
            }
            if row.get(COLUMNS_COUNT) {
                contacts.push(contact);
            }
        }
        if contacts.len() >= limit {
            let stopped_at = contacts.last().map(|contact| contact.id.uuid());
            tx.commit().await?;
            return Ok(Found {
                contacts,
                stopped_at,
            });
        }
        match chunk_end {
            Some(id) => after = id,
            None => {
                tx.commit().await?;
                return Ok(Found {
                    contacts,
                    stopped_at: None,
                });
            }
        }
    }
    tx.commit().await?;
    Ok(Found {
        contacts,
        stopped_at: Some(after),
    })
}

/// Conditions as one statement. Its first four parameters are the tenant, the id to start after,
/// the size of a chunk and the number of contacts wanted.
struct Compiled {
    sql: String,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Compiled {
    fn new(conditions: &[Condition]) -> Self {
        let mut values = Values(Vec::new());
        let mut all = vec!["true".to_owned()];
        // An address is looked up, not searched for.
        let mut looked_up = String::new();
        for condition in conditions {
            let sql = compile(condition, &mut values);
            if let Condition::Email(Equality::Equal, _) = condition {
                looked_up = format!("{looked_up} and {sql}");
            }
            all.push(sql);
        }
        let all = all.join(" and ");
        let sql = format!(
            "select {COLUMNS}, matches, ends_chunk from ( \
               select *, coalesce({all}, false) as matches, number = $3 as ends_chunk from ( \
                 select {COLUMNS}, email_key, row_number() over (order by id) as number \
                 from contacts where tenant_id = $1 and id > $2{looked_up} \
                 order by id limit $3 \
               ) as chunk \
             ) as judged where matches or ends_chunk order by number limit $4"
        );
        Self {
            sql,
            values: values.0,
        }
    }
}

struct Values(Vec<Box<dyn ToSql + Send + Sync>>);

impl Values {
    /// The parameter that stands for a value.
    fn add(&mut self, value: impl ToSql + Send + Sync + 'static) -> String {
        self.0.push(Box::new(value));
        format!("${}", self.0.len() + 4)
    }
}

fn compile(condition: &Condition, values: &mut Values) -> String {
    match condition {
        Condition::Count(count, comparison, value) => {
            let operator = match comparison {
                Comparison::Equal => "=",
                Comparison::NotEqual => "<>",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
            };
            let column = column(Property::Count(*count));
            format!("{column} {operator} {}", values.add(*value))
        }
        Condition::Time(moment, test) => {
            let column = column(Property::Time(*moment));
            match *test {
                TimeTest::Is(equality, time) => equal(column, equality, &values.add(time)),
                TimeTest::Before(time) => format!("{column} < {}", values.add(time)),
                TimeTest::After(time) => format!("{column} > {}", values.add(time)),
                TimeTest::Within(from, to) => {
                    let (from, to) = (values.add(from), values.add(to));
                    format!("{column} between {from} and {to}")
                }
            }
        }
        Condition::Email(equality, email) => {
            let value = values.add(email.key().to_owned());
            equal("email_key", *equality, &value)
        }
        Condition::Consent(equality, consent) => {
            let value = values.add(*consent == Consent::Given);
            equal("tracking_consent", *equality, &value)
        }
        Condition::Presence(property, presence) => {
            let test = match presence {
                Presence::Exists => "is not null",
                Presence::NotExists => "is null",
            };
            format!("{} {test}", column(*property))
        }
    }
}

fn equal(column: &str, equality: Equality, value: &str) -> String {
    match equality {
        Equality::Equal => format!("{column} = {value}"),
        Equality::NotEqual => format!("{column} is distinct from {value}"),
    }
}

fn column(property: Property) -> &'static str {
    match property {
        Property::Count(Count::Sent) => "emails_sent_count",
        Property::Count(Count::Opened) => "emails_opened_count",
        Property::Count(Count::Clicked) => "emails_clicked_count",
        Property::Count(Count::HumanOpened) => "emails_human_opened_count",
        Property::Count(Count::HumanClicked) => "emails_human_clicked_count",
        Property::Count(Count::MachineOpened) => "emails_machine_opened_count",
        Property::Count(Count::MachineClicked) => "emails_machine_clicked_count",
        Property::Time(Moment::Created) => "created_at",
        Property::Time(Moment::LastSent) => "last_email_sent_at",
        Property::Time(Moment::LastOpened) => "last_email_opened_at",
        Property::Time(Moment::LastClicked) => "last_email_clicked_at",
        Property::Time(Moment::LastHumanOpened) => "last_email_human_opened_at",
        Property::Time(Moment::LastHumanClicked) => "last_email_human_clicked_at",
        Property::Time(Moment::Unsubscribed) => "unsubscribed_at",
        Property::Time(Moment::Suppressed) => "suppressed_at",
        Property::Email => "email_key",
        Property::Consent => "tracking_consent",
    }
}
