//! The proxy's callbacks: one context for each plugin configuration, one for each request.
//!
//! Carries plans out. What to answer and what to record is decided in [`crate::plan`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use kraiter_wire::Verifier;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

use crate::answers::{Answer, Answers};
use crate::config::Config;
use crate::delivery::{CallId, Reply, RootId};
use crate::metrics::{Counter, Request as Requests};
use crate::plan::{Plan, plan};
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
    tick: Duration,
    /// The next tick was brought forward.
    hurried: Cell<bool>,
}

struct Tools {
    verifier: Verifier,
    answers: Answers,
}

pub(crate) struct Root {
    id: RootId,
    serving: Option<Rc<Serving>>,
}

impl Root {
    pub(crate) fn new(context_id: u32) -> Self {
        Self {
            id: RootId(context_id),
            serving: None,
        }
    }

    fn configure(&mut self) -> Result<(), String> {
        let json = host::plugin_configuration().unwrap_or_default();
        let block = host::environment().unwrap_or_default();
        let config = Config::parse(&json, |name| environment::find(&block, name))?;
        let missing = |Missing(what)| format!("allowed_capabilities: {what} is missing");
        Vm::configure(&config).map_err(missing)?;
        let tick = config.delivery.tick();
        if !host::tick_every(tick) {
            return Err(missing(Missing("proxy_set_tick_period_milliseconds")));
        }
        let tools = Tools {
            verifier: Verifier::new(&config.keyring),
            answers: Answers::new(config.fallback_url.as_ref()),
        };
        self.serving = Some(Rc::new(Serving {
            config,
            tools: RefCell::new(tools),
            tick,
            hurried: Cell::new(false),
        }));
        Ok(())
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, num_headers: usize, _: usize, _: usize) {
        // A collector that closes in the middle of its answer leaves no headers at all.
        let status = match num_headers {
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
        Vm::with(|vm| vm.answered(self.id, CallId(call), reply));
    }

    fn on_done(&mut self) -> bool {
        Vm::with(|vm| vm.root_ended(self.id));
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configured = self.configure();
        if let Err(problems) = &configured {
            let line = format!("kraiter: configuration refused: {problems}");
            host::log(LogLevel::Error, &line);
        }
        configured.is_ok()
    }

    fn on_tick(&mut self) {
        if let Some(serving) = &self.serving
            && serving.hurried.take()
        {
            host::tick_every(serving.tick);
        }
        Vm::with(|vm| vm.tick(self.id));
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let serving = self.serving.clone();
        Some(Box::new(Request { serving }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request {
    serving: Option<Rc<Serving>>,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let answered = self.serving.as_deref().and_then(answer);
        match answered {
            Some(true) => Action::Pause,
            Some(false) | None => Action::Continue,
        }
    }
}

/// `None` or `Some(false)`: the request goes on to its route.
#[inline]
fn answer(serving: &Serving) -> Option<bool> {
    let pairs = host::request_headers()?;
    let head = RequestHead::read(&pairs);
    let config = &serving.config;
    let mut tools = serving.tools.try_borrow_mut().ok()?;
    let Tools { verifier, answers } = &mut *tools;
    let plan = plan(&config.path_prefix, config.accept_language, verifier, &head);
    if matches!(plan, Plan::PassOn) {
        return None;
    }
    let answer = Vm::with(|vm| carry_out(vm, serving, plan)).flatten()?;
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
        Plan::Serve { kind, answer } => (kind, Requests::Valid, answer),
        Plan::Record {
            event,
            answer,
            if_full,
        } => {
            let recorded = vm.record(&event, serving.config.address);
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
