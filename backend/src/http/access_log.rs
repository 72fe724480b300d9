//! One log line and two metrics for each request; a louder line for one that failed here or took long.

use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;

/// A method's name. Whoever makes up his own does not make up labels of metrics with it.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}

/// Requests that take longer than this are logged as slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlowRequests(pub(crate) Option<Duration>);

/// Logs method, route and status. Never the path itself, which holds addresses and ids, and never
/// a header.
pub(crate) async fn log_request(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let start = Instant::now();
    let method = known(request.method());
    let route = request
        .match_pattern()
        .unwrap_or_else(|| "(none)".to_owned());
    let slow = request.app_data::<SlowRequests>().and_then(|slow| slow.0);
    let response = next.call(request).await?;
    let elapsed = start.elapsed();
    let status = response.status();
    let labels = [
        ("method", method.to_owned()),
        ("route", route.clone()),
        ("status", status.as_u16().to_string()),
    ];
    metrics::counter!("kraiter_http_requests_total", &labels).increment(1);
    metrics::histogram!("kraiter_http_request_seconds", "route" => route.clone())
        .record(elapsed.as_secs_f64());
    let (status, ms) = (status.as_u16(), elapsed.as_millis() as u64);
    if status >= 500 {
        tracing::warn!(method, route, status, ms, "request");
    } else if slow.is_some_and(|slow| elapsed >= slow) {
        tracing::warn!(method, route, status, ms, "slow request");
    } else {
        tracing::debug!(method, route, status, ms, "request");
    }
    Ok(response)
}
