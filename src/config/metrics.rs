//! `[metrics]`: a listener of its own for Prometheus.

use super::Config;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// `[metrics]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Addresses to listen on; none is off.
    pub listen: Vec<SocketAddr>,
}

impl MetricsConfig {
    pub(super) fn validate(&self, config: &Config) -> Result<()> {
        for (key, others) in [
            ("server", &config.server.listen),
            ("tls", &config.tls.listen),
        ] {
            let both = self
                .listen
                .iter()
                .find(|own| own.port() != 0 && others.contains(own));
            ensure!(
                both.is_none(),
                "metrics.listen and {key}.listen are both {}; metrics need an address of their own, such as \"127.0.0.1:9464\".",
                both.map(SocketAddr::to_string).unwrap_or_default()
            );
        }
        Ok(())
    }

    /// The addresses that others than this machine and private networks may reach.
    pub fn public(&self) -> impl Iterator<Item = &SocketAddr> {
        self.listen.iter().filter(|address| is_public(address.ip()))
    }
}

/// Whether an address is, or may be, one of the internet: "every address" is.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_private() || v4.is_link_local()),
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_private_addresses_are_not_public() {
        for own in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "10.1.2.3",
            "192.168.0.9",
            "169.254.1.1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(!is_public(own.parse().unwrap()), "{own}");
        }
        for public in ["0.0.0.0", "::", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_named() {
        let refusal = |text: &str| format!("{:#}", Config::assemble(text, &[]).unwrap_err());
        let taken = refusal("[metrics]\nlisten = [\"127.0.0.1:4918\"]");
        assert!(
            taken.contains("metrics.listen and server.listen are both 127.0.0.1:4918"),
            "{taken}"
        );
        assert!(refusal("[metrics]\nlisten = \"9464\"").contains("line 2"));
        assert!(refusal("[metrics]\nlisten = [\"localhost:9464\"]").contains("line 2"));
        assert!(
            Config::assemble(
                "[metrics]\nlisten = [\"127.0.0.1:0\"]\n[server]\nlisten = [\"127.0.0.1:0\"]",
                &[]
            )
            .is_ok()
        );
    }
}
