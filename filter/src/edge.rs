//! Roots, one for each plugin configuration, and the requests under them.
//!
//! Carries plans out. What to answer and what to record is decided in [`crate::plan`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use kraiter_wire::Verifier;

use crate::address::{AddressMode, AddressSource, AddressText, Ask, host_of, kept_address};
use crate::answers::{Answer, Answers};
use crate::config::Config;
use crate::delivery::{CallId, Reply, RootId};
use crate::host::LogLevel;
use crate::metrics::{Counter, Request as Requests};
use crate::plan::{Event, Plan, plan};
use crate::request::RequestHead;
use crate::vm::{Missing, Vm};
use crate::{environment, host};

/// How soon a full batch leaves. A call started from a request would cost that request its answer,
/// so the next tick is brought forward instead.
const AT_ONCE: Duration = Duration::from_millis(1);

/// One plugin configuration at work.
struct Serving {
    config: Config,
    tools: RefCell<Tools>,
    address_source: AddressSource,
    tick: Duration,
    /// The next tick was brought forward.
    hurried: Cell<bool>,
}

impl Serving {
    /// What is kept of the client's address.
    #[inline]
    fn client(&self, event: &Event<'_>, vm: &mut Vm) -> Option<AddressText> {
        let mode = self.config.address;
        if mode == AddressMode::None {
            return None;
        }
        let (believed, compared) = match self.address_source.ask(event.external_address) {
            Ask::Believe(header) => return kept_address(header, mode),
            Ask::Connection => (None, None),
            Ask::Compare(header) => (Some(header), Some(header)),
        };
        let source = host::source_address();
        let connection = source.as_deref().and_then(host_of);
        if compared.is_some() && connection.is_some() && compared != connection {
            self.address_source.differs();
            vm.header_differs();
        }
        kept_address(connection.or(believed)?, mode)
    }
}

struct Tools {
    verifier: Verifier,
    answers: Answers,
}

/// A root context. More than one is there while a changed configuration takes over, and where
/// several listeners share the VM.
struct Root {
    id: RootId,
    serving: Option<Rc<Serving>>,
    life: Life,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Serving,
    /// The proxy wants it gone; it waits for the answers to its calls.
    Ending,
}

