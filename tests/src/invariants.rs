//! A mail rewritten for one recipient, and what has to hold of it whatever the mail is.
//!
//! The corpus test, the bench and the fuzz target share this: one statement of the invariants.

use kraiter_backend::rewriting::{
    LinkReport, Options, Plan, Recipient, RewriteError, Rewritten, Rules, Scratch, SkipReason,
    TrackingBase,
};
use kraiter_wire::{
    ContactId, Day, KeyId, Keyring, Link, LinkIndex, Secret, SendId, TenantId, TenantSigner,
    Verifier,
};

/// Where the links of the recipient lead.
pub const ORIGIN: &str = "https://t.example.com";

const SECRET: [u8; 32] = [7; 32];
const CONTACT: [u8; 16] = [5; 16];
const DAY: Day = Day(20_780);

/// A mail as a request holds it. Its parts do not share memory: reports are told apart by where
/// their text lies.
#[derive(Clone, Debug, Default)]
pub struct Request<'m> {
    pub html: &'m str,
    pub text: Option<&'m str>,
    pub options: Options,
    pub list_unsubscribe: Option<&'m str>,
}

/// The one recipient, with all that is signed with and verified with.
pub struct Reader {
    pub base: TrackingBase,
    signer: TenantSigner,
    send: SendId<'static>,
    verifier: Verifier,
    scratch: Scratch,
    pixel_url: String,
    unsubscribe_url: String,
}

/// What an invariant says and how a mail broke it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

/// What became of a part of a mail: output bytes, and what they were before.
struct Edit<'e> {
    start: usize,
    end: usize,
    before: &'e str,
}

impl Reader {
    /// `None` if the fixed ids above were no ids.
    pub fn new() -> Option<Self> {
        let key = KeyId::new(1)?;
        let secret = Secret::from_bytes(SECRET);
        let keyring = Keyring::new([(key, secret.clone())]).ok()?;
        let mut reader = Self {
            base: TrackingBase::parse(ORIGIN, "").ok()?,
            signer: TenantSigner::new(key, &secret, TenantId::new(12)?),
            send: SendId::parse("snd_corpus").ok()?,
            verifier: Verifier::new(&keyring),
            scratch: Scratch::default(),
            pixel_url: String::new(),
            unsubscribe_url: String::new(),
        };
        reader.pixel_url = format!("{ORIGIN}/o/{}.gif", reader.token(Link::Open));
        reader.unsubscribe_url = format!("{ORIGIN}/u/{}", reader.token(Link::Unsubscribe));
        Some(reader)
    }

    fn token(&self, link: Link<'_>) -> String {
        let contact = ContactId::from_bytes(CONTACT);
        self.signer.for_mail(&self.send, contact, DAY).token(&link)
    }

