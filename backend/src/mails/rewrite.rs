//! One mail: what is decided before it is registered, and what is answered once it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use kraiter_wire::{ContactId, Day, SendId, TenantId, TenantSigner};
use serde::Serialize;

use super::large::LARGE_BYTES;
use super::{OwnUnsubscribe, Warning};
use crate::backend::Backend;
use crate::clock::Timestamp;
use crate::contacts::{self, Consent, Contact, ContactRef};
use crate::database::connect;
use crate::http::{ErrorCode, Problem};
use crate::random;
use crate::rewriting::{
    LinkReport, Options, Plan, Preview, Recipient, RewriteError, Rewritten, Rules, Scratch,
    Stencil, TrackingBase,
};
use crate::sends::http::{refused, register_group};
use crate::sends::registration::{NewSend, Refusal, Registered};
use crate::tenants::Settings;

/// The mail to send.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RewriteAnswer<'a> {
    #[schema(value_type = String, example = "snd_AaIJwhlqfVKlWImkRFn1qg")]
    send_id: &'a SendId<'a>,
    #[schema(value_type = String, example = "con_AZmzxNXmf4ChssPU5fYHGA")]
    contact_id: ContactId,
    html: &'a str,
    /// As it came, unless `trackText` was asked for; absent if the request had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    text: Option<&'a str>,
    /// Headers that the mail should have.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    headers: BTreeMap<&'static str, String>,
    /// Every link in document order: `{index, source, url, trackedUrl}`, or `{source, url?, skipped}`
    /// with the reason why it was left as it is.
    links: Vec<LinkReport<'a>>,
    warnings: Vec<Warning>,
}

/// A mail that was read and can be rewritten for any number of recipients.
pub(super) struct ReadyMail {
    plan: Plan<'static>,
    list_unsubscribe: Option<String>,
}

impl ReadyMail {
    /// Reads the mail. One that cannot be rewritten is refused here, before anything is registered.
    pub(super) fn read(
        html: String,
        text: Option<String>,
        list_unsubscribe: Option<String>,
        options: &Options,
        base: &TrackingBase,
    ) -> Result<Self, Problem> {
        OwnUnsubscribe::parse(list_unsubscribe.as_deref())
            .map_err(|error| Problem::invalid("listUnsubscribe", format!("{error}.")))?;
        let rules = Rules {
            options,
            base,
            list_unsubscribe: list_unsubscribe.as_deref(),
        };
        let plan = Plan::parse(html, text, &rules).map_err(unreadable)?;
        Ok(Self {
            plan,
            list_unsubscribe,
        })
    }
}

impl ReadyMail {
    /// The mail to look at, for nobody.
    pub(super) fn preview(&self) -> Preview {
        self.plan.preview()
    }

    /// Whether its answer had better be handed on in pieces.
    pub(super) fn is_large(&self) -> bool {
        self.plan.source_bytes() > LARGE_BYTES
    }
}

fn unreadable(error: RewriteError) -> Problem {
    match error {
        RewriteError::TooLarge { got, max } => Problem::new(
            ErrorCode::BodyTooLarge,
            format!("The mail has {got} bytes; at most {max} are rewritten."),
        ),
        RewriteError::Memory { max } => Problem::new(
            ErrorCode::MailTooComplex,
            format!(
                "Reading this mail takes more than {max} bytes of memory: one of its tags is very \
                 long."
            ),
        )
        .about("html"),
        RewriteError::Tokenizer(message) => Problem::internal(message),
    }
}

/// What links are signed with besides the send's id.
pub(super) struct Addressee {
    contact: Contact,
    day: Day,
}

