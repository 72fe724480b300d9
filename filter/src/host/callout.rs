//! Calls to the collector, and what it answers.

use std::time::Duration;

use super::{CALL_RESPONSE_BODY, CALL_RESPONSE_HEADERS, OK, buffer, received};
use crate::delivery::CallId;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_len: usize,
        headers: *const u8,
        headers_len: usize,
        body: *const u8,
        body_len: usize,
        trailers: *const u8,
        trailers_len: usize,
        timeout_ms: u32,
        call: *mut u32,
    ) -> u32;
}

/// No pairs at all, serialised.
const NO_TRAILERS: &[u8] = &[0; 4];

/// Starts a call; its answer comes to the current root context. `headers` are serialised pairs.
pub(crate) fn call(
    cluster: &str,
    headers: &[u8],
    body: &[u8],
    timeout: Duration,
) -> Option<CallId> {
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let mut call = 0;
    // SAFETY: the host reads all texts during the call and writes one number.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            NO_TRAILERS.as_ptr(),
            NO_TRAILERS.len(),
            timeout,
            &mut call,
        )
    };
    (status == OK).then_some(CallId(call))
}

pub(crate) fn call_response_header(name: &str) -> Option<Vec<u8>> {
    let map = CALL_RESPONSE_HEADERS;
    let (name, name_len) = (name.as_ptr(), name.len());
    // SAFETY: the host reads the name during the call and writes a pointer and a length.
    received(|data, len| unsafe { proxy_get_header_map_value(map, name, name_len, data, len) })
}

pub(crate) fn call_response_body(max_len: usize) -> Option<Vec<u8>> {
    buffer(CALL_RESPONSE_BODY, max_len)
}
