//! Fetches documents of identity providers over HTTP, bounded in size and time, without following redirects.

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

/// The timeouts for connecting, and for all requests that lead to a key set.
const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(10);

/// The largest document that the gateway reads, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;

/// The largest token that the gateway sends along, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Fetches key sets from their issuers.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    /// For issuers whose certificates the system's authorities signed.
    http: HttpClient,
    /// The same without the proxy; `None` if no issuer bypasses it.
    straight: Option<HttpClient>,
    proxy: Option<ProxySettings>,
}

impl Fetcher {
    /// Creates a fetcher. It reads the system's trusted certificates only if some address needs them. It reads the
    /// issuers' files to find faults, and reads them again for each fetch.
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

    /// The bytes of the key set that the issuer publishes now.
    ///
    /// # Errors
    /// Which document could not be fetched, and why.
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
            // Each fetch reads this document again, because the address of the keys may change together with the keys.
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

    /// Reads the current contents of the issuer's files, because Kubernetes renews both while the gateway runs.
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
            // With the system's authorities, the address in a document may belong to anybody on the web. With the
            // issuer's own authority, it belongs to a host that this authority has signed for.
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
    /// The only host that gets the token; any host if `None`.
    only_to: Option<Authority>,
}

impl Visit {
    async fn document(&self, uri: &Uri) -> Result<Bytes, String> {
        let authority = uri.authority();
        let mut request = Request::get(net::target(uri))
            .header(header::HOST, authority.map(Authority::as_str).unwrap_or_default())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            // A connection kept open would only go stale between two refreshes.
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
        // A redirect is an error: keys come only from where the operator or the discovery document says.
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

/// The first address to ask for an issuer's documents.
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

/// Reads a bearer token from a file, as a header value.
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
