//! Every call to the proxy, each with a result instead of a panic.
//!
//! The SDK's own wrappers panic on a status they do not expect, on header values that are not
//! UTF-8, and where a capability is missing; a panic here ends a whole worker's VM. So all but one
//! call are made directly. Decides nothing.

#![expect(
    unsafe_code,
    reason = "calls across the sandbox's border take raw pointers; they live in this file only"
)]

use std::time::Duration;

use kraiter_wire::UnixMillis;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

use crate::answers::Response;
use crate::backoff::Moment;
use crate::delivery::CallId;

/// The status of a host call that went well.
const OK: u32 = 0;

/// WASI's number of a clock that only goes forward.
const MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: LogLevel, text: *const u8, len: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: BufferType,
        start: usize,
        max_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: MapType,
        name: *const u8,
        name_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
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
    fn proxy_define_metric(
        metric: MetricType,
        name: *const u8,
        name_len: usize,
        id: *mut u32,
    ) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(data: *mut u8, len: usize) -> u32;
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    fn environ_sizes_get(count: *mut usize, len: *mut usize) -> u32;
    fn environ_get(pointers: *mut *mut u8, data: *mut u8) -> u32;
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
    let _ = unsafe { proxy_log(level, line.as_ptr(), line.len()) };
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
    buffer(BufferType::PluginConfiguration, usize::MAX)
}

pub(crate) fn call_response_body(max_len: usize) -> Option<Vec<u8>> {
    buffer(BufferType::HttpCallResponseBody, max_len)
}

fn buffer(buffer: BufferType, max_len: usize) -> Option<Vec<u8>> {
    // SAFETY: the host writes a pointer and a length.
    received(|data, len| unsafe { proxy_get_buffer_bytes(buffer, 0, max_len, data, len) })
}

/// All headers of the request, serialised.
#[inline]
pub(crate) fn request_headers() -> Option<Vec<u8>> {
    let map = MapType::HttpRequestHeaders;
    // SAFETY: the host writes a pointer and a length.
    received(|data, len| unsafe { proxy_get_header_map_pairs(map, data, len) })
}

pub(crate) fn call_response_header(name: &str) -> Option<Vec<u8>> {
    let map = MapType::HttpCallResponseHeaders;
    let (name, name_len) = (name.as_ptr(), name.len());
    // SAFETY: the host reads the name during the call and writes a pointer and a length.
    received(|data, len| unsafe { proxy_get_header_map_value(map, name, name_len, data, len) })
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

/// Starts a call; its answer comes to the current root context. The SDK has to know of it, so this
/// one goes through its wrapper, which panics on no status that a proxy gives here.
pub(crate) fn call(
    cluster: &str,
    headers: Vec<(&str, &str)>,
    body: &[u8],
    timeout: Duration,
) -> Option<CallId> {
    hostcalls::dispatch_http_call(cluster, headers, Some(body), Vec::new(), timeout)
        .ok()
        .map(CallId)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricId(u32);

pub(crate) fn counter(name: &str) -> Option<MetricId> {
    metric(MetricType::Counter, name)
}

pub(crate) fn gauge(name: &str) -> Option<MetricId> {
    metric(MetricType::Gauge, name)
}

fn metric(metric: MetricType, name: &str) -> Option<MetricId> {
    let mut id = 0;
    // SAFETY: the host reads the name during the call and writes one number.
    let status = unsafe { proxy_define_metric(metric, name.as_ptr(), name.len(), &mut id) };
    (status == OK).then_some(MetricId(id))
}

pub(crate) fn add_to_metric(metric: MetricId, offset: i64) {
    // SAFETY: no memory is involved.
    let _ = unsafe { proxy_increment_metric(metric.0, offset) };
}
