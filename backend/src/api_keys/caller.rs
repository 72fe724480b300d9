//! Who is calling: the one way for a handler to learn a tenant.

use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use kraiter_wire::TenantId;

use super::{Credential, KeyName, Scope};
use crate::audit::Actor;
use crate::backend::Backend;
use crate::http::{ErrorCode, Problem};

/// A caller whose key is valid and has the scope that the type names. A handler without one of
/// these in its signature cannot reach any tenant's data.
pub(crate) struct Caller<S> {
    pub(crate) tenant: TenantId,
    key: KeyName,
    scope: PhantomData<S>,
}

impl<S> Caller<S> {
    pub(crate) fn key(&self) -> KeyName {
        self.key
    }

    /// Who did it, for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        Actor::ApiKey(self.key)
    }
}

/// A scope that a handler's signature can ask for.
pub(crate) trait RequiredScope {
    const SCOPE: Scope;
}

macro_rules! required_scope {
    ($name:ident) => {
        pub(crate) struct $name;

        impl RequiredScope for $name {
            const SCOPE: Scope = Scope::$name;
        }
    };
}
required_scope!(Render);
required_scope!(Read);
required_scope!(Admin);

impl<S: RequiredScope + 'static> FromRequest for Caller<S> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let backend = request.app_data::<Data<Backend>>().cloned();
        let credential = credential(request);
        let request = request.clone();
        Box::pin(async move {
            let backend =
                backend.ok_or_else(|| Problem::internal("no backend in the application"))?;
            let credential = credential?;
            let tenant = authorize(&backend, &credential, S::SCOPE).await?;
            if let Some(limits) = &backend.rate_limits {
                limits.count(credential.id, &request)?;
            }
            Ok(Self {
                tenant,
                key: credential.id,
                scope: PhantomData,
            })
        })
    }
}

/// The bearer token of a request, whatever it is for.
pub(crate) fn bearer(request: &HttpRequest) -> Option<&[u8]> {
    let value = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

fn credential(request: &HttpRequest) -> Result<Credential, Problem> {
    let token = bearer(request).ok_or_else(|| {
        Problem::new(
            ErrorCode::MissingApiKey,
            "Send your API key in the header: authorization: Bearer krt_….",
        )
    })?;
    std::str::from_utf8(token)
        .ok()
        .and_then(Credential::parse)
        .ok_or_else(invalid)
}

fn invalid() -> Problem {
    Problem::new(
        ErrorCode::InvalidApiKey,
        "No such API key. It starts with krt_ and is shown once, when it is made.",
    )
}

async fn authorize(
    backend: &Backend,
    credential: &Credential,
    scope: Scope,
) -> Result<TenantId, Problem> {
    let found = backend.keys.authenticate(&backend.pool, credential).await?;
    let key = &found.as_ref().ok_or_else(invalid)?.key;
    if let Some(revoked_at) = key.revoked_at {
        return Err(Problem::new(
            ErrorCode::RevokedApiKey,
            format!(
                "The API key {} was revoked at {revoked_at}. Use another one.",
                key.id
            ),
        ));
    }
    if !key.scopes.contains(&scope) {
        let has: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        return Err(Problem::new(
            ErrorCode::MissingScope,
            format!(
                "This needs the scope {scope}; the API key {} has {}.",
                key.id,
                has.join(", ")
            ),
        ));
    }
    Ok(credential.tenant)
}