thread_local! {
    static ROOTS: RefCell<Vec<Root>> = const { RefCell::new(Vec::new()) };
    /// The request that was announced last, and its root: the proxy announces each one right before
    /// it hands its headers over.
    static ANNOUNCED: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

pub(crate) fn root_created(id: u32) {
    let root = Root {
        id: RootId(id),
        serving: None,
        life: Life::Serving,
    };
    ROOTS.with_borrow_mut(|roots| roots.push(root));
}

#[inline]
pub(crate) fn request_created(context: u32, root: u32) {
    ANNOUNCED.set((context, root));
}

fn serving_of(id: RootId) -> Option<Rc<Serving>> {
    ROOTS.with_borrow(|roots| roots.iter().find(|root| root.id == id)?.serving.clone())
}

/// The configuration that a request came in under. One that was not announced gets the newest.
#[inline]
fn serving_for(context: u32) -> Option<Rc<Serving>> {
    let (announced, root) = ANNOUNCED.get();
    if announced == context
        && let Some(serving) = serving_of(RootId(root))
    {
        return Some(serving);
    }
    let newest = |roots: &Vec<Root>| roots.iter().rev().find_map(|root| root.serving.clone());
    ROOTS.with_borrow(newest)
}

/// Takes the root's configuration over; `false` refuses it.
pub(crate) fn configure(root: u32) -> bool {
    match read_configuration() {
        Ok(serving) => {
            ROOTS.with_borrow_mut(|roots| {
                if let Some(root) = roots.iter_mut().find(|it| it.id == RootId(root)) {
                    root.serving = Some(Rc::new(serving));
                }
            });
            true
        }
        Err(problems) => {
            let line = format!("kraiter: configuration refused: {problems}");
            host::log(LogLevel::Error, &line);
            false
        }
    }
}

fn read_configuration() -> Result<Serving, String> {
    let json = host::plugin_configuration().unwrap_or_default();
    let block = host::environment().unwrap_or_default();
    let config = Config::parse(&json, |name| environment::find(&block, name))?;
    let missing = |Missing(what)| format!("allowed_capabilities: {what} is missing");
    Vm::configure(&config, &block).map_err(missing)?;
    let tick = config.delivery.tick();
    if !host::tick_every(tick) {
        return Err(missing(Missing("proxy_set_tick_period_milliseconds")));
    }
    let tools = Tools {
        verifier: Verifier::new(&config.keyring),
        answers: Answers::new(config.fallback_url.as_ref()),
    };
    let address_source = AddressSource::new(config.address_from);
    Ok(Serving {
        config,
        address_source,
        tools: RefCell::new(tools),
        tick,
        hurried: Cell::new(false),
    })
}

pub(crate) fn tick(root: u32) {
    if let Some(serving) = serving_of(RootId(root))
        && serving.hurried.take()
    {
        host::tick_every(serving.tick);
    }
    if life_of(RootId(root)) == Some(Life::Serving) {
        Vm::with(|vm| vm.tick(RootId(root)));
    }
}

pub(crate) fn answered(root: u32, call: u32, headers: usize) {
    // A collector that closes in the middle of its answer leaves no headers at all.
    let status = match headers {
        0 => None,
        _ => host::call_response_header(":status").and_then(|status| number(&status)),
    };
    let reply = match status.and_then(|status| u16::try_from(status).ok()) {
        Some(status) => Reply::Status {
            status,
            retry_after: match status {
                429 | 503 => host::call_response_header("retry-after")
                    .and_then(|seconds| number(&seconds))
                    .map(|seconds| Duration::from_secs(u64::from(seconds))),
                _ => None,
            },
        },
        None => Reply::Broken,
    };
    let id = RootId(root);
    let ending = life_of(id) == Some(Life::Ending);
    let waiting = Vm::with(|vm| {
        vm.answered(id, CallId(call), reply, !ending);
        vm.has_calls(id)
    });
    if ending && waiting != Some(true) {
        remove(id);
        host::done();
    }
}

/// Another VM has left events for this one.
pub(crate) fn queue_ready() {
    Vm::with(Vm::take_over);
}

fn life_of(id: RootId) -> Option<Life> {
    ROOTS.with_borrow(|roots| Some(roots.iter().find(|root| root.id == id)?.life))
}

fn remove(id: RootId) {
    ROOTS.with_borrow_mut(|roots| roots.retain(|root| root.id != id));
    Vm::with(|vm| vm.root_ended(id));
}

/// A context is about to end. `true`: it may; `false`: it says so itself later.
#[inline]
pub(crate) fn done(context: u32) -> bool {
    match life_of(RootId(context)) {
        // A request, most of the time.
        None => true,
        Some(_) => root_done(RootId(context)),
    }
}

fn root_done(id: RootId) -> bool {
    let others = ROOTS.with_borrow_mut(|roots| {
        if let Some(root) = roots.iter_mut().find(|root| root.id == id) {
            root.life = Life::Ending;
        }
        let serves = |root: &Root| root.life == Life::Serving && root.serving.is_some();
        roots.iter().any(serves)
    });
    if !others {
        ROOTS.with_borrow_mut(Vec::clear);
        Vm::with(Vm::end);
        return true;
    }
    // A newer configuration has taken over: buffer and counters are its own already.
    if Vm::with(|vm| vm.has_calls(id)) == Some(true) {
        return false;
    }
    remove(id);
    true
}

/// `true`: the request was answered. Otherwise it goes on to its route.
#[inline]
pub(crate) fn request(context: u32) -> bool {
    let serving = serving_for(context);
    serving.as_deref().and_then(answer).unwrap_or_default()
}

/// `None` or `Some(false)`: not answered.
#[inline]
fn answer(serving: &Serving) -> Option<bool> {
    let pairs = host::request_headers()?;
    let head = RequestHead::read(&pairs);
    let config = &serving.config;
    let mut tools = serving.tools.try_borrow_mut().ok()?;
    let Tools { verifier, answers } = &mut *tools;
    let answer = Vm::with(|vm| {
        let prefix = &config.path_prefix;
        let plan = plan(prefix, config.accept_language, verifier, &vm.policy, &head);
        carry_out(vm, serving, plan)
    });
    let answer = answer.flatten()?;
    Some(host::respond(answers.response(&answer)))
}

/// Counts and records; gives back what is left to do, the answer.
#[inline]
fn carry_out<'a>(vm: &mut Vm, serving: &Serving, plan: Plan<'a>) -> Option<Answer<'a>> {
    let (kind, result, answer) = match plan {
        Plan::PassOn => return None,
        Plan::WrongMethod { kind, answer } => (kind, Requests::Method, answer),
        Plan::Invalid { kind, why, answer } => {
            vm.counters.add(Counter::InvalidTokens(why), 1);
            (kind, Requests::Invalid, answer)
        }
        Plan::Blocked { kind, answer } => (kind, Requests::Blocked, answer),
        Plan::Serve { kind, answer } => (kind, Requests::Valid, answer),
        Plan::Record {
            event,
            answer,
            if_full,
        } => {
            let address = serving.client(&event, vm);
            let recorded = vm.record(&event, address.as_ref(), serving.config.journal);
            if recorded == Ok(true) && !serving.hurried.replace(true) {
                host::tick_every(AT_ONCE);
            }
            let answer = match recorded {
                Ok(_) => answer,
                Err(_) => if_full.unwrap_or(answer),
            };
            (event.kind, Requests::Valid, answer)
        }
    };
    vm.counters.add(Counter::Requests(kind, result), 1);
    Some(answer)
}

/// A header that is a plain decimal number.
fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
