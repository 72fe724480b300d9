//! `DATABASE_URL`: what `tokio_postgres` understands, and the TLS options of libpq that it does not.

use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::config::SslMode;

#[derive(Clone, Debug)]
pub(crate) struct DatabaseUrl {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: Tls,
}

/// Whether the connection is encrypted. Where it is, the server's certificate and name are always
/// verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Off,
    /// With the system's certificate authorities, or only with those in this file.
    Verified {
        authorities: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DatabaseUrlError {
    #[error("not a URL ({0}); it looks like postgres://user:password@host:5432/database")]
    NotUrl(String),
    #[error("starts with {0:?}; it has to start with postgres://")]
    Scheme(String),
    #[error("sslmode={0} is not known; use disable, require, verify-ca or verify-full")]
    SslMode(String),
    #[error("sslrootcert is set, but sslmode does not ask for TLS; add sslmode=verify-full")]
    RootWithoutTls,
    #[error("{0}")]
    Option(String),
}

impl DatabaseUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let mut url =
            url::Url::parse(text).map_err(|error| DatabaseUrlError::NotUrl(error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(DatabaseUrlError::Scheme(url.scheme().to_owned()));
        }
        let mut mode = None;
        let mut authorities = None;
        let mut others = Vec::new();
        for (name, value) in url.query_pairs() {
            match &*name {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => authorities = Some(PathBuf::from(&*value)),
                _ => others.push((name.into_owned(), value.into_owned())),
            }
        }
        let tls = match (mode.as_deref(), authorities) {
            (None | Some("disable" | "allow" | "prefer"), None) => Tls::Off,
            (None | Some("disable" | "allow" | "prefer"), Some(_)) => {
                return Err(DatabaseUrlError::RootWithoutTls);
            }
            (Some("require" | "verify-ca" | "verify-full"), authorities) => {
                Tls::Verified { authorities }
            }
            (Some(other), _) => return Err(DatabaseUrlError::SslMode(other.to_owned())),
        };
        url.set_query(None);
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        let mut config = tokio_postgres::Config::from_str(url.as_str()).map_err(|error| {
            // The source names the option; the error's own text may be general.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            DatabaseUrlError::Option(cause.unwrap_or_else(|| error.to_string()))
        })?;
        config.ssl_mode(match tls {
            Tls::Off => SslMode::Disable,
            Tls::Verified { .. } => SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("kraiter");
        }
        Ok(Self { config, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_on_when_the_url_asks_for_it() {
        let tls = |query: &str| {
            DatabaseUrl::parse(&format!("postgres://u:p@db.example/k{query}")).map(|url| url.tls)
        };
        assert_eq!(tls("").unwrap(), Tls::Off);
        assert_eq!(
            tls("?sslmode=require").unwrap(),
            Tls::Verified { authorities: None }
        );
        assert_eq!(
            tls("?sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=5").unwrap(),
            Tls::Verified {
                authorities: Some("/etc/ca.pem".into())
            }
        );
        assert!(
            matches!(tls("?sslmode=yes"), Err(DatabaseUrlError::SslMode(mode)) if mode == "yes")
        );
        assert!(matches!(
            tls("?sslrootcert=/x"),
            Err(DatabaseUrlError::RootWithoutTls)
        ));
    }

    #[test]
    fn a_url_for_something_else_is_refused() {
        let error = |text: &str| DatabaseUrl::parse(text).unwrap_err();
        assert!(matches!(error("mysql://u@h/d"), DatabaseUrlError::Scheme(s) if s == "mysql"));
        assert!(matches!(error("db.example"), DatabaseUrlError::NotUrl(_)));
        assert!(matches!(
            error("postgres://u@h/d?colour=red"),
            DatabaseUrlError::Option(_)
        ));
    }
}
