//! The rewriting engine and what it is measured beside, called directly.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use kraiter_backend::rewriting::{
    Options, Plan, Recipient, Rewritten, Rules, Scratch, Stencil, TrackingBase,
};
use kraiter_tests::corpus::Mail;
use kraiter_tests::trouble::{Outcome, Trouble};
use kraiter_wire::{ContactId, Day, KeyId, Secret, SendId, TenantId, TenantSigner};

use super::in_turns;

/// Recipients of one batch; what reading the mail costs is shared by them.
const RECIPIENTS: u32 = 1000;

const DAY: Day = Day(20_780);

/// The engine as the service uses it: memory is kept from one mail to the next.
pub(super) struct Engine {
    base: TrackingBase,
    options: Options,
    signer: TenantSigner,
    scratch: Scratch,
    rewritten: Rewritten,
    recipients: u32,
}

impl Engine {
    pub(super) fn new() -> Outcome<Self> {
        let ids = KeyId::new(1).zip(TenantId::new(12));
        let (key, tenant) = ids.ok_or_else(|| failed("the ids are no ids"))?;
        Ok(Self {
            base: TrackingBase::parse("https://t.example.com", "").map_err(failed)?,
            options: Options::default(),
            signer: TenantSigner::new(key, &Secret::from_bytes([7; 32]), tenant),
            scratch: Scratch::default(),
            rewritten: Rewritten::default(),
            recipients: 0,
        })
    }

    fn parse<'m>(&self, mail: &'m Mail) -> Outcome<Plan<'m>> {
        let rules = Rules {
            options: &self.options,
            base: &self.base,
            list_unsubscribe: None,
        };
        Plan::parse(mail.html.as_str(), None::<&str>, &rules).map_err(failed)
    }

    /// Renders for a recipient who had nothing yet, from the stencil if there is one.
    fn render(&mut self, plan: &Plan<'_>, stencil: Option<&Stencil>) -> Outcome<()> {
        self.recipients = self.recipients.wrapping_add(1);
        let number = self.recipients;
        let send = format!("snd_bench_{number:010}");
        let mut contact = [5; 16];
        for (to, from) in contact.iter_mut().zip(number.to_be_bytes()) {
            *to = from;
        }
        let recipient = Recipient {
            signer: &self.signer,
            send: &SendId::parse(&send).map_err(failed)?,
            contact: ContactId::from_bytes(contact),
            day: DAY,
        };
        let (scratch, rewritten) = (&mut self.scratch, &mut self.rewritten);
        match stencil {
            Some(stencil) => stencil.render_into(&recipient, scratch, rewritten),
            None => plan.render_into(&recipient, scratch, rewritten),
        }
        black_box(&self.rewritten);
        Ok(())
    }

    /// Reads and renders every mail once.
    pub(super) fn rewrite_each(&mut self, mails: &[&Mail]) -> Outcome<()> {
        for mail in mails {
            let plan = self.parse(mail)?;
            self.render(&plan, None)?;
        }
        Ok(())
    }
}

/// `lol_html` without a handler: every byte goes through its tokenizer and comes out again.
pub(super) fn pass_through(mails: &[&Mail], output: &mut Vec<u8>) -> Outcome<()> {
    for mail in mails {
        output.clear();
        let settings = lol_html::Settings::new().with_strict(false);
        let sink = |bytes: &[u8]| output.extend_from_slice(bytes);
        let mut rewriter = lol_html::HtmlRewriter::new(settings, sink);
        rewriter.write(mail.html.as_bytes()).map_err(failed)?;
        rewriter.end().map_err(failed)?;
        if output.len() != mail.html.len() {
            return Err(failed(
                "lol_html changed a mail that it was to pass through",
            ));
        }
        black_box(&output);
    }
    Ok(())
}

/// Seconds for one recipient's copy of the mail: as one of a batch, and read anew for each.
pub(super) fn batched_and_single(
    engine: &mut Engine,
    mail: &Mail,
    time: Duration,
) -> Outcome<(f64, f64)> {
    let began = Instant::now();
    let plan = engine.parse(mail)?;
    let stencil = plan.stencil(&engine.signer, &mut engine.scratch);
    let shared = began.elapsed().as_secs_f64() / f64::from(RECIPIENTS);
    let shared_engine = RefCell::new(engine);
    let (batched, single) = in_turns(
        time,
        || shared_engine.borrow_mut().render(&plan, stencil.as_ref()),
        || shared_engine.borrow_mut().rewrite_each(&[mail]),
    )?;
    Ok((batched + shared, single))
}

fn failed(error: impl ToString) -> Trouble {
    Trouble::io("rewriting")(std::io::Error::other(error.to_string()))
}
