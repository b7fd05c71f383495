//! Reads the listener's certificate and key, and the certificate authorities of callers, from PEM, and reports every
//! fault at once.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ::aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN, digest};
use humantime::format_rfc3339_seconds;
use rustls::{
    InconsistentKeys, RootCertStore, ServerConfig,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, Ticketer},
    },
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{
        NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier, danger::ClientCertVerifier,
    },
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use x509_cert::{Certificate, der::Decode};

use super::TlsSettings;
use crate::{error::Fault, files::ReadFile};

/// The protocols inside TLS, the preferred one first.
pub(super) const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// How far the clock of the certificate authority may be ahead of the gateway's clock.
const LEEWAY: Duration = Duration::from_secs(60);

/// A certificate that matches its key, and its period of validity.
#[derive(Clone, Debug)]
pub(super) struct CertifiedKeyPair {
    /// A digest of both files, so that there is no second copy of the key in memory.
    digest: [u8; SHA256_OUTPUT_LEN],
    certified: CertifiedKey,
    not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

/// Verifies callers' certificates and makes their sessions resumable. A resumed session does not show its certificate
/// again, so it must not outlive an authority that was removed. That is why the two are replaced together.
#[derive(Clone, Debug)]
pub(super) struct ClientVerification {
    /// The content of the file of authorities; `None` if callers need no certificates.
    pem: Option<Vec<u8>>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Gives each session to the caller as a ticket, encrypted with keys of this process that rotate automatically. A
    /// cache of sessions in this process would fill with callers who never resume one.
    tickets: Arc<dyn ProducesTickets>,
}

impl ClientVerification {
    /// Whether both were made from the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl CertifiedKeyPair {
    /// Reads and checks the certificate and its key.
    pub(super) fn load(settings: &TlsSettings, read: ReadFile<'_>) -> Result<Self, Vec<Fault>> {
        let (certified, [not_before, not_after]) = certificate(settings, read, &provider())?;
        let mut files = Context::new(&SHA256);
        for file in [&settings.cert_file, &settings.key_file] {
            files.update(digest(&SHA256, &read(file).unwrap_or_default()).as_ref());
        }
        let digest = files.finish().as_ref().try_into().unwrap_or_default();
        Ok(Self { digest, certified, not_before, not_after })
    }

    /// Whether both were made from the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// The fault if no caller would accept the certificate at this time.
    pub(super) fn out_of_time(&self, settings: &TlsSettings, now: SystemTime) -> Option<Fault> {
        let text = if now > self.not_after {
            let when = format_rfc3339_seconds(self.not_after);
            format!("the certificate expired at {when}: put a new one and its key in place")
        } else if now + LEEWAY < self.not_before {
            let when = format_rfc3339_seconds(self.not_before);
            format!("the certificate is not valid before {when}: put it in place after that")
        } else {
            return None;
        };
        Some(fault(text, &settings.cert_file, CERT_FILE))
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

const CERT_FILE: &str = "server.tls.cert_file";
const KEY_FILE: &str = "server.tls.key_file";
const CLIENT_CA_FILE: &str = "server.tls.client_ca_file";

fn fault(text: impl Into<String>, file: &Path, key: &str) -> Fault {
    Fault::new(text).in_file(file).at_key(key)
}

fn bytes(file: &Path, key: &str, read: ReadFile<'_>) -> Result<Vec<u8>, Fault> {
    read(file).map_err(|error| fault(format!("the file cannot be read: {error}"), file, key))
}

/// Reads the chain and its key, and checks each separately and both against each other.
fn certificate(
    settings: &TlsSettings,
    read: ReadFile<'_>,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, [SystemTime; 2]), Vec<Fault>> {
    let chain = bytes(&settings.cert_file, CERT_FILE, read)
        .and_then(|pem| certificates(&pem, &settings.cert_file, CERT_FILE))
        .and_then(|chain| Ok((validity(&chain, &settings.cert_file)?, chain)));
    let key = bytes(&settings.key_file, KEY_FILE, read)
        .and_then(|pem| private_key(&pem, &settings.key_file));
    let key = key.and_then(|key| {
        provider.key_provider.load_private_key(key).map_err(|error| {
            let text = format!("the private key cannot be used: {error}");
            fault(text, &settings.key_file, KEY_FILE)
        })
    });
    let ((validity, chain), key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
    };
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok((certified, validity))
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            let text = format!(
                "the private key does not match the certificate in `{}`: put both files of one pair in place",
                settings.cert_file.display()
            );
            Err(vec![fault(text, &settings.key_file, KEY_FILE)])
        }
        Err(error) => {
            let text = format!("the first certificate cannot be used: {error}");
            Err(vec![fault(text, &settings.cert_file, CERT_FILE)])
        }
    }
}

fn certificates(pem: &[u8], file: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| {
        let text = format!("the certificates cannot be read: {}", in_words(&error));
        fault(text, file, key)
    })?;
    if chain.is_empty() {
        return Err(fault("the file holds no certificate in PEM", file, key));
    }
    Ok(chain)
}

