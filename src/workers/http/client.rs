//! The client that all calls of a worker share: connections that are kept, TLS, redirects.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};

use super::super::Error;

/// From nothing to a connection that is ready, TLS included.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a connection is kept without a call. Many servers close one after 5 seconds, and a call that meets this end
/// on its way fails, so ours goes before.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Redirects of one call.
const REDIRECTS_MAX: usize = 5;

/// A client. The certificates of the system are read only where TLS is asked for; none of them is no error until then.
pub(super) fn client(tls: bool) -> Result<Client, Error> {
    let mut roots = RootCertStore::empty();
    if tls {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some certificates of the system cannot be read, will go on without");
        }
        roots.add_parsable_certificates(found.certs);
    }
    let failed = |problem: String| Error::Call { call: super::NAME.to_owned(), problem };
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(config)
        .connect_timeout(CONNECT_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .redirect(redirect::Policy::custom(follow))
        .referer(false)
        .user_agent(concat!("daybook/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| failed(super::run::cause(error)))
}

/// Only what repeats the call as it is, and only at the server that the config names: another one is not to be given the
/// headers and arguments, and a call that became a GET would look as if it had been done.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let repeats = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    match repeats && same {
        true if attempt.previous().len() > REDIRECTS_MAX => {
            attempt.error(format!("it redirected more than {REDIRECTS_MAX} times"))
        }
        true => attempt.follow(),
        false => attempt.stop(),
    }
}
