//! Documents of identity providers over HTTP: bounded in size and time, redirects not followed.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri, header,
    uri::{Authority, Scheme},
};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};

use super::{IssuerSettings, KeySource, Settings, discovery, issuer::Issuer};
use crate::{
    error::Fault,
    files,
    net::{self, HttpClient, ProxySettings, Trust},
};

/// How long connecting, and everything that leads to a key set, may take.
const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(10);

/// The largest document that is read, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;

/// The largest token that is sent along, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Fetches key sets.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    /// For issuers that the system's certificates vouch for.
    http: HttpClient,
    /// The same without the proxy, where some issuer is to be asked so.
    straight: Option<HttpClient>,
    proxy: Option<ProxySettings>,
}

impl Fetcher {
    /// A fetcher; the system's trusted certificates are read only if some address needs them. The files
    /// of issuers are read to find their faults, and again with each fetch.
    pub(super) fn new(settings: &Settings) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let remote = || settings.issuers.iter().enumerate().filter(|(_, issuer)| is_remote(issuer));
        for (number, issuer) in remote() {
            let section = format!("auth.issuers[{number}]");
            if let Some(ca_file) = &issuer.ca_file {
                let only = options(Trust::Only(ca_file), None, true, &section);
                faults.extend(net::client(only).err());
            }
            if let Some(path) = &issuer.token_file
                && let Err(error) = read_token(path)
            {
                let fault = Fault::new(error).in_file(path);
                faults.push(fault.at_key(format!("{section}.token_file")));
            }
        }
        let https = remote().any(|(_, issuer)| issuer.ca_file.is_none() && is_https(issuer));
        let proxy = settings.proxy.clone();
        let client = |proxy| net::client(options(Trust::System, proxy, https, "auth"));
        let aside = proxy.is_some() && remote().any(|(_, issuer)| !issuer.use_proxy);
        match (client(proxy.as_ref()), aside.then(|| client(None)).transpose()) {
            (Ok(http), Ok(straight)) if faults.is_empty() => Ok(Self { http, straight, proxy }),
            (http, straight) => {
                faults.extend(http.err());
                faults.extend(straight.err());
                Err(faults)
            }
        }
    }

    /// The key set that an issuer publishes now, as it came.
    ///
    /// # Errors
    /// Which document could not be had, and why.
    pub(super) async fn key_set(&self, issuer: &Issuer) -> Result<Bytes, String> {
        tokio::time::timeout(WHOLE, self.at_source(issuer))
            .await
            .unwrap_or_else(|_| Err("it took too long".to_owned()))
    }

    async fn at_source(&self, issuer: &Issuer) -> Result<Bytes, String> {
        let visit = self.visit(issuer).await?;
        let issuer = issuer.settings();
        let uri = match &issuer.keys {
            KeySource::Url(uri) => uri.clone(),
            // Asked anew each time: the address of the keys may change as the keys do.
            KeySource::Discovery => {
                let said = |error| format!("the discovery document: {error}");
                let document = discovery::address(&issuer.issuer).map_err(said)?;
                let document = visit.document(&document).await.map_err(said)?;
                discovery::parse(&document, &issuer.issuer).map_err(said)?
            }
            KeySource::File(_) => return Err("its keys are in a file".to_owned()),
        };
        visit.document(&uri).await.map_err(|error| format!("the key set: {error}"))
    }

    /// Reads what the issuer's files hold now: Kubernetes renews both while it runs.
    async fn visit(&self, issuer: &Issuer) -> Result<Visit, String> {
        let (reading, issuer) = (&issuer.reading, issuer.settings());
        let proxy = self.proxy.clone().filter(|_| issuer.use_proxy);
        let straight = self.straight.as_ref().filter(|_| !issuer.use_proxy);
        let shared = straight.unwrap_or(&self.http).clone();
        if issuer.ca_file.is_none() && issuer.token_file.is_none() {
            return Ok(Visit { http: shared, token: None, only_to: None });
        }
        let place = Arc::clone(reading).try_acquire_owned();
        let place = place.map_err(|_| "its files are still being read: a disk may hang")?;
        let (ca_file, token_file) = (issuer.ca_file.clone(), issuer.token_file.clone());
        let host = issuer_host(issuer);
        let read = move || {
            let _place = place;
            let in_file = |path: &Path, error: String| format!("{}: {error}", path.display());
            let http = match &ca_file {
                Some(path) => net::client(options(Trust::Only(path), proxy.as_ref(), true, "auth"))
                    .map_err(|fault| fault.to_string())?,
                None => shared,
            };
            let token = match &token_file {
                Some(path) => Some(read_token(path).map_err(|error| in_file(path, error))?),
                None => None,
            };
            // With the system's certificates anybody on the web may stand behind an address that a
            // document names; with the issuer's own, those that it has vouched for.
            let only_to = if ca_file.is_some() { None } else { host };
            Ok(Visit { http, token, only_to })
        };
        tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
    }
}

/// One fetch of an issuer's documents.
struct Visit {
    http: HttpClient,
    token: Option<HeaderValue>,
    /// The one host that is given the token; any if none.
    only_to: Option<Authority>,
}

impl Visit {
    async fn document(&self, uri: &Uri) -> Result<Bytes, String> {
        let authority = uri.authority();
        let mut request = Request::get(net::target(uri))
            .header(header::HOST, authority.map(Authority::as_str).unwrap_or_default())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            // A kept connection would only go stale between two refreshes.
            .header(header::CONNECTION, "close");
        if let Some(token) = &self.token
            && self.only_to.as_ref().is_none_or(|host| Some(host) == authority)
        {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Full::new(Bytes::new())).map_err(|error| error.to_string())?;
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

const fn options<'a>(
    trust: Trust<'a>,
    proxy: Option<&'a ProxySettings>,
    https: bool,
    section: &'a str,
) -> net::Options<'a> {
    net::Options { connect_timeout: CONNECT, https, trust, proxy, section }
}

fn is_remote(issuer: &IssuerSettings) -> bool {
    !matches!(issuer.keys, KeySource::File(_))
}

/// Where an issuer's documents are asked for first.
fn first_address(issuer: &IssuerSettings) -> Option<Uri> {
    match &issuer.keys {
        KeySource::Url(uri) => Some(uri.clone()),
        KeySource::Discovery => discovery::address(&issuer.issuer).ok(),
        KeySource::File(_) => None,
    }
}

fn is_https(issuer: &IssuerSettings) -> bool {
    first_address(issuer).is_some_and(|uri| uri.scheme() == Some(&Scheme::HTTPS))
}

fn issuer_host(issuer: &IssuerSettings) -> Option<Authority> {
    first_address(issuer).and_then(|uri| uri.authority().cloned())
}

/// A bearer token out of a file, as a header.
fn read_token(path: &Path) -> Result<HeaderValue, String> {
    let text = files::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = SecretString::from(String::from_utf8(text).map_err(|_| "is not UTF-8")?);
    let token = text.expose_secret().trim_ascii();
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("does not hold one token of at most 16 KiB".to_owned());
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|error| format!("cannot be sent in a header: {error}"))?;
    header.set_sensitive(true);
    Ok(header)
}