    pub fn parse<'m>(&self, mail: &Request<'m>) -> Result<Plan<'m>, RewriteError> {
        let rules = Rules {
            options: &mail.options,
            base: &self.base,
            list_unsubscribe: mail.list_unsubscribe,
        };
        Plan::parse(mail.html, mail.text, &rules)
    }

    pub fn render_into(&mut self, plan: &Plan<'_>, rewritten: &mut Rewritten) {
        let recipient = Recipient {
            signer: &self.signer,
            send: &self.send,
            contact: ContactId::from_bytes(CONTACT),
            day: DAY,
        };
        plan.render_into(&recipient, &mut self.scratch, rewritten);
    }

    pub fn render(&mut self, plan: &Plan<'_>) -> Rewritten {
        let mut rewritten = Rewritten::default();
        self.render_into(plan, &mut rewritten);
        rewritten
    }

    /// Where the pixel stands in the output.
    pub fn pixel(&self, rewritten: &Rewritten) -> Option<std::ops::Range<usize>> {
        let url = rewritten.html.find(&self.pixel_url)?;
        let start = rewritten.html.get(..url)?.rfind("<img ")?;
        let length = rewritten.html.get(url..)?.find('>')?;
        Some(start..url + length + 1)
    }

    /// Rewrites the mail and checks everything that holds of any mail.
    pub fn check(&mut self, mail: &Request<'_>) -> Result<(), Broken> {
        let plan = match self.parse(mail) {
            Ok(plan) => plan,
            // A refusal is an answer; nothing was rewritten.
            Err(RewriteError::Memory { .. } | RewriteError::TooLarge { .. }) => return Ok(()),
            Err(error) => return Err(Broken(format!("parsing failed: {error}"))),
        };
        let mut rewritten = self.render(&plan);
        self.gives_the_input_back(mail, &plan, &rewritten)?;
        self.tracked_urls_verify(&plan, &rewritten)?;
        self.has_one_pixel(mail, &rewritten)?;
        self.rewriting_again_changes_nothing(mail, &rewritten)?;
        let first = (rewritten.html.clone(), rewritten.text.clone());
        self.render_into(&plan.clone().into_owned(), &mut rewritten);
        let again = (rewritten.html, rewritten.text);
        holds(
            first == again,
            "used memory and an owned plan make no difference",
        )?;
        self.a_stencil_makes_no_difference(&plan, &first)
    }

    fn a_stencil_makes_no_difference(
        &mut self,
        plan: &Plan<'_>,
        first: &(String, Option<String>),
    ) -> Result<(), Broken> {
        let Some(stencil) = plan.stencil(&self.signer, &mut self.scratch) else {
            return Ok(());
        };
        let mut rewritten = Rewritten::default();
        let contact = ContactId::from_bytes(CONTACT);
        let recipient = Recipient {
            signer: &self.signer,
            send: &self.send,
            contact,
            day: DAY,
        };
        stencil.render_into(&recipient, &mut self.scratch, &mut rewritten);
        let urls = |rewritten: &Rewritten| {
            let links = plan.links(rewritten);
            links
                .map(|link| link.tracked_url.map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let plainly = self.render(plan);
        holds(
            urls(&plainly) == urls(&rewritten),
            "the links of a stencil are where it says",
        )?;
        holds(
            *first == (rewritten.html, rewritten.text),
            "a stencil makes no difference",
        )
    }

    fn gives_the_input_back(
        &self,
        mail: &Request<'_>,
        plan: &Plan<'_>,
        rewritten: &Rewritten,
    ) -> Result<(), Broken> {
        let pixel = self.pixel(rewritten);
        let pixel = pixel.map(|range| Edit {
            start: range.start,
            end: range.end,
            before: "",
        });
        let links: Vec<_> = plan.links(rewritten).collect();
        let (of_html, of_text): (Vec<_>, Vec<_>) = links
            .into_iter()
            .partition(|link| offset_in(mail.html, link.source).is_some());
        let html = self.undone(&rewritten.html, &of_html, pixel)?;
        holds_same("html", mail.html, &html)?;
        let text = rewritten.text.as_deref().unwrap_or_default();
        let text = self.undone(text, &of_text, None)?;
        holds_same("text", mail.text.unwrap_or_default(), &text)?;
        holds(
            mail.text.is_some() == rewritten.text.is_some(),
            "there is a text if there was one",
        )
    }

    /// The output with what the author wrote in place of what was put in.
    fn undone<'e>(
        &self,
        output: &'e str,
        links: &[LinkReport<'e>],
        pixel: Option<Edit<'e>>,
    ) -> Result<String, Broken> {
        let mut edits: Vec<Edit<'_>> = Vec::with_capacity(links.len() + 1);
        let mut seen = 0;
        for link in links {
            let (start, length) = match link.tracked_url {
                Some(tracked) => (offset_in(output, tracked), tracked.len()),
                None if is_own_unsubscribe(link) => {
                    let rest = output.get(seen..).unwrap_or_default();
                    let at = rest.find(&self.unsubscribe_url);
                    (at.map(|at| seen + at), self.unsubscribe_url.len())
                }
                None => continue,
            };
            let Some(start) = start.filter(|start| *start >= seen) else {
                return Err(Broken(format!("links are in order, {link:?} is not")));
            };
            seen = start + length;
            edits.push(Edit {
                start,
                end: seen,
                before: link.source,
            });
        }
        edits.extend(pixel);
        edits.sort_by_key(|edit| edit.start);
        let mut undone = String::with_capacity(output.len());
        let mut copied = 0;
        for edit in edits {
            undone.push_str(output.get(copied..edit.start).unwrap_or_default());
            undone.push_str(edit.before);
            copied = edit.end;
        }
        undone.push_str(output.get(copied..).unwrap_or_default());
        Ok(undone)
    }

    fn tracked_urls_verify(
        &mut self,
        plan: &Plan<'_>,
        rewritten: &Rewritten,
    ) -> Result<(), Broken> {
        let mut expected = 0;
        for link in plan.links(rewritten) {
            let wrapped = (link.index, link.tracked_url);
            let (Some(index), Some(tracked)) = wrapped else {
                let skipped = link.skipped.is_some() && wrapped == (None, None);
                holds(skipped, "a link is wrapped, or skipped for a reason")?;
                continue;
            };
            holds(index == expected, "indices count from 0")?;
            expected += 1;
            let token = tracked.strip_prefix(ORIGIN);
            let token = token.and_then(|path| path.strip_prefix("/c/"));
            let token = token.unwrap_or_default().as_bytes();
            let says = match self.verifier.verify(token).map(|token| token.into_claims()) {
                Ok(claims) => claims,
                Err(error) => return Err(Broken(format!("{tracked} does not verify: {error}"))),
            };
            let Link::Click { index, url } = says.link else {
                return Err(Broken(format!("{tracked} is no click")));
            };
            holds(
                index == LinkIndex(expected - 1) && Some(url.as_str()) == link.url,
                "a tracked URL leads to `url`",
            )?;
        }
        Ok(())
    }

    fn has_one_pixel(&mut self, mail: &Request<'_>, rewritten: &Rewritten) -> Result<(), Broken> {
        let found = rewritten.html.matches(&self.pixel_url).count();
        let has_own = mail.html.contains(&format!("{ORIGIN}/o/"));
        let wanted = usize::from(mail.options.track_opens);
        holds(
            found == wanted || (has_own && found == 0),
            "there is exactly one pixel if one was asked for",
        )
    }

    fn rewriting_again_changes_nothing(
        &mut self,
        mail: &Request<'_>,
        rewritten: &Rewritten,
    ) -> Result<(), Broken> {
        let again = Request {
            html: &rewritten.html,
            text: rewritten.text.as_deref(),
            ..mail.clone()
        };
        let plan = match self.parse(&again) {
            Ok(plan) => plan,
            // A longer mail may meet a limit that the shorter one did not.
            Err(RewriteError::Memory { .. } | RewriteError::TooLarge { .. }) => return Ok(()),
            Err(error) => return Err(Broken(format!("parsing again failed: {error}"))),
        };
        let twice = self.render(&plan);
        holds_same("html rewritten twice", &rewritten.html, &twice.html)?;
        let (once, twice) = (rewritten.text.as_deref(), twice.text.as_deref());
        holds_same(
            "text rewritten twice",
            once.unwrap_or_default(),
            twice.unwrap_or_default(),
        )
    }
}

/// Where `part` starts in `whole`, if it is a part of it (not merely equal to one).
pub fn offset_in(whole: &str, part: &str) -> Option<usize> {
    let offset = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (offset + part.len() <= whole.len()).then_some(offset)
}

/// `kraiter:unsubscribe`, the one link that is replaced and not reported as wrapped.
pub fn is_own_unsubscribe(link: &LinkReport<'_>) -> bool {
    link.skipped == Some(SkipReason::Unsubscribe) && link.url.is_none()
}

fn holds(condition: bool, invariant: &str) -> Result<(), Broken> {
    match condition {
        true => Ok(()),
        false => Err(Broken(format!("broken: {invariant}"))),
    }
}

fn holds_same(what: &str, wanted: &str, got: &str) -> Result<(), Broken> {
    if wanted == got {
        return Ok(());
    }
    let pairs = wanted.bytes().zip(got.bytes());
    let at = pairs.take_while(|(wanted, got)| wanted == got).count();
    let around = |text: &str| {
        let from = text.floor_char_boundary(at.saturating_sub(40));
        let until = text.floor_char_boundary(at + 80);
        text.get(from..until).unwrap_or_default().to_owned()
    };
    Err(Broken(format!(
        "{what} differs from byte {at} on: {:?} became {:?}",
        around(wanted),
        around(got)
    )))
}