fn private_key(pem: &[u8], file: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    // Checked before anything is parsed: both forms of an encrypted key contain this word.
    if pem.windows(b"ENCRYPTED".len()).any(|word| word == b"ENCRYPTED") {
        let text = "the private key is encrypted, and the gateway cannot ask for its password: \
                    store it decrypted (`openssl pkey`), readable only by the gateway";
        return Err(fault(text, file, KEY_FILE));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => fault("the file holds no private key in PEM", file, KEY_FILE),
        error => {
            let text = format!("the private key cannot be read: {}", in_words(&error));
            fault(text, file, KEY_FILE)
        }
    })
}

/// The texts of the PEM errors would show lines of the file, which may be a key.
fn in_words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "the file breaks off inside a PEM section",
        pem::Error::IllegalSectionStart { .. } => "a line that begins a PEM section is malformed",
        pem::Error::Base64Decode(_) => "a PEM section is not base64",
        _ => "the file is not PEM",
    }
}

/// The period of validity of the first certificate, which is the gateway's own. Later certificates are not checked,
/// because some chains include an expired cross-signature for old callers on purpose.
fn validity(chain: &[CertificateDer<'_>], file: &Path) -> Result<[SystemTime; 2], Fault> {
    let own = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let parsed = Certificate::from_der(own).map_err(|error| {
        fault(format!("the first certificate is not X.509: {error}"), file, CERT_FILE)
    })?;
    let validity = parsed.tbs_certificate().validity();
    let at = |time: x509_cert::time::Time| UNIX_EPOCH + time.to_unix_duration();
    Ok([at(validity.not_before), at(validity.not_after)])
}

/// If there is a file of authorities, requires a certificate from one of them. The name in the certificate does not
/// matter, because the token tells who calls.
pub(super) fn clients(
    settings: &TlsSettings,
    read: ReadFile<'_>,
) -> Result<ClientVerification, Fault> {
    let tickets = Ticketer::new()
        .map_err(|error| Fault::new(format!("TLS sessions cannot be set up: {error}")))?;
    let Some(file) = settings.client_ca_file.as_deref() else {
        return Ok(ClientVerification { pem: None, verifier: None, tickets });
    };
    let unusable = |error: &dyn std::fmt::Display| {
        let text = format!("an authority's certificate cannot be used: {error}");
        fault(text, file, CLIENT_CA_FILE)
    };
    let mut roots = RootCertStore::empty();
    let pem = bytes(file, CLIENT_CA_FILE, read)?;
    for certificate in certificates(&pem, file, CLIENT_CA_FILE)? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider())).build();
    let verifier = verifier.map_err(|error| unusable(&error))?;
    Ok(ClientVerification { pem: Some(pem), verifier: Some(verifier), tickets })
}

