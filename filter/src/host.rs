//! Every call to the proxy, each with a result instead of a panic.
//!
//! The SDK's own wrappers panic on a status they do not expect, on header values that are not
//! UTF-8, and where a capability is missing; a panic here ends a whole worker's VM. So all calls
//! are made directly. Decides nothing.

#![expect(
    unsafe_code,
    reason = "calls across the sandbox's border take raw pointers; they live in here only"
)]

mod callout;
mod metric;
mod shared;

use std::time::Duration;

use kraiter_wire::UnixMillis;

use crate::answers::Response;
use crate::backoff::Moment;

pub(crate) use callout::{call, call_response_body, call_response_header};
pub(crate) use metric::{MetricId, add_to_metric, counter, gauge};
pub(crate) use shared::{QueueId, dequeue, enqueue, read, register_queue, write};

/// The status of a host call that went well.
const OK: u32 = 0;

/// WASI's number of a clock that only goes forward.
const MONOTONIC: u32 = 1;

/// What the ABI calls its levels, buffers and maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum LogLevel {
    Warn = 3,
    Error = 4,
}

const CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;
const REQUEST_HEADERS: u32 = 0;
const CALL_RESPONSE_HEADERS: u32 = 6;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, len: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_len: usize,
        argument: *const u8,
        argument_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_done() -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(data: *mut u8, len: usize) -> u32;
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    fn environ_sizes_get(count: *mut usize, len: *mut usize) -> u32;
    fn environ_get(pointers: *mut *mut u8, data: *mut u8) -> u32;
}

/// Memory for what the host hands over; [`received`] takes it back.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(len: usize) -> *mut u8 {
    let mut bytes = std::mem::ManuallyDrop::new(Vec::<u8>::with_capacity(len));
    bytes.as_mut_ptr()
}

/// Takes over what the host allocated for us.
#[inline]
fn received(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let mut data = std::ptr::null_mut();
    let mut len = 0;
    if call(&mut data, &mut len) != OK {
        return None;
    }
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: the host allocates with the module's exported allocator, which makes vectors of
    // exactly that length and capacity, and hands the memory over.
    Some(unsafe { Vec::from_raw_parts(data, len, len) })
}

pub(crate) fn log(level: LogLevel, line: &str) {
    // SAFETY: the host reads the text during the call.
    let _ = unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
}

/// The wall clock.
#[inline]
pub(crate) fn wall_clock() -> Option<UnixMillis> {
    let mut nanos = 0;
    // SAFETY: the host writes one u64.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut nanos) };
    (status == OK).then_some(UnixMillis(nanos / 1_000_000))
}

/// The steady clock.
pub(crate) fn now() -> Option<Moment> {
    let mut nanos = 0;
    // SAFETY: the host writes one u64.
    let status = unsafe { clock_time_get(MONOTONIC, 1, &mut nanos) };
    (status == OK).then_some(Moment(Duration::from_nanos(nanos)))
}

pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: the host writes N bytes.
    let status = unsafe { random_get(bytes.as_mut_ptr(), N) };
    (status == OK).then_some(bytes)
}

/// All environment variables, see [`crate::environment`].
pub(crate) fn environment() -> Option<Vec<u8>> {
    let (mut count, mut len) = (0, 0);
    // SAFETY: the host writes two numbers.
    if unsafe { environ_sizes_get(&mut count, &mut len) } != OK {
        return None;
    }
    let mut pointers = vec![std::ptr::null_mut(); count];
    let mut block = vec![0; len];
    // SAFETY: the host fills exactly the sizes it has just told; nothing runs in between.
    let status = unsafe { environ_get(pointers.as_mut_ptr(), block.as_mut_ptr()) };
    (status == OK).then_some(block)
}

/// Asks for a tick of the current root context after each `period`.
pub(crate) fn tick_every(period: Duration) -> bool {
    let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: no memory is involved.
    unsafe { proxy_set_tick_period_milliseconds(millis) == OK }
}

pub(crate) fn plugin_configuration() -> Option<Vec<u8>> {
    buffer(PLUGIN_CONFIGURATION, usize::MAX)
}

fn buffer(buffer: u32, max_len: usize) -> Option<Vec<u8>> {
    // SAFETY: the host writes a pointer and a length.
    received(|data, len| unsafe { proxy_get_buffer_bytes(buffer, 0, max_len, data, len) })
}

/// All headers of the request, serialised.
#[inline]
pub(crate) fn request_headers() -> Option<Vec<u8>> {
    // SAFETY: the host writes a pointer and a length.
    received(|data, len| unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, data, len) })
}

/// Address and port of the client, trusted hops applied.
#[inline]
pub(crate) fn source_address() -> Option<Vec<u8>> {
    const PATH: &[u8] = b"source\0address";
    // SAFETY: the host reads the path during the call and writes a pointer and a length.
    received(|data, len| unsafe { proxy_get_property(PATH.as_ptr(), PATH.len(), data, len) })
}

/// Answers the current request in the route's stead.
#[inline]
pub(crate) fn respond(response: Response<'_>) -> bool {
    let Response {
        status,
        headers,
        body,
    } = response;
    const NO_GRPC: i32 = -1;
    // SAFETY: the host reads headers and body during the call.
    let result = unsafe {
        proxy_send_local_response(
            status,
            std::ptr::null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC,
        )
    };
    result == OK
}

/// In zlib's format, which HTTP calls deflate.
pub(crate) fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"compress";
    // SAFETY: the host reads name and argument during the call and writes a pointer and a length.
    let compressed = received(|data, len| unsafe {
        proxy_call_foreign_function(
            NAME.as_ptr(),
            NAME.len(),
            bytes.as_ptr(),
            bytes.len(),
            data,
            len,
        )
    });
    compressed.filter(|bytes| !bytes.is_empty())
}

/// Puts the event line where the access log finds it, see the shipped configuration.
#[inline]
pub(crate) fn keep_for_journal(line: &[u8]) -> bool {
    const NAME: &[u8] = b"kraiter_event";
    // SAFETY: the host reads name and line during the call.
    let status =
        unsafe { proxy_set_property(NAME.as_ptr(), NAME.len(), line.as_ptr(), line.len()) };
    status == OK
}

/// Lets a root context go that asked to finish its work first.
pub(crate) fn done() {
    // SAFETY: no memory is involved.
    let _ = unsafe { proxy_done() };
}
