//! Metrics of the proxy, which outlive the VM and belong to all of them together.

use super::OK;

const COUNTER: u32 = 0;
const GAUGE: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_define_metric(metric: u32, name: *const u8, name_len: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricId(u32);

pub(crate) fn counter(name: &str) -> Option<MetricId> {
    metric(COUNTER, name)
}

pub(crate) fn gauge(name: &str) -> Option<MetricId> {
    metric(GAUGE, name)
}

fn metric(metric: u32, name: &str) -> Option<MetricId> {
    let mut id = 0;
    // SAFETY: the host reads the name during the call and writes one number.
    let status = unsafe { proxy_define_metric(metric, name.as_ptr(), name.len(), &mut id) };
    (status == OK).then_some(MetricId(id))
}

pub(crate) fn add_to_metric(metric: MetricId, offset: i64) {
    // SAFETY: no memory is involved.
    let _ = unsafe { proxy_increment_metric(metric.0, offset) };
}
