//! A server of the same framework as the service, that answers with what it was sent.

use std::net::{SocketAddr, TcpListener};

use actix_web::web::{self, Bytes, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer, rt};
use kraiter_tests::stack::ANY_PORT;
use kraiter_tests::trouble::{Outcome, Trouble};

const MAX_BODY_BYTES: usize = 64 << 20;

/// Runs until the process ends.
pub(super) fn start() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind(ANY_PORT).map_err(Trouble::io("listening for the echo"))?;
    let address = listener
        .local_addr()
        .map_err(Trouble::io("finding a port"))?;
    std::thread::spawn(move || {
        let server = HttpServer::new(|| {
            App::new()
                .app_data(PayloadConfig::new(MAX_BODY_BYTES))
                .default_service(web::to(echo))
        });
        let server = server.disable_signals().listen(listener)?;
        rt::System::new().block_on(server.run())
    });
    Ok(address)
}

async fn echo(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(body)
}
