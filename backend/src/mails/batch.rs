//! One mail for many recipients: read once, registered in groups, answered as a stream.
//!
//! Memory is bounded by one group of recipients and one chunk of answers, however many there are:
//! the next group is read only when the answers of the one before were taken, and nothing is done
//! for a client that has hung up.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::Data;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use serde::{Deserialize, Serialize};

use super::http::RewriteOptions;
use super::large::LargeMail;
use super::rewrite::{Addressee, ReadyMail, RewriteAnswer, Rewriter, address};
use crate::backend::Backend;
use crate::clock::{self, Timestamp};
use crate::database::connect;
use crate::http::problem::ProblemDocument;
use crate::http::{ErrorCode, Problem, body, ndjson::Lines};
use crate::previews;
use crate::rewriting::{Options, TrackingBase};
use crate::sends::http::SendRequest;
use crate::sends::registration::NewSend;
use crate::sends::{Campaign, Status};
use crate::tenants::Tenant;

/// Recipients that are registered in one transaction.
const GROUP: usize = 500;
/// Recipients for whom it pays to write their common mail in advance.
const WORTH_PREPARING: usize = 8;
/// A group ends sooner when its recipients bring this much HTML of their own.
const GROUP_BYTES: usize = 4 << 20;
/// Answers are handed on in pieces of about this size.
const CHUNK_BYTES: usize = 256 << 10;

/// The first line of a batch: what all recipients share.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = BatchHead)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Shared {
    /// The mail, unless each recipient brings its own.
    html: Option<String>,
    text: Option<String>,
    campaign: Option<String>,
    list_unsubscribe: Option<String>,
    status: Option<Status>,
    sent_at: Option<Timestamp>,
    #[serde(default)]
    options: RewriteOptions,
    #[serde(default)]
    dry_run: bool,
    /// Whether the shared mail is kept to look at.
    #[serde(default)]
    keep_preview: bool,
}

/// A further line of a batch: one recipient, with what is its own.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = BatchRecipient)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RecipientLine {
    /// Address, or the id of a contact that is known.
    #[schema(example = "ada@example.com")]
    contact: String,
    send_id: Option<String>,
    html: Option<String>,
    text: Option<String>,
    campaign: Option<String>,
    list_unsubscribe: Option<String>,
    status: Option<Status>,
    sent_at: Option<Timestamp>,
}

/// The answer to one recipient of a batch, a line.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes lines that are written in parts")]
pub(crate) enum BatchAnswer {
    Mail(RewriteAnswer<'static>),
    Failed(ErrorLine),
}

/// A line that failed by itself.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FailedLine)]
pub(crate) struct ErrorLine {
    error: ProblemDocument,
}

/// A batch whose first line was read.
pub(super) struct Batch {
    tenant: Arc<Tenant>,
    base: TrackingBase,
    options: Options,
    shared: Shared,
    /// The shared mail, if the first line has one.
    mail: Option<Arc<ReadyMail>>,
    /// The campaign whose mail is to be kept.
    preview_of: Option<Campaign>,
    lines: Lines,
}

/// A recipient that is ready to be registered.
struct Ready {
    send: NewSend,
    /// Its own mail, where it is not the shared one.
    own: Option<Arc<ReadyMail>>,
}

/// The campaign of a first line that asks to keep its mail, which it then has to have.
fn previewed(shared: &Shared) -> Result<Campaign, Problem> {
    let missing = |field: &str| {
        let detail = format!("With keepPreview the first line needs {field}.");
        Problem::new(ErrorCode::MissingField, detail).about(field)
    };
    let bytes = shared.html.as_ref().ok_or_else(|| missing("html"))?.len();
    if bytes > previews::MAX_BYTES {
        let most = previews::MAX_BYTES;
        let detail =
            format!("html has {bytes} bytes; at most {most} are kept. Leave keepPreview out.");
        return Err(Problem::invalid("keepPreview", detail));
    }
    let campaign = shared
        .campaign
        .as_deref()
        .ok_or_else(|| missing("campaign"))?;
    campaign
        .parse()
        .map_err(|error| Problem::invalid("campaign", format!("{error}.")))
}

impl Batch {
    /// Reads the first line. What is wrong with it fails the whole request.
    pub(super) async fn open(tenant: Arc<Tenant>, payload: Payload) -> Result<Self, Problem> {
        let mut lines = Lines::new(payload, body::MAX_JSON_BYTES);
        let first = lines.next().await.ok_or_else(|| {
            Problem::new(
                ErrorCode::InvalidJson,
                "The body is empty. Its first line holds what all recipients share, each further \
                 line one recipient.",
            )
        })??;
        let mut shared: Shared = body::parse(&first)?;
        let base = tenant.settings.tracking_base();
        let options = shared.options.allowed_by(&tenant.settings);
        let preview_of = shared
            .keep_preview
            .then(|| previewed(&shared))
            .transpose()?;
        let html = shared.html.take();
        let read = |html| {
            let (text, own) = (shared.text.clone(), shared.list_unsubscribe.clone());
            ReadyMail::read(html, text, own, &options, &base).map(Arc::new)
        };
        let mail = html.map(read).transpose()?;
        Ok(Self {
            tenant,
            base,
            options,
            shared,
            mail,
            preview_of,
            lines,
        })
    }

