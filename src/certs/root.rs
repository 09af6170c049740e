//! The root certificate of the authority: what devices install to trust this server. It is public; its key is not.

use super::{file, folder_in};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const FILE: &str = "authority.pem";
/// Names of local networks (RFC 6762, RFC 8375, and what routers and ICANN set apart), with all names below them.
const LOCAL_DOMAINS: [&str; 6] = ["localhost", "local", "home.arpa", "internal", "lan", "home"];
/// Addresses that no one has on the internet (RFC 1918, 3927, 4193, 4291, 6598).
const LOCAL_NETWORKS: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// The certificate of an authority.
#[derive(Clone, Debug)]
pub struct RootCertificate {
    der: Vec<u8>,
}

impl RootCertificate {
    /// The root of the server with this data folder; `None` where none was made.
    pub fn read(data_dir: &Path) -> io::Result<Option<Self>> {
        let Some(bytes) = file::read(&file_in(data_dir))? else {
            return Ok(None);
        };
        Ok(Some(Self {
            der: first_certificate(&bytes)?,
        }))
    }

    /// The root and its key; both are made at the first time, with what it may sign for beside the names of local networks.
    pub(super) fn open(data_dir: &Path, names: &BTreeSet<String>) -> io::Result<(Self, KeyPair)> {
        let path = file_in(data_dir);
        if let Some(bytes) = file::read(&path)? {
            let unusable = || {
                let path = path.display();
                wrong(&format!(
                    "{path} does not hold a certificate and its key any more: bring it back from a copy, or move it away, and devices \
                     have to trust a new one"
                ))
            };
            let der = first_certificate(&bytes).map_err(|_| unusable())?;
            return Ok((Self { der }, key_in(&bytes).ok_or_else(unusable)?));
        }
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params(names)?.self_signed(&key).map_err(io::Error::other)?;
        file::make_folder(data_dir, &folder_in(data_dir))?;
        file::put(
            &path,
            format!("{}{}", certificate.pem(), key.serialize_pem()).as_bytes(),
        )?;
        let root = Self {
            der: certificate.der().to_vec(),
        };
        tracing::info!(
            fingerprint = root.fingerprint(),
            "a certificate authority was made for this server"
        );
        Ok((root, key))
    }

    /// As it is signed.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The same as text.
    pub fn pem(&self) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(&self.der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }

    /// SHA-256 of it, as systems and browsers show it.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        for byte in Sha256::digest(&self.der) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{byte:02X}", if text.is_empty() { "" } else { ":" });
        }
        text
    }

    /// What it is called in lists of authorities.
    pub fn name(&self) -> String {
        let Ok((_, parsed)) = X509Certificate::from_der(&self.der) else {
            return String::new();
        };
        let mut names = parsed.subject().iter_common_name();
        names
            .next()
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned()
    }

    /// Whether a certificate says that it is from this authority.
    pub(super) fn has_signed(&self, certificate: &X509Certificate<'_>) -> bool {
        X509Certificate::from_der(&self.der)
            .is_ok_and(|(_, own)| certificate.issuer().as_raw() == own.subject().as_raw())
    }

    /// Whether it may sign for a name or address: devices refuse what is outside.
    pub(super) fn permits(&self, name: &str) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(&self.der) else {
            return false;
        };
        let Ok(Some(constraints)) = parsed.name_constraints() else {
            return true;
        };
        let permitted = constraints.value.permitted_subtrees.iter().flatten();
        match name.parse::<IpAddr>() {
            Ok(address) => permitted.clone().any(
                |tree| matches!(&tree.base, GeneralName::IPAddress(net) if is_within(address, net)),
            ),
            Err(_) => permitted.clone().any(
                |tree| matches!(&tree.base, GeneralName::DNSName(above) if is_below(name, above)),
            ),
        }
    }
}

/// What the root is. Its dates are fixed: the clock may not be right when it is made.
fn params(names: &BTreeSet<String>) -> io::Result<CertificateParams> {
    let mut random = [0; 3];
    getrandom::fill(&mut random).map_err(|e| io::Error::other(e.to_string()))?;
    let [a, b, c] = random;
    let mut params = CertificateParams::default();
    let host = names.iter().find(|name| {
        name.parse::<IpAddr>().is_err() && !name.contains('.') && *name != "localhost"
    });
    // One that is made anew has another name: browsers mix up authorities of one name.
    let name = format!(
        "Sarang at {} ({a:02x}{b:02x}{c:02x})",
        host.map_or("localhost", String::as_str)
    );
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Sarang");
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = names
        .iter()
        .filter_map(|name| match name.parse::<IpAddr>() {
            Ok(address)
                if LOCAL_NETWORKS
                    .iter()
                    .any(|(net, len)| is_within(address, &subnet(*net, *len))) =>
            {
                None
            }
            Ok(address) => Some(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                address,
                if address.is_ipv4() { 32 } else { 128 },
            ))),
            Err(_) if LOCAL_DOMAINS.iter().any(|above| is_below(name, above)) => None,
            // It would be for a whole top-level domain.
            Err(_) if !name.contains('.') => None,
            Err(_) => Some(GeneralSubtree::DnsName(name.clone())),
        });
    let domains = LOCAL_DOMAINS
        .iter()
        .map(|name| GeneralSubtree::DnsName((*name).to_owned()));
    let networks = LOCAL_NETWORKS
        .iter()
        .map(|(net, len)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*net, *len)));
    let permitted_subtrees = domains.chain(networks).chain(own).collect();
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees,
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

/// A network as certificates write it: address, then mask.
fn subnet(address: IpAddr, len: u8) -> Vec<u8> {
    match CidrSubnet::from_addr_prefix(address, len) {
        CidrSubnet::V4(address, mask) => [address, mask].concat(),
        CidrSubnet::V6(address, mask) => [address, mask].concat(),
    }
}

fn is_within(address: IpAddr, net: &[u8]) -> bool {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (base, mask) = net.split_at(net.len() / 2);
    base.len() == bytes.len()
        && bytes
            .iter()
            .zip(base)
            .zip(mask)
            .all(|((own, base), mask)| own & mask == base & mask)
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The certificate that a PEM file begins with.
pub(super) fn first_certificate(pem: &[u8]) -> io::Result<Vec<u8>> {
    let found = section(pem, "CERTIFICATE").filter(|der| X509Certificate::from_der(der).is_ok());
    found.ok_or_else(|| wrong("it holds no certificate in PEM form"))
}

/// The private key that a PEM file holds beside certificates.
pub(super) fn key_in(pem: &[u8]) -> Option<KeyPair> {
    KeyPair::try_from(section(pem, "PRIVATE KEY")?).ok()
}

fn section(pem: &[u8], label: &str) -> Option<Vec<u8>> {
    let mut sections = Pem::iter_from_buffer(pem).filter_map(Result::ok);
    sections
        .find(|section| section.label == label)
        .map(|section| section.contents)
}

pub(super) fn wrong(sentence: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, sentence)
}

fn file_in(data_dir: &Path) -> PathBuf {
    folder_in(data_dir).join(FILE)
}
