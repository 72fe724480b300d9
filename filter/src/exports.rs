//! What the proxy calls, by the names of its ABI (0.2.1).
//!
//! Without the SDK's dispatcher: it keeps a context object for each request in maps of its own and
//! needs two more calls into the VM to do so. All that a request needs here is to know its root.

#![expect(
    unsafe_code,
    reason = "the proxy finds these by their unmangled names; nothing in them is unchecked"
)]

use crate::edge;

/// The ABI's name for "go on".
const CONTINUE: u32 = 0;
/// The request was answered; nothing after this filter sees it.
const PAUSE: u32 = 1;

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Whoever has no parent is a root: one plugin configuration. All others are requests.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    match parent {
        0 => edge::root_created(context),
        root => edge::request_created(context, root),
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _len: usize) -> u32 {
    u32::from(true)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _len: usize) -> u32 {
    u32::from(edge::configure(root))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    edge::tick(root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(_root: u32, _queue: u32) {
    edge::queue_ready();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: usize, _last: u32) -> u32 {
    match edge::request(context) {
        true => PAUSE,
        false => CONTINUE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    call: u32,
    headers: usize,
    _body: usize,
    _trailers: usize,
) {
    edge::answered(root, call, headers);
}

/// False keeps a root until [`crate::host::done`].
#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> u32 {
    u32::from(edge::done(context))
}
