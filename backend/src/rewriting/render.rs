//! A plan for one recipient: copying and signing.

use kraiter_wire::{
    ContactId, Day, Destination, Link, LinkIndex, MailSigner, SendId, Signature, SigningScratch,
    TenantSigner,
};

use super::TrackingBase;
use super::judgement::Verdict;
use super::pixel;
use super::plan::{Plan, PlannedLink};
use super::span::Span;

/// Gmail shows no more of a message than 102 kB and cuts the rest off, pixel included.
pub const GMAIL_CLIP_BYTES: usize = 102_000;

/// Room for the token of a usual link beside its URL, encoded.
const USUAL_TOKEN_CHARS: usize = 160;

/// Who the mail is for and who signs it.
#[derive(Clone, Copy)]
pub struct Recipient<'r> {
    pub signer: &'r TenantSigner,
    pub send: &'r SendId<'r>,
    pub contact: ContactId,
    /// The day the send is registered on.
    pub day: Day,
}

/// Working memory that is kept from one recipient to the next.
#[derive(Default)]
pub struct Scratch {
    pub(super) signing: SigningScratch,
    pub(super) signatures: Vec<Signature>,
}

/// A recipient's copy of a mail.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    pub html: String,
    pub text: Option<String>,
    /// Where the signed URLs of the links are, first those of `html`, then those of `text`.
    pub(super) signed: Vec<Span>,
}

impl Rewritten {
    /// Whether Gmail will cut the mail off.
    pub fn is_clipped_by_gmail(&self) -> bool {
        self.html.len() > GMAIL_CLIP_BYTES
    }
}

impl Recipient<'_> {
    /// Where this recipient ends the subscription, for links and for `List-Unsubscribe`.
    pub fn unsubscribe_url(&self, base: &TrackingBase, scratch: &mut Scratch) -> String {
        let mut url = String::with_capacity(base.as_str().len() + USUAL_TOKEN_CHARS);
        url.push_str(base.as_str());
        url.push_str("/u/");
        self.signer()
            .sign(&Link::Unsubscribe, &mut scratch.signing, &mut url);
        url
    }

    pub(super) fn signer(&self) -> MailSigner<'_> {
        self.signer.for_mail(self.send, self.contact, self.day)
    }
}

impl Plan<'_> {
    pub fn render(&self, recipient: &Recipient<'_>, scratch: &mut Scratch) -> Rewritten {
        let mut rewritten = Rewritten::default();
        self.render_into(recipient, scratch, &mut rewritten);
        rewritten
    }

    /// Renders into memory that was used before.
    pub fn render_into(
        &self,
        recipient: &Recipient<'_>,
        scratch: &mut Scratch,
        rewritten: &mut Rewritten,
    ) {
        rewritten.signed.clear();
        rewritten.html.clear();
        let mut writer = Writer::new(
            self,
            Signing {
                signer: recipient.signer(),
                scratch: &mut scratch.signing,
                signed: &mut rewritten.signed,
            },
        );
        writer.html(&mut rewritten.html);
        rewritten.text = self.text.as_deref().map(|text| {
            let mut out = rewritten.text.take().unwrap_or_default();
            out.clear();
            writer.text(text, &mut out);
            out
        });
    }
}

/// What is done where a signed URL goes.
pub(super) trait Pen {
    /// Appends the token.
    fn token(&mut self, link: &Link<'_>, out: &mut String);
    /// Is told where the URL of a link stands; a pixel's is none.
    fn signed(&mut self, url: Span);
}

struct Signing<'s> {
    signer: MailSigner<'s>,
    scratch: &'s mut SigningScratch,
    signed: &'s mut Vec<Span>,
}

impl Pen for Signing<'_> {
    fn token(&mut self, link: &Link<'_>, out: &mut String) {
        self.signer.sign(link, self.scratch, out);
    }

    fn signed(&mut self, url: Span) {
        self.signed.push(url);
    }
}

/// Writes what a plan says, with a pen for what is signed.
pub(super) struct Writer<'w, P> {
    plan: &'w Plan<'w>,
    pub(super) pen: P,
    /// Of the next wrapped link, through both parts.
    index: u32,
}

impl<'w, P: Pen> Writer<'w, P> {
    pub(super) fn new(plan: &'w Plan<'w>, pen: P) -> Self {
        Self {
            plan,
            pen,
            index: 0,
        }
    }

    pub(super) fn html(&mut self, out: &mut String) {
        self.part(&self.plan.html, &self.plan.html_links, self.plan.pixel, out);
    }

    pub(super) fn text(&mut self, text: &str, out: &mut String) {
        self.part(text, &self.plan.text_links, None, out);
    }

    fn part(
        &mut self,
        source: &str,
        links: &[PlannedLink],
        mut pixel: Option<usize>,
        out: &mut String,
    ) {
        out.reserve(source.len() + (links.len() + 1) * USUAL_TOKEN_CHARS);
        let mut copied = 0;
        for link in links {
            if let Some(at) = pixel.take_if(|at| *at <= link.source.start()) {
                copy(source, &mut copied, at, out);
                self.pixel(out);
            }
            let (path, claims) = match link.verdict {
                Verdict::Skip(..) => continue,
                Verdict::SignUnsubscribe => ("/u/", Link::Unsubscribe),
                Verdict::Wrap(url) => {
                    let url = url.of(source, &self.plan.arena);
                    // Judged before, so it is a destination.
                    let Ok(url) = Destination::parse(url) else {
                        continue;
                    };
                    let index = LinkIndex(self.index);
                    self.index += 1;
                    ("/c/", Link::Click { index, url })
                }
            };
            copy(source, &mut copied, link.source.start(), out);
            let start = out.len();
            self.sign(path, &claims, out);
            self.pen.signed(Span::new(start..out.len()));
            copied = link.source.end();
        }
        if let Some(at) = pixel {
            copy(source, &mut copied, at, out);
            self.pixel(out);
        }
        copy(source, &mut copied, source.len(), out);
    }

    fn sign(&mut self, path: &str, link: &Link<'_>, out: &mut String) {
        out.push_str(self.plan.base.as_str());
        out.push_str(path);
        self.pen.token(link, out);
    }

    fn pixel(&mut self, out: &mut String) {
        out.push_str(pixel::BEFORE_URL);
        self.sign("/o/", &Link::Open, out);
        out.push_str(".gif");
        out.push_str(pixel::AFTER_URL);
    }
}

/// Copies the source up to `until`.
fn copy(source: &str, copied: &mut usize, until: usize, out: &mut String) {
    out.push_str(source.get(*copied..until).unwrap_or_default());
    *copied = until;
}