/// Registers sends, or, on a dry run, only looks their contacts up.
pub(super) async fn address(
    backend: &Backend,
    tenant: TenantId,
    new: &[NewSend],
    dry_run: bool,
    now: Timestamp,
) -> Result<Vec<Result<Addressee, Problem>>, Problem> {
    if dry_run {
        let client = connect(&backend.pool).await?;
        let wanted: Vec<_> = new.iter().map(|new| &new.contact).collect();
        let known = contacts::store::find_all(&client, tenant, &wanted).await?;
        let addressee = |new: &NewSend| match (known.get(&new.contact), &new.contact) {
            (Some(contact), _) => Ok(contact.clone()),
            (None, ContactRef::Id(_)) => Err(refused(Refusal::UnknownContact, new)),
            (None, ContactRef::Email(_)) => Ok(Contact::unknown(
                ContactId::from_uuid(random::uuid_v7(now)),
                now,
            )),
        };
        // The first of all days: events on these links are older than any retention.
        let day = Day(0);
        return Ok(new
            .iter()
            .map(|new| addressee(new).map(|contact| Addressee { contact, day }))
            .collect());
    }
    let outcomes = register_group(backend, tenant, new, now).await?;
    let addressee = |outcome: Result<Registered, Problem>| {
        outcome.map(|registered| Addressee {
            day: registered.registered_at.0.day(),
            contact: registered.contact,
        })
    };
    Ok(outcomes.into_iter().map(addressee).collect())
}

/// Rewrites mails of one tenant, one after the other, in memory that is used again.
pub(super) struct Rewriter<'a> {
    settings: &'a Settings,
    base: &'a TrackingBase,
    signer: TenantSigner,
    scratch: Scratch,
    rewritten: Rewritten,
    /// A mail for many, written for all of them.
    prepared: Option<(Arc<ReadyMail>, Stencil)>,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        backend: &Backend,
        tenant: TenantId,
        settings: &'a Settings,
        base: &'a TrackingBase,
    ) -> Result<Self, Problem> {
        let signer = backend.keyring.signer(tenant);
        let signer = signer.ok_or_else(|| Problem::internal("the keyring lost its signing key"))?;
        let (scratch, rewritten) = Default::default();
        Ok(Self {
            settings,
            base,
            signer,
            scratch,
            rewritten,
            prepared: None,
        })
    }

    /// Makes ready for many recipients of one mail.
    pub(super) fn prepare(&mut self, mail: &Arc<ReadyMail>) {
        let stencil = mail.plan.stencil(&self.signer, &mut self.scratch);
        self.prepared = stencil.map(|stencil| (mail.clone(), stencil));
    }

    /// Appends the answer, as JSON.
    pub(super) fn write(
        &mut self,
        mail: &ReadyMail,
        send: &SendId<'_>,
        to: &Addressee,
        out: &mut impl std::io::Write,
    ) -> Result<(), Problem> {
        let contact = to.contact.id;
        let recipient = Recipient {
            signer: &self.signer,
            send,
            contact,
            day: to.day,
        };
        let (scratch, rewritten) = (&mut self.scratch, &mut self.rewritten);
        let mut plan = Cow::Borrowed(&mail.plan);
        match &self.prepared {
            _ if to.contact.consent == Some(Consent::Withdrawn) => {
                plan = Cow::Owned(mail.plan.untracked());
                plan.render_into(&recipient, scratch, rewritten);
            }
            Some((prepared, stencil)) if std::ptr::eq(&**prepared, mail) => {
                stencil.render_into(&recipient, scratch, rewritten);
            }
            _ => plan.render_into(&recipient, scratch, rewritten),
        }
        let ours = recipient.unsubscribe_url(self.base, &mut self.scratch);
        let own = OwnUnsubscribe::parse(mail.list_unsubscribe.as_deref());
        let answer = RewriteAnswer {
            send_id: send,
            contact_id: contact,
            html: &self.rewritten.html,
            text: self.rewritten.text.as_deref(),
            headers: own.map_err(Problem::internal)?.headers(&ours),
            links: plan.links(&self.rewritten).collect(),
            warnings: self.warnings(&to.contact),
        };
        serde_json::to_writer(out, &answer).map_err(Problem::internal)
    }

    fn warnings(&self, contact: &Contact) -> Vec<Warning> {
        [
            (self.rewritten.is_clipped_by_gmail(), Warning::GmailClip),
            (
                !self.settings.tracking_origin.is_https(),
                Warning::OriginNotHttps,
            ),
            (
                contact.unsubscribed_at.is_some(),
                Warning::ContactUnsubscribed,
            ),
            (contact.suppressed_at.is_some(), Warning::ContactSuppressed),
            (!self.settings.tracking_enabled, Warning::TrackingDisabled),
            (
                contact.consent == Some(Consent::Withdrawn),
                Warning::NoConsent,
            ),
        ]
        .into_iter()
        .filter_map(|(holds, warning)| holds.then_some(warning))
        .collect()
    }
}