    /// Keeps the shared mail to look at, if that was asked for.
    pub(super) async fn keep_preview(&self, backend: &Backend) -> Result<(), Problem> {
        let (Some(campaign), Some(mail)) = (&self.preview_of, &self.mail) else {
            return Ok(());
        };
        if self.shared.dry_run {
            return Ok(());
        }
        let (client, preview) = (connect(&backend.pool).await?, mail.preview());
        let (tenant, campaign) = (self.tenant.id, campaign.as_str());
        Ok(previews::store::keep(&client, tenant, campaign, &preview, clock::now()).await?)
    }

    /// One answer line for each recipient, in order.
    pub(super) fn answers(
        mut self,
        backend: Data<Backend>,
    ) -> Result<impl Stream<Item = Result<Bytes, Problem>>, Problem> {
        Ok(async_stream::try_stream! {
            while let Some(group) = self.next_group().await {
                let now = clock::now();
                let addressees = self.register(&backend, &group, now).await;
                let settings = &self.tenant.settings;
                let mut rewriter = Rewriter::new(&backend, self.tenant.id, settings, &self.base)?;
                if let Some(mail) = self.mail.as_ref().filter(|mail| group.len() >= WORTH_PREPARING && !mail.is_large()) {
                    rewriter.prepare(mail);
                }
                let mut chunk = BytesMut::new();
                for (recipient, mut addressee) in group.iter().zip(addressees) {
                    if let Some(large) = self.large(&backend, recipient, &mut addressee) {
                        for await piece in large.pieces() {
                            chunk.put(piece?);
                            yield chunk.split().freeze();
                        }
                        chunk.put_u8(b'\n');
                        continue;
                    }
                    self.answer(recipient, addressee, &mut rewriter, &mut chunk);
                    if chunk.len() >= CHUNK_BYTES {
                        yield chunk.split().freeze();
                    }
                }
                if !chunk.is_empty() {
                    yield chunk.freeze();
                }
            }
        })
    }

    /// The next recipients: as many as are there without waiting, up to a group.
    async fn next_group(&mut self) -> Option<Vec<Result<Ready, Problem>>> {
        let mut group = Vec::new();
        let mut own_bytes = 0;
        while let Some(line) = self.lines.next().await {
            own_bytes += line.as_ref().map_or(0, Bytes::len);
            group.push(line.and_then(|line| self.read(&line)));
            if group.len() >= GROUP || own_bytes >= GROUP_BYTES || !self.lines.has_buffered() {
                return Some(group);
            }
        }
        (!group.is_empty()).then_some(group)
    }

