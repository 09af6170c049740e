//! A network: an address, or all that begin like one.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that begin alike, such as `10.0.0.0/8`, `fd00::/8` or one whole `192.0.2.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpNetwork {
    address: IpAddr,
    /// How many bits all of them begin with.
    prefix: u8,
}

impl IpNetwork {
    /// Whether an address is one of its; an IPv4 address may be written in IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()) & mask4(self.prefix) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()) & mask6(self.prefix) == 0
            }
            _ => false,
        }
    }
}

fn mask4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for IpNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no network; write it like \"10.0.0.0/8\", \"fd00::/8\" or \"192.0.2.7\""
            )
        };
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| wrong())?;
        if prefix > bits {
            return Err(wrong());
        }
        let is_mapped =
            matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
        if is_mapped {
            return Err(format!(
                "{text:?} is an IPv4 network written in IPv6; write it as IPv4, like \"10.0.0.0/8\""
            ));
        }
        let first = match address {
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() & mask4(prefix)).into()),
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask6(prefix)))
            }
        };
        if first != address {
            return Err(format!(
                "{text:?} has an address beyond its /{prefix}; write \"{first}/{prefix}\""
            ));
        }
        Ok(Self { address, prefix })
    }
}

impl TryFrom<String> for IpNetwork {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<IpNetwork> for String {
    fn from(network: IpNetwork) -> Self {
        network.to_string()
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_like_it() {
        let holds = |network: &str, address: &str| {
            network
                .parse::<IpNetwork>()
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1") && !holds("10.0.0.0/8", "a00::1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("2001:db8::1", "2001:db8::1") && !holds("2001:db8::1", "2001:db8::2"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && holds("::/0", "1::") && !holds("::/0", "1.2.3.4"));
    }

    #[test]
    fn what_is_no_network_is_told_so_and_how_to_write_it() {
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "host",
        ] {
            assert!(
                text.parse::<IpNetwork>()
                    .unwrap_err()
                    .contains("10.0.0.0/8"),
                "{text}"
            );
        }
        assert!(
            "10.0.0.1/8"
                .parse::<IpNetwork>()
                .unwrap_err()
                .contains("write \"10.0.0.0/8\"")
        );
        assert!(
            "::ffff:10.0.0.1"
                .parse::<IpNetwork>()
                .unwrap_err()
                .contains("IPv4")
        );
    }
}