/// Makes the TLS configuration for new connections.
pub(super) fn config(
    pair: CertifiedKeyPair,
    clients: ClientVerification,
) -> Result<ServerConfig, Fault> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| Fault::new(format!("TLS cannot be set up: {error}")))?;
    let builder = match clients.verifier {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let resolver = SingleCertAndKey::from(pair.certified);
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    // An attacker who recorded early data (0-RTT) can replay it, and writes must not be replayed.
    config.max_early_data_size = 0;
    // The gateway stores nothing for callers who may resume a session.
    config.ticketer = clients.tickets;
    // The same number as rustls sends without a request. A caller who asks for a number of tickets gets no more than
    // that (RFC 9149), and a caller who cannot resume gets none (RFC 8446, 4.2.9).
    config.max_tls13_tickets = config.send_tls13_tickets;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, io, path::PathBuf};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    fn settings() -> TlsSettings {
        TlsSettings {
            cert_file: PathBuf::from("cert"),
            key_file: PathBuf::from("key"),
            client_ca_file: Some(PathBuf::from("ca")),
        }
    }

    /// Makes a certificate and its key, in PEM.
    fn pair(until: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["gateway".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn load(files: &[(&str, &str)]) -> Result<CertifiedKeyPair, Vec<String>> {
        let files: HashMap<_, _> =
            files.iter().map(|(name, text)| (Path::new(*name), *text)).collect();
        let read = |path: &Path| {
            let text = files.get(path).map(|text| text.as_bytes().to_vec());
            text.ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        let said = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        match (CertifiedKeyPair::load(&settings(), &read), clients(&settings(), &read)) {
            (Ok(pair), Ok(_)) => Ok(pair),
            (pair, clients) => {
                let faults = pair.err().into_iter().flatten().chain(clients.err());
                Err(said(faults.collect()))
            }
        }
    }

    #[track_caller]
    fn assert_faults(files: &[(&str, &str)], want: &[&str]) {
        let faults = load(files).unwrap_err();
        let fit = faults.iter().zip(want).all(|(fault, want)| fault.contains(want));
        assert!(faults.len() == want.len() && fit, "{faults:#?} instead of {want:#?}");
    }

    #[test]
    fn a_good_pair_is_loaded_with_its_time() {
        let (cert, key) = pair(2100);
        let pair = load(&[("cert", &cert), ("key", &key), ("ca", &cert)]).unwrap();
        assert_eq!(format_rfc3339_seconds(pair.not_after).to_string(), "2100-01-01T00:00:00Z");
        let nobody = TlsSettings { client_ca_file: None, ..settings() };
        let clients = clients(&nobody, &|_| Err(io::ErrorKind::NotFound.into())).unwrap();
        assert_eq!(config(pair.clone(), clients).unwrap().max_early_data_size, 0);
        assert!(pair.out_of_time(&settings(), SystemTime::now()).is_none());
        let said = |at: SystemTime| pair.out_of_time(&settings(), at).unwrap().to_string();
        assert_eq!(
            said(pair.not_after + Duration::from_secs(1)),
            "cert: server.tls.cert_file: the certificate expired at 2100-01-01T00:00:00Z: put a new one and its key in place"
        );
        assert!(said(pair.not_before - LEEWAY - Duration::from_secs(1)).contains("before 2020-"));
        assert!(pair.out_of_time(&settings(), pair.not_before - LEEWAY).is_none());
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_file_and_key() {
        let key_of = ["key: server.tls.key_file: ", "ca: server.tls.client_ca_file: "];
        let cert_of = "cert: server.tls.cert_file: ";
        let unreadable = |place: &str| format!("{place}the file cannot be read: ");
        let [no_cert, no_key, no_ca] = [cert_of, key_of[0], key_of[1]].map(unreadable);
        assert_faults(&[], &[&no_cert, &no_key, &no_ca]);
        assert_faults(
            &[("cert", "garbage"), ("key", "garbage"), ("ca", "")],
            &[
                "cert: server.tls.cert_file: the file holds no certificate in PEM",
                "key: server.tls.key_file: the file holds no private key in PEM",
                "ca: server.tls.client_ca_file: the file holds no certificate in PEM",
            ],
        );
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        let (cert, key) = pair(2100);
        let broken = cert.replace("MII", "MIJ");
        let not_base64 = cert.replace("MII", "M!!");
        let cut = &cert[..cert.len() / 2];
        for (text, want) in [
            (broken.as_str(), "the first certificate is not X.509"),
            (&not_base64, "a PEM section is not base64"),
            (cut, "breaks off inside a PEM section"),
            (&key, "the file holds no certificate in PEM"),
        ] {
            assert_faults(&[("cert", text), ("key", &key), ("ca", &cert)], &[want]);
        }
        assert_faults(&[("cert", &cert), ("key", &key), ("ca", &broken)], &["cannot be used"]);
    }

    #[test]
    fn a_key_that_is_none_or_another_ones_is_refused() {
        let (cert, key) = pair(2100);
        let (_, other) = pair(2100);
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let legacy = key.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n", 1);
        let broken = key.replace("MI", "MA");
        for (text, want) in [
            (other.as_str(), "does not match the certificate in `cert`"),
            (&encrypted, "the private key is encrypted"),
            (&legacy, "the private key is encrypted"),
            (&broken, "the private key cannot be used"),
            (&cert, "the file holds no private key in PEM"),
        ] {
            assert_faults(&[("cert", &cert), ("key", text), ("ca", &cert)], &[want]);
        }
    }
}
