//! Opens connections to receivers, and only to addresses that webhooks may go to. The address that is
//! checked is the one that is connected to: a name that leads elsewhere by then gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::address::{AllowedNetworks, EndpointUrl, Refusal, Scheme};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Looks names up.
pub(super) trait Resolve: Send + Sync {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// As the system does it.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("{name} has no address: {cause}")]
    NoAddress { name: String, cause: io::Error },
    #[error("no connection to {address}: {cause}")]
    NotReached {
        address: SocketAddr,
        cause: io::Error,
    },
    #[error("not a URL that can be connected to")]
    NoUrl,
}

#[derive(Clone)]
pub(super) struct Connector {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) allowed: Arc<AllowedNetworks>,
}

impl Connector {
    /// Where a connection may go; none is a refusal.
    pub(super) async fn addresses(&self, url: &EndpointUrl) -> Result<Vec<IpAddr>, ConnectError> {
        let scheme = url.scheme();
        let found = match url.host() {
            Ok(address) => vec![address],
            Err(name) => {
                let found = self.resolver.resolve(name).await;
                let no_address = |cause| ConnectError::NoAddress {
                    name: name.to_owned(),
                    cause,
                };
                let found = found.map_err(no_address)?;
                if found.is_empty() {
                    return Err(no_address(io::ErrorKind::NotFound.into()));
                }
                found
            }
        };
        let mut refusal = None;
        let mut usable = Vec::new();
        for address in found {
            match self.allowed.check(scheme, address) {
                Ok(()) if usable.len() < MAX_ADDRESSES => usable.push(address),
                Ok(()) => {}
                Err(why) => refusal = refusal.or(Some(why)),
            }
        }
        match (usable.is_empty(), refusal) {
            (true, Some(why)) => Err(why.into()),
            _ => Ok(usable),
        }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let url: EndpointUrl = uri.to_string().parse().map_err(|_| ConnectError::NoUrl)?;
        let mut failed = ConnectError::NoUrl;
        for address in self.addresses(&url).await? {
            let address = SocketAddr::new(address, url.port());
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Not being able to only costs a little time.
                    let _ = stream.set_nodelay(true);
                    return Ok(TokioIo::new(stream));
                }
                Err(cause) => failed = ConnectError::NotReached { address, cause },
            }
        }
        Err(failed)
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Whether what is seen of a URL by its scheme alone can never be reached.
pub(super) fn is_hopeless(url: &EndpointUrl, allowed: &AllowedNetworks) -> bool {
    url.scheme() == Scheme::Http && allowed.is_empty()
}
