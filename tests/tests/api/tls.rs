//! Postgres over TLS: what a URL asks for is what is done, or nothing is.

use std::path::{Path, PathBuf};

use kraiter_tests::database::{self, Cluster, Durability, StopMode};
use kraiter_tests::http::Request;
use kraiter_tests::stack::test_folder;
use kraiter_tests::wait;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::service::{Service, counts, options, refused, register};

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// An authority's certificate in a file, for as long as it is needed.
pub(crate) struct RootFile(pub(crate) PathBuf);

impl RootFile {
    pub(crate) fn of(authority: &Authority, name: &str) -> Self {
        // Beside the services' own folders, which go with them.
        let path = test_folder(name).unwrap().with_extension("pem");
        std::fs::write(&path, authority.pem()).unwrap();
        Self(path)
    }
}

impl Drop for RootFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A migrated database on a server that has a certificate for `name`.
fn server(authority: &Authority, name: &str) -> (Cluster, String) {
    let cluster = Cluster::start(Durability::None).unwrap();
    cluster.migrated("tracking").unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    for (file, pem) in [
        ("server.crt", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        // Written by the server itself, so that it may read them whoever it runs as.
        let lines = format!("string_to_array($pem${}$pem$, E'\\n')", pem.trim());
        let write = format!("copy (select unnest({lines})) to program 'umask 077 && cat > {file}'");
        cluster.run("postgres", &write).unwrap();
    }
    cluster
        .run("postgres", "alter system set ssl = on")
        .unwrap();
    cluster.restart(StopMode::Fast).unwrap();
    let url = cluster.url("tracking").unwrap();
    (cluster, url)
}

fn with(url: &str, mode: &str, root: Option<&Path>) -> String {
    match root {
        Some(root) => format!("{url}?sslmode={mode}&sslrootcert={}", root.display()),
        None => format!("{url}?sslmode={mode}"),
    }
}

/// Starts, is never ready, and logs why.
fn assert_refused(name: &str, url: &str, reason: &str) {
    let service = Service::start_unready(name, url);
    let answer = Request::get("/readyz")
        .send(service.backend.address())
        .unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    wait::until("the reason in the log", || match service.log() {
        log if log.contains(reason) => Ok(()),
        log => Err(log),
    })
    .unwrap();
}

#[test]
fn a_server_whose_certificate_and_name_verify_is_used_encrypted() {
    let authority = authority("ours");
    let root = RootFile::of(&authority, "tls-verified");
    let (cluster, url) = server(&authority, "127.0.0.1");
    for mode in ["verify-full", "verify-ca", "require"] {
        let service = Service::on("tls-verified", &with(&url, mode, Some(&root.0)));
        let tenant = format!("shop-{mode}");
        let api = service.tenant(&tenant);
        register(&api, "snd-1", "ada@example.com");
        assert_eq!(counts(&api, "ada@example.com"), [1, 0, 0]);
        // Fails unless there are connections of ours and all of them are encrypted.
        let check = "do $$ begin
            assert (select bool_and(s.ssl) from pg_stat_ssl s join pg_stat_activity a using (pid)
                where a.application_name = 'kraiter'); end $$";
        cluster.run("tracking", check).unwrap();
    }
}

#[test]
fn a_server_of_another_authority_or_name_is_refused() {
    let ours = authority("ours");
    let (_cluster, url) = server(&ours, "db.example");
    let foreign = RootFile::of(&authority("foreign"), "tls-foreign");
    let unknown = with(&url, "verify-full", Some(&foreign.0));
    assert_refused("tls-foreign", &unknown, "UnknownIssuer");
    let root = RootFile::of(&ours, "tls-name");
    let misnamed = with(&url, "verify-full", Some(&root.0));
    assert_refused("tls-name", &misnamed, "not valid for name");
}

#[test]
fn a_server_without_tls_is_refused_when_tls_is_asked_for() {
    let url = database::fresh().unwrap();
    let root = RootFile::of(&authority("foreign"), "tls-none");
    let url = with(&url, "require", Some(&root.0));
    assert_refused("tls-none", &url, "server does not support TLS");
}

#[test]
fn a_missing_authority_file_is_named() {
    let url = database::fresh().unwrap();
    let url = with(&url, "verify-full", Some(Path::new("/nowhere/root.pem")));
    let error = refused("tls-missing", options("tls-missing", Some(&url)));
    assert!(error.contains("/nowhere/root.pem"), "{error}");
}
