//! What clients in a local network call this machine: its names, and the addresses of its interfaces.

use crate::config::{ServerConfig, TlsConfig, is_host_name};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More addresses than a machine has, unless it makes them for containers.
const MAX_ADDRESSES: usize = 64;

/// The names and addresses that a certificate of this server should be for, in small letters.
pub(super) fn names(server: &ServerConfig, tls: &TlsConfig) -> BTreeSet<String> {
    let uname = rustix::system::uname();
    let mut names = host_names(uname.nodename().to_str().unwrap_or_default());
    names.extend(host_of(server.public_origin()).map(str::to_owned));
    names.extend(server.hosts.iter().map(|host| host_part(host).to_owned()));
    names.extend(tls.local_names.iter().cloned());
    let listening: Vec<IpAddr> = tls
        .listen
        .iter()
        .map(|address| address.ip().to_canonical())
        .collect();
    let mut addresses: BTreeSet<IpAddr> = listening
        .iter()
        .copied()
        .filter(|address| !address.is_unspecified())
        .collect();
    if listening.iter().any(IpAddr::is_unspecified) {
        let has_v6 = listening.contains(&Ipv6Addr::UNSPECIFIED.into());
        addresses.extend(
            interfaces()
                .filter(|address| address.is_ipv4() || has_v6)
                .take(MAX_ADDRESSES),
        );
    }
    addresses.extend([
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ]);
    names.extend(addresses.iter().map(IpAddr::to_string));
    let is_usable = |name: &String| name.parse::<IpAddr>().is_ok() || is_host_name(name);
    names
        .into_iter()
        .map(|name| canonical(&name))
        .filter(is_usable)
        .collect()
}

/// A name or address as it is read from a certificate.
fn canonical(name: &str) -> String {
    name.parse::<IpAddr>().map_or_else(
        |_| name.to_ascii_lowercase(),
        |address| address.to_canonical().to_string(),
    )
}

/// What others in the local network call this machine by multicast DNS.
pub fn local_name() -> String {
    let uname = rustix::system::uname();
    match uname
        .nodename()
        .to_str()
        .unwrap_or_default()
        .split('.')
        .next()
    {
        None | Some("" | "localhost") => "localhost".into(),
        Some(first) => format!("{first}.local"),
    }
}

/// What a machine of this name is called, also by those who find it by multicast DNS.
fn host_names(node: &str) -> BTreeSet<String> {
    let first = node.split('.').next().unwrap_or_default();
    let mut names = BTreeSet::from(["localhost".to_owned()]);
    if !first.is_empty() && first != "localhost" {
        names.extend([node.to_owned(), first.to_owned(), format!("{first}.local")]);
    }
    names
}

/// The host of an address such as `https://files.example.org:8443`.
fn host_of(url: &str) -> Option<&str> {
    url.split_once("://").map(|(_, host)| host_part(host))
}

/// A host without its port and brackets.
fn host_part(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match host.rsplit_once(':') {
        Some((before, _)) if !before.contains(':') => before,
        _ => host,
    }
}

/// The addresses of this machine's interfaces, but for those that only mean something on one link. From `/proc`: netlink is closed to a
/// confined service.
fn interfaces() -> impl Iterator<Item = IpAddr> {
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
    let v4 = ipv4(&read("fib_trie"));
    let v6 = ipv6(&read("if_inet6"));
    v4.into_iter()
        .map(IpAddr::from)
        .chain(v6.into_iter().map(IpAddr::from))
}

/// The host's own addresses in the kernel's table of routes.
fn ipv4(fib_trie: &str) -> BTreeSet<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut last = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.filter(|address| !address.is_loopback() && !address.is_link_local()));
        }
    }
    found
}

/// The addresses in the kernel's list, without temporary ones, which change by the day.
fn ipv6(if_inet6: &str) -> BTreeSet<Ipv6Addr> {
    const TEMPORARY: u8 = 0x01;
    const TENTATIVE: u8 = 0x40;
    let address = |line: &str| {
        let mut fields = line.split_whitespace();
        let address = Ipv6Addr::from(u128::from_str_radix(fields.next()?, 16).ok()?);
        let flags = u8::from_str_radix(fields.nth(3)?, 16).ok()?;
        (flags & (TEMPORARY | TENTATIVE) == 0).then_some(address)
    };
    let is_for_many =
        |address: &Ipv6Addr| !address.is_loopback() && !address.is_unicast_link_local();
    if_inet6
        .lines()
        .filter_map(address)
        .filter(is_for_many)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_from_what_the_settings_say() {
        for (url, host) in [
            ("https://files.example.org", Some("files.example.org")),
            ("https://files.example.org:8443", Some("files.example.org")),
            ("https://[fd00::7]:8443", Some("fd00::7")),
            ("", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
        assert_eq!(
            host_names("nas.lan"),
            BTreeSet::from(["localhost", "nas", "nas.lan", "nas.local"].map(str::to_owned))
        );
        assert_eq!(
            host_names("localhost"),
            BTreeSet::from(["localhost".to_owned()])
        );
        assert_eq!(host_names(""), host_names("localhost"));
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.168.7.0\n        /24 link UNICAST\n\
                    Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.168.7.2\n        /32 host LOCAL\n     |-- 192.168.7.255\n        \
                    /32 link BROADCAST\n";
        assert_eq!(ipv4(trie), BTreeSet::from([Ipv4Addr::new(192, 168, 7, 2)]));
        let list = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fe800000000000000000000000000001 02 40 20 80     eth0\n\
                    fd000000000000000000000000000007 02 40 00 80     eth0\n\
                    fd00000000000000aaaaaaaaaaaaaaaa 02 40 00 01     eth0\nnonsense\n";
        assert_eq!(ipv6(list), BTreeSet::from(["fd00::7".parse().unwrap()]));
    }

    #[test]
    fn a_listener_on_every_address_is_reached_by_those_of_the_interfaces() {
        let server = ServerConfig {
            public_url: "https://Files.example.org".into(),
            ..ServerConfig::default()
        };
        let local_names = vec!["NAS.fritz.box".into(), "192.0.2.7".into()];
        let listen = vec!["192.0.2.1:443".parse().unwrap()];
        let mut tls = TlsConfig {
            listen,
            local_names,
            ..TlsConfig::default()
        };
        let few = names(&server, &tls);
        for name in [
            "files.example.org",
            "nas.fritz.box",
            "192.0.2.7",
            "192.0.2.1",
            "localhost",
            "127.0.0.1",
            "::1",
        ] {
            assert!(few.contains(name), "{name}: {few:?}");
        }
        tls.listen = vec!["[::]:443".parse().unwrap()];
        let all = names(&server, &tls);
        assert!(!all.contains("192.0.2.1") && !all.contains("::"), "{all:?}");
        assert!(
            interfaces()
                .take(MAX_ADDRESSES)
                .all(|address| all.contains(&address.to_string())),
            "{all:?}"
        );
    }
}
