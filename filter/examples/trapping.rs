//! The filter with a switch that ends its VM: what the tests take to see an edge without one. Only
//! an example, so that no shipped artifact has it.
//!
//! A request with a body whose headers went on to their route ends the VM.

#![cfg(target_arch = "wasm32")]
#![expect(
    unsafe_code,
    reason = "the proxy finds this by its unmangled name; nothing in it is unchecked"
)]

use kraiter_filter as _;

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(_context: u32, _len: usize, _last: u32) -> u32 {
    std::process::abort()
}
