//! How many requests one API key may make: a bucket that fills steadily and empties by requests, for
//! each key that called lately, in this process alone. Its size is bounded by the keys there are: only
//! a key that was found valid gets one.

use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::KeyName;
use crate::http::{ErrorCode, Problem};

/// Full buckets are forgotten this often.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// What one key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Requests in a second, for as long as one likes.
    pub(crate) per_second: NonZeroU32,
    /// Requests at once after a pause.
    pub(crate) burst: NonZeroU32,
}

type Limiter =
    RateLimiter<KeyName, DefaultKeyedStateStore<KeyName>, DefaultClock, StateInformationMiddleware>;

pub(crate) struct RateLimits {
    limit: RateLimit,
    limiter: Limiter,
    clock: DefaultClock,
}

/// Where a key stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    limit: RateLimit,
    remaining: u32,
}

impl RateLimits {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        Self {
            limit,
            limiter: RateLimiter::keyed(quota).with_middleware(),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request and notes on it where the key stands, for the answer's headers.
    pub(super) fn count(&self, key: KeyName, request: &HttpRequest) -> Result<(), Problem> {
        let checked = self.limiter.check_key(&key);
        let remaining = checked
            .as_ref()
            .map_or(0, |state| state.remaining_burst_capacity());
        request.extensions_mut().insert(Standing {
            limit: self.limit,
            remaining,
        });
        checked.map(|_| ()).map_err(|until| {
            metrics::counter!("kraiter_http_rate_limited_total").increment(1);
            let wait = until.wait_time_from(self.clock.now());
            let detail = format!(
                "The API key {key} has made more than {} requests a second, and used up its {} in \
                 advance. Wait as long as retry-after says.",
                self.limit.per_second, self.limit.burst
            );
            Problem::new(ErrorCode::RateLimited, detail).retry_after(whole_seconds(wait))
        })
    }

    /// Forgets keys that do not call any more, for as long as the service runs.
    pub(crate) async fn tidy_regularly(&self) {
        loop {
            tokio::time::sleep(TIDY_INTERVAL).await;
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

/// At least one: a client that waits for zero seconds does not wait.
fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

/// Adds `RateLimit-Policy` and `RateLimit` to answers to callers that are limited
/// (draft-ietf-httpapi-ratelimit-headers-10).
pub(crate) async fn show_standing(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    let standing = response.request().extensions().get::<Standing>().copied();
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
    Ok(response)
}

impl Standing {
    /// `q` requests in a window of `w` seconds; `r` of them remain, all of them in `t` seconds.
    fn write(self, headers: &mut HeaderMap) {
        let (burst, rate) = (self.limit.burst.get(), self.limit.per_second.get());
        let window = burst.div_ceil(rate);
        let used = burst.saturating_sub(self.remaining);
        let fields = [
            (POLICY, format!("\"default\";q={burst};w={window}")),
            (
                STANDING,
                format!("\"default\";r={};t={}", self.remaining, used.div_ceil(rate)),
            ),
        ];
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_say_how_much_is_left_and_when_all_of_it_is_back() {
        let limit = RateLimit {
            per_second: NonZeroU32::new(4).unwrap(),
            burst: NonZeroU32::new(10).unwrap(),
        };
        let mut headers = HeaderMap::new();
        let standing = Standing {
            limit,
            remaining: 3,
        };
        standing.write(&mut headers);
        assert_eq!(headers.get(POLICY).unwrap(), "\"default\";q=10;w=3");
        assert_eq!(headers.get(STANDING).unwrap(), "\"default\";r=3;t=2");
    }

    #[test]
    fn nobody_is_told_to_wait_for_nothing() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
    }
}
