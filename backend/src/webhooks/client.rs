//! Sends one signed request and says what came of it. Follows no redirect, reads no more of an answer
//! than its head, and waits no longer than it is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client as HttpClient, Error as HttpError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::{AllowedNetworks, EndpointUrl};
use super::connector::{ConnectError, Connector, Resolve, SystemResolver, is_hopeless};

/// A connection that nobody uses is closed after this long.
const IDLE: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNECTIONS: usize = 4;
/// The head of an answer.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Of an answer's body as much is read, and for as long, so that its connection can be used again;
/// what it says is not looked at.
const MAX_BODY_BYTES: usize = 16 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// Tests under way at a time.
const MAX_TESTS: usize = 8;

/// Headers of the Standard Webhooks specification.
pub(super) struct Signed {
    pub(super) id: String,
    pub(super) timestamp: u64,
    pub(super) signature: String,
    pub(super) body: Bytes,
}

/// Why a request was not accepted, in words for people. Holds nothing of what the receiver said, so
/// that nothing is read through it that only we can reach.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the receiver answered {0}")]
    Status(u16),
    #[error("the receiver answered {0}, a redirect, which is not followed")]
    Redirect(u16),
    /// The receiver wants nothing any more.
    #[error("the receiver answered 410 Gone")]
    Gone,
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("refused: {0}")]
    Refused(String),
    #[error("{0}")]
    NoAnswer(String),
}

impl Failure {
    /// As metrics name it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Status(_) | Self::Redirect(_) | Self::Gone => "status",
            Self::Timeout(_) => "timeout",
            Self::Refused(_) => "refused",
            Self::NoAnswer(_) => "no_answer",
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Result<(), Failure>,
    /// Of the HTTP answer, if there was one.
    pub(crate) status: Option<u16>,
    /// How long the receiver asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    pub(crate) took: Duration,
}

type Http = HttpClient<HttpsConnector<Connector>, Full<Bytes>>;

#[derive(Clone)]
pub(crate) struct Client {
    http: Http,
    connector: Connector,
    timeout: Duration,
    tests: Arc<Semaphore>,
}

impl Client {
    pub(crate) fn new(allowed: AllowedNetworks, timeout: Duration) -> Result<Self, rustls::Error> {
        Self::with_resolver(allowed, timeout, Arc::new(SystemResolver))
    }

    fn with_resolver(
        allowed: AllowedNetworks,
        timeout: Duration,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, rustls::Error> {
        let connector = Connector {
            resolver,
            allowed: Arc::new(allowed),
        };
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls_config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector.clone());
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(https);
        Ok(Self {
            http,
            connector,
            timeout,
            tests: Arc::new(Semaphore::new(MAX_TESTS)),
        })
    }

    /// Tests are requests that callers wait for, so few of them go at a time.
    pub(super) fn room_for_a_test(&self) -> Option<SemaphorePermit<'_>> {
        self.tests.try_acquire().ok()
    }

    /// Why requests to this URL would be refused now. A name that has no address may get one.
    pub(crate) async fn refusal(&self, url: &EndpointUrl) -> Option<String> {
        if is_hopeless(url, &self.connector.allowed) {
            return Some("it has to begin with https://".to_owned());
        }
        let looked_up = self.connector.addresses(url);
        match tokio::time::timeout(self.timeout, looked_up).await {
            Ok(Err(ConnectError::Refused(why))) => Some(why.to_string()),
            _ => None,
        }
    }

    pub(super) async fn post(&self, url: &EndpointUrl, signed: Signed) -> Answer {
        let start = Instant::now();
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(
                USER_AGENT,
                concat!("Kraiter-Webhooks/", env!("CARGO_PKG_VERSION")),
            )
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature)
            .body(Full::new(signed.body));
        let failed = |failure| Answer {
            outcome: Err(failure),
            status: None,
            retry_after: None,
            took: start.elapsed(),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return failed(Failure::NoAnswer(error.to_string())),
        };
        match tokio::time::timeout(self.timeout, self.http.request(request)).await {
            Err(_) => failed(Failure::Timeout(self.timeout)),
            Ok(Err(error)) => failed(explain(&error)),
            Ok(Ok(response)) => {
                let answer = judge(&response, start.elapsed());
                drain(response).await;
                answer
            }
        }
    }
}

