//! Documents of identity providers over HTTP: bounded in size and time, redirects not followed.

use std::time::Duration;

use bytes::Bytes;
use http::{
    Request, StatusCode, Uri, header,
    uri::{Authority, Scheme},
};
use http_body_util::Full;

use super::{IssuerSettings, KeySource, Settings, discovery};
use crate::{
    error::Fault,
    net::{self, HttpClient},
};

/// How long connecting, and everything that leads to a key set, may take.
const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(10);

/// The largest document that is read, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;

/// Fetches key sets.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    http: HttpClient,
}

impl Fetcher {
    /// A fetcher; the system's trusted certificates are read only if some address needs them.
    pub(super) fn new(settings: &Settings) -> Result<Self, Fault> {
        let https = settings.issuers.iter().any(|issuer| match &issuer.keys {
            KeySource::Url(uri) => uri.scheme() == Some(&Scheme::HTTPS),
            KeySource::Discovery => discovery::address(&issuer.issuer)
                .is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTPS)),
            KeySource::File(_) => false,
        });
        Ok(Self { http: net::client(CONNECT, https, None)? })
    }

    /// The key set that an issuer publishes now, as it came.
    ///
    /// # Errors
    /// Which document could not be had, and why.
    pub(super) async fn key_set(&self, issuer: &IssuerSettings) -> Result<Bytes, String> {
        tokio::time::timeout(WHOLE, self.at_source(issuer))
            .await
            .unwrap_or_else(|_| Err("it took too long".to_owned()))
    }

    async fn at_source(&self, issuer: &IssuerSettings) -> Result<Bytes, String> {
        let uri = match &issuer.keys {
            KeySource::Url(uri) => uri.clone(),
            // Asked anew each time: the address of the keys may change as the keys do.
            KeySource::Discovery => {
                let said = |error| format!("the discovery document: {error}");
                let document = discovery::address(&issuer.issuer).map_err(said)?;
                let document = self.document(&document).await.map_err(said)?;
                discovery::parse(&document, &issuer.issuer).map_err(said)?
            }
            KeySource::File(_) => return Err("its keys are in a file".to_owned()),
        };
        self.document(&uri).await.map_err(|error| format!("the key set: {error}"))
    }

    async fn document(&self, uri: &Uri) -> Result<Bytes, String> {
        let host = uri.authority().map(Authority::as_str).unwrap_or_default();
        let request = Request::get(net::target(uri))
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            // A kept connection would only go stale between two refreshes.
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::new()))
            .map_err(|error| error.to_string())?;
        let link = self.http.link(uri).await.map_err(|error| error.to_string())?;
        let response = link.exchange(request, MAX_DOCUMENT).await;
        let response = response.map_err(|error| error.to_string())?;
        // Redirects are not followed: keys come from where the operator said, or not at all.
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status()));
        }
        Ok(response.into_body())
    }
}
