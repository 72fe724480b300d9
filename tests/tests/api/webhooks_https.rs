//! Webhooks over TLS: encrypted to a receiver whose certificate and name verify, and to nobody else.

use std::net::SocketAddr;
use std::sync::Arc;

use kraiter_tests::database;
use kraiter_tests::receiver::Receiver;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::service::{Service, options};
use crate::tls::{Authority, RootFile, authority};
use crate::webhooks::arrive;
use crate::webhooks_failing::{bounce, deliveries, until};

/// Ends TLS in front of a receiver, as a platform's load balancer does.
struct Front {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Front {
    fn of(receiver: &Receiver, authority: &Authority, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let behind = receiver.address();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not like the certificate ends here.
                    let mut client = acceptor.accept(client).await?;
                    let mut receiver = TcpStream::connect(behind).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut receiver).await
                });
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/hook", self.address.port())
    }
}

/// One that trusts this authority alone.
fn service(name: &str, trusted: &RootFile) -> Service {
    let mut options = options(name, Some(&database::fresh().unwrap()));
    for (variable, value) in [
        ("KRAITER_WEBHOOK_ALLOW_PRIVATE", "127.0.0.0/8,::1/128"),
        ("KRAITER_WEBHOOK_RETRIES", "1"),
        ("SSL_CERT_FILE", &trusted.0.display().to_string()),
    ] {
        options.env.push((variable.into(), value.into()));
    }
    Service::with(name, options)
}

#[test]
fn events_arrive_signed_over_tls() {
    let authority = authority("ours");
    let service = service(
        "webhooks-https",
        &RootFile::of(&authority, "webhooks-https"),
    );
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    let front = Front::of(&receiver, &authority, "localhost");
    let hook = api
        .write(
            "POST",
            "/webhooks",
            &json!({"url": front.url(), "types": ["email.bounced"]}),
        )
        .unwrap();
    let event = bounce(&api, "snd-1");
    arrive(&receiver, [event]);
    let secret = hook["secret"].as_str().unwrap();
    assert!(
        receiver
            .calls()
            .iter()
            .all(|call| call.is_signed_by(secret))
    );
}

#[test]
fn a_receiver_whose_certificate_does_not_verify_is_told_nothing() {
    let ours = authority("ours");
    let service = service("webhooks-foreign", &RootFile::of(&ours, "webhooks-foreign"));
    let api = service.tenant("shop");
    let receiver = Receiver::start().unwrap();
    for (front, reason) in [
        (
            Front::of(&receiver, &authority("foreign"), "localhost"),
            "UnknownIssuer",
        ),
        (
            Front::of(&receiver, &ours, "elsewhere.example"),
            "not valid for name",
        ),
    ] {
        let body = json!({"url": front.url(), "types": ["email.bounced"]});
        let hook = api.write("POST", "/webhooks", &body).unwrap();
        bounce(&api, &format!("snd-{}", front.address.port()));
        until(&api, "/webhooks", "the failed attempt", |_| {
            deliveries(&api, &hook)
                .iter()
                .any(|delivery| delivery.to_string().contains(reason))
        });
    }
    assert!(receiver.calls().is_empty(), "{:?}", receiver.calls());
}
