//! What the VMs of one process share: small values, and queues.

use super::{OK, received};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_shared_data(
        key: *const u8,
        key_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_len: usize,
        value: *const u8,
        value_len: usize,
        version: u32,
    ) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_len: usize, id: *mut u32) -> u32;
    fn proxy_enqueue_shared_queue(id: u32, value: *const u8, value_len: usize) -> u32;
    fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, len: *mut usize) -> u32;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueId(pub(crate) u32);

pub(crate) fn read(key: &str) -> Option<Vec<u8>> {
    let mut version = 0;
    // SAFETY: the host reads the key during the call and writes a pointer, a length and a number.
    received(|data, len| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, len, &mut version)
    })
}

/// Writes whatever was there before. `false`: the host does not let this filter.
pub(crate) fn write(key: &str, value: &[u8]) -> bool {
    const ANY_VERSION: u32 = 0;
    // SAFETY: the host reads key and value during the call.
    let status = unsafe {
        proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            ANY_VERSION,
        )
    };
    status == OK
}

/// The queue of that name of this `vm_id`. Whoever registered it last is told of what comes in.
pub(crate) fn register_queue(name: &str) -> Option<QueueId> {
    let mut id = 0;
    // SAFETY: the host reads the name during the call and writes one number.
    let status = unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &mut id) };
    (status == OK).then_some(QueueId(id))
}

pub(crate) fn enqueue(queue: QueueId, value: &[u8]) -> bool {
    // SAFETY: the host reads the value during the call.
    unsafe { proxy_enqueue_shared_queue(queue.0, value.as_ptr(), value.len()) == OK }
}

/// `None` where nothing is left.
pub(crate) fn dequeue(queue: QueueId) -> Option<Vec<u8>> {
    // SAFETY: the host writes a pointer and a length.
    received(|data, len| unsafe { proxy_dequeue_shared_queue(queue.0, data, len) })
}
