//! A plan written once for all recipients of a batch: each has only the ends of the tokens filled
//! in, the rest is copied.

use kraiter_wire::{Link, SigningScratch, TenantSigner, TokenStart};

use super::plan::Plan;
use super::render::{Pen, Recipient, Rewritten, Scratch, Writer};
use super::span::Span;

/// Larger mails are not kept written: each costs its size once more.
const MAX_SOURCE_BYTES: usize = 2 * 1024 * 1024;

/// Signatures that are made before they are put in: few enough to stay in the nearest cache.
const SIGNED_TOGETHER: usize = 64;

/// A mail of one tenant, written up to what differs from recipient to recipient.
pub struct Stencil {
    html: Written,
    text: Option<Written>,
}

#[derive(Default)]
struct Written {
    text: String,
    slots: Vec<Slot>,
}

/// Where the rest of a token goes in.
struct Slot {
    start: TokenStart,
    at: u32,
    /// How much of the link's URL stands before it; none of a pixel's counts.
    url_bytes: u32,
}

impl Plan<'_> {
    /// Writes what all recipients share, as `signer` signs it. `None` if keeping that would take
    /// much more memory than the mail itself: such a mail is rendered from its plan.
    pub fn stencil(&self, signer: &TenantSigner, scratch: &mut Scratch) -> Option<Stencil> {
        let slots = self.signed_urls() * size_of::<Slot>();
        if self.source_bytes() > MAX_SOURCE_BYTES || slots > self.source_bytes() {
            return None;
        }
        let pen = Starting {
            signer,
            scratch: &mut scratch.signing,
            slots: Vec::new(),
        };
        let mut writer = Writer::new(self, pen);
        let mut html = Written::default();
        writer.html(&mut html.text);
        html.slots = std::mem::take(&mut writer.pen.slots);
        let text = self.text.as_deref().map(|source| {
            let mut text = Written::default();
            writer.text(source, &mut text.text);
            text.slots = std::mem::take(&mut writer.pen.slots);
            text
        });
        Some(Stencil { html, text })
    }
}

/// Writes the starts of tokens and notes where they end.
struct Starting<'s> {
    signer: &'s TenantSigner,
    scratch: &'s mut SigningScratch,
    slots: Vec<Slot>,
}

impl Pen for Starting<'_> {
    fn token(&mut self, link: &Link<'_>, out: &mut String) {
        self.slots.push(Slot {
            start: self.signer.start(link, self.scratch, out),
            at: offset(out.len()),
            url_bytes: 0,
        });
    }

    fn signed(&mut self, url: Span) {
        if let Some(slot) = self.slots.last_mut() {
            slot.url_bytes = offset(url.end() - url.start());
        }
    }
}

/// Mails that are kept written are far smaller than 32 bits reach.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Stencil {
    /// Fills in what is the recipient's own, who has the signer the stencil was made with.
    pub fn render_into(
        &self,
        recipient: &Recipient<'_>,
        scratch: &mut Scratch,
        rewritten: &mut Rewritten,
    ) {
        let mut signer = recipient.signer();
        let Rewritten { html, text, signed } = rewritten;
        signed.clear();
        let mut fill = |written: &Written, out: &mut String| {
            out.clear();
            out.reserve(written.text.len() + written.slots.len() * signer.most_chars());
            let mut copied = 0;
            for slots in written.slots.chunks(SIGNED_TOGETHER) {
                let starts = slots.iter().map(|slot| &slot.start);
                signer.signatures(starts, &mut scratch.signatures);
                for (slot, signature) in slots.iter().zip(&scratch.signatures) {
                    let at = slot.at as usize;
                    out.push_str(written.text.get(copied..at).unwrap_or_default());
                    copied = at;
                    let start = out.len() - slot.url_bytes as usize;
                    signer.finish(&slot.start, signature, out);
                    if slot.url_bytes > 0 {
                        signed.push(Span::new(start..out.len()));
                    }
                }
            }
            out.push_str(written.text.get(copied..).unwrap_or_default());
        };
        fill(&self.html, html);
        *text = self.text.as_ref().map(|written| {
            let mut out = text.take().unwrap_or_default();
            fill(written, &mut out);
            out
        });
    }
}