/// With the certificate authorities of the system; `SSL_CERT_FILE` names others.
fn tls_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        tracing::warn!("the system has no certificate authorities: webhooks to https will fail");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn judge(response: &Response<Incoming>, took: Duration) -> Answer {
    let status = response.status();
    let code = status.as_u16();
    let outcome = match code {
        200..=299 => Ok(()),
        300..=399 => Err(Failure::Redirect(code)),
        410 => Err(Failure::Gone),
        _ => Err(Failure::Status(code)),
    };
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Answer {
        outcome,
        status: Some(code),
        retry_after: retry_after.map(Duration::from_secs),
        took,
    }
}

async fn drain(response: Response<Incoming>) {
    let mut body = response.into_body();
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > MAX_BODY_BYTES {
                return;
            }
        }
    };
    // A body that does not end in time costs its connection and nothing else.
    let _ = tokio::time::timeout(BODY_TIMEOUT, read).await;
}

fn explain(error: &HttpError) -> Failure {
    let mut text = String::new();
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    for cause in causes {
        if let Some(ConnectError::Refused(why)) = cause.downcast_ref() {
            return Failure::Refused(why.to_string());
        }
        text = cause.to_string();
    }
    match text.is_empty() {
        true => Failure::NoAnswer(error.to_string()),
        false => Failure::NoAnswer(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::BoxFuture;
    use std::io;
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A name that leads to a public address at first and to this machine from then on.
    struct Rebinding {
        asked: AtomicUsize,
        first: IpAddr,
    }

    impl Resolve for Arc<Rebinding> {
        fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let address = match self.asked.fetch_add(1, Ordering::SeqCst) {
                0 => self.first,
                _ => IpAddr::from([127, 0, 0, 1]),
            };
            Box::pin(async move { Ok(vec![address]) })
        }
    }

    fn signed() -> Signed {
        Signed {
            id: "dlv_1".to_owned(),
            timestamp: 1,
            signature: "v1,x".to_owned(),
            body: Bytes::from_static(b"{}"),
        }
    }

    fn client(allowed: &[&str], first: [u8; 4]) -> (Client, Arc<Rebinding>) {
        let networks = allowed.iter().map(|network| network.parse().unwrap());
        let resolver = Arc::new(Rebinding {
            asked: AtomicUsize::new(0),
            first: first.into(),
        });
        let client = Client::with_resolver(
            AllowedNetworks(networks.collect()),
            Duration::from_secs(5),
            Arc::new(Arc::clone(&resolver)),
        );
        (client.unwrap(), resolver)
    }

    #[tokio::test]
    async fn a_name_that_leads_here_after_it_was_checked_is_not_connected_to() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (client, resolver) = client(&[], [1, 1, 1, 1]);
        let url: EndpointUrl = format!("https://hooks.example:{port}/").parse().unwrap();
        assert_eq!(client.refusal(&url).await, None);
        let answer = client.post(&url, signed()).await;
        let refused = Failure::Refused("127.0.0.1 is not an address of the public internet".into());
        assert_eq!(answer.outcome, Err(refused));
        assert_eq!(resolver.asked.load(Ordering::SeqCst), 2);
        let accepted = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
        assert!(accepted.is_err(), "someone connected");
    }

    #[tokio::test]
    async fn plain_http_goes_nowhere_but_to_allowed_networks_and_redirects_nowhere_at_all() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url: EndpointUrl = format!("http://hooks.example:{port}/").parse().unwrap();
        let (strict, _) = client(&[], [127, 0, 0, 1]);
        assert!(strict.refusal(&url).await.is_some());
        let outcome = strict.post(&url, signed()).await.outcome;
        assert!(matches!(outcome, Err(Failure::Refused(_))), "{outcome:?}");
        let (lenient, _) = client(&["127.0.0.1/32"], [127, 0, 0, 1]);
        assert_eq!(lenient.refusal(&url).await, None);
        let serve = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let answer = format!(
                "HTTP/1.1 307 -\r\nlocation: http://127.0.0.1:{port}/again\r\n\
                 retry-after: 7\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            let again = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
            assert!(again.is_err(), "the redirect was followed");
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let answer = lenient.post(&url, signed()).await;
        assert_eq!(answer.outcome, Err(Failure::Redirect(307)));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        let request = serve.await.unwrap().to_ascii_lowercase();
        for header in [
            "webhook-id: dlv_1",
            "webhook-timestamp: 1",
            "webhook-signature: v1,x",
        ] {
            assert!(request.contains(header), "{request}");
        }
    }
}