    fn read(&self, line: &[u8]) -> Result<Ready, Problem> {
        let line: RecipientLine = body::parse(line)?;
        let differs = line.html.is_some() || line.text.is_some() || line.list_unsubscribe.is_some();
        let own = match (line.html, &self.mail) {
            (Some(html), _) => {
                let text = line.text.or_else(|| self.shared.text.clone());
                let own = line
                    .list_unsubscribe
                    .or_else(|| self.shared.list_unsubscribe.clone());
                Some(ReadyMail::read(html, text, own, &self.options, &self.base)?.into())
            }
            (None, Some(_)) if differs => {
                return Err(Problem::new(
                    ErrorCode::MissingField,
                    "A recipient with a text or listUnsubscribe of its own needs html of its own.",
                )
                .about("html"));
            }
            (None, Some(_)) => None,
            (None, None) => {
                return Err(Problem::new(
                    ErrorCode::MissingField,
                    "Neither the first line nor this recipient has html.",
                )
                .about("html"));
            }
        };
        let request = SendRequest {
            send_id: line.send_id,
            contact: line.contact,
            campaign: line.campaign.or_else(|| self.shared.campaign.clone()),
            status: line.status.or(self.shared.status),
            sent_at: line.sent_at.or(self.shared.sent_at),
        };
        Ok(Ready {
            send: request.parse(clock::now())?,
            own,
        })
    }

    /// One outcome for each of the group that could be read, in order.
    async fn register(
        &self,
        backend: &Backend,
        group: &[Result<Ready, Problem>],
        now: Timestamp,
    ) -> Vec<Option<Result<Addressee, Problem>>> {
        let sends: Vec<NewSend> = group
            .iter()
            .flatten()
            .map(|ready| ready.send.clone())
            .collect();
        let registered = address(backend, self.tenant.id, &sends, self.shared.dry_run, now).await;
        let mut outcomes = match registered {
            Ok(outcomes) => outcomes.into_iter(),
            Err(problem) => {
                let all = sends
                    .iter()
                    .map(|_| Err(problem.clone()))
                    .collect::<Vec<_>>();
                all.into_iter()
            }
        };
        group
            .iter()
            .map(|line| line.as_ref().ok().and_then(|_| outcomes.next()))
            .collect()
    }

    /// The mail of a recipient that is answered in pieces; takes the addressee then.
    fn large(
        &self,
        backend: &Data<Backend>,
        recipient: &Result<Ready, Problem>,
        addressee: &mut Option<Result<Addressee, Problem>>,
    ) -> Option<LargeMail> {
        let ready = recipient.as_ref().ok()?;
        let mail = ready.own.as_ref().or(self.mail.as_ref())?;
        if !mail.is_large() {
            return None;
        }
        let to = addressee.take_if(|addressee| addressee.is_ok())?.ok()?;
        Some(LargeMail {
            backend: backend.clone(),
            tenant: self.tenant.clone(),
            base: self.base.clone(),
            mail: mail.clone(),
            send: ready.send.id.clone(),
            to,
        })
    }

    fn answer(
        &self,
        recipient: &Result<Ready, Problem>,
        addressee: Option<Result<Addressee, Problem>>,
        rewriter: &mut Rewriter<'_>,
        chunk: &mut BytesMut,
    ) {
        let start = chunk.len();
        let missing = || Problem::internal("a recipient without an outcome");
        let written = match recipient {
            Err(problem) => Err(problem.clone()),
            Ok(ready) => match (addressee, ready.own.as_ref().or(self.mail.as_ref())) {
                (Some(Ok(to)), Some(mail)) => {
                    rewriter.write(mail, &ready.send.id, &to, &mut chunk.writer())
                }
                (Some(Err(problem)), _) => Err(problem),
                (None, _) | (_, None) => Err(missing()),
            },
        };
        if let Err(problem) = written {
            chunk.truncate(start);
            // A plain struct of text and numbers always serialises.
            let _ = serde_json::to_writer(
                chunk.writer(),
                &ErrorLine {
                    error: problem.document(),
                },
            );
        }
        chunk.put_u8(b'\n');
    }
}
