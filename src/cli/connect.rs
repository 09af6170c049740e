//! `sarang connect`: how each device gets at the drive, with this server's address in place. The app's Connect page says the same.

use super::print;
use crate::config::Config;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::net::IpAddr;

/// What the drive is to be used from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Device {
    Windows,
    Macos,
    Gnome,
    Kde,
    Davfs2,
    Rclone,
    Android,
    Ios,
    /// What announces the drive in the local network: a service file for Avahi
    Avahi,
}

#[derive(Debug, Args)]
pub(super) struct ConnectArgs {
    /// What to connect
    #[arg(long = "for", value_name = "DEVICE")]
    device: Device,
    /// The account
    #[arg(long, value_name = "NAME", default_value = "NAME")]
    user: String,
    /// The address that clients are given; without it that of the settings
    #[arg(long)]
    url: Option<String>,
}

/// Prints the kit of a device.
pub(super) fn run(args: ConnectArgs, config: &Config) -> Result<()> {
    let address = args.url.map_or_else(
        || own_address(config, "--url https://drive.example.org/dav/"),
        Ok,
    )?;
    ensure!(
        address.starts_with("https://") || address.starts_with("http://"),
        "{address} is not an address: write it as https://drive.example.org/dav/."
    );
    let address = format!("{}/", address.trim_end_matches('/'));
    if args.device == Device::Avahi {
        return print(&announcement(&address)?);
    }
    print(&kit(args.device, &address, &args.user))
}

/// The address of the drives that the settings give: the public one, else where it listens without TLS. Listening everywhere or with TLS
/// tells no name that clients could use; the error says to write the address as in `example`.
pub(super) fn own_address(config: &Config, example: &str) -> Result<String> {
    if !config.server.public_url.is_empty() {
        return Ok(format!("{}/dav/", config.server.public_url));
    }
    let told = config
        .server
        .listen
        .first()
        .filter(|address| !address.ip().is_unspecified());
    let address = told.filter(|_| config.tls.listen.is_empty()).with_context(|| {
        format!("The settings do not say by which address clients reach the server: give it ({example}), or set server.public_url.")
    })?;
    Ok(format!("http://{address}/dav/"))
}

/// The file by which Avahi announces the drive (DNS-SD), as its DTD wants it. A host that is an address is left out: Avahi then says the
/// machine's own name, and so it does for `localhost`.
fn announcement(address: &str) -> Result<String> {
    let wrong =
        || format!("{address} is not an address: write it as https://drive.example.org/dav/.");
    let uri: http::Uri = address.parse().with_context(wrong)?;
    let host = uri.host().with_context(wrong)?;
    let (kind, port) = if uri.scheme_str() == Some("https") {
        ("_webdavs._tcp", 443)
    } else {
        ("_webdav._tcp", 80)
    };
    let port = uri.port_u16().unwrap_or(port);
    let is_name = !host.starts_with('[') && host.parse::<IpAddr>().is_err() && host != "localhost";
    let host = if is_name {
        format!("    <host-name>{host}</host-name>\n")
    } else {
        String::new()
    };
    let path = uri.path().replace('&', "&amp;");
    Ok(format!(
        "<?xml version=\"1.0\" standalone=\"no\"?>\n<!DOCTYPE service-group SYSTEM \"avahi-service.dtd\">\n\
         <service-group>\n  <name replace-wildcards=\"yes\">Sarang on %h</name>\n  <service>\n    <type>{kind}</type>\n{host}\
         \x20   <port>{port}</port>\n    <txt-record>path={path}</txt-record>\n  </service>\n</service-group>\n"
    ))
}

fn kit(device: Device, address: &str, user: &str) -> String {
    // The schemes of GNOME and KDE.
    let dav = address.replacen("http", "dav", 1);
    let webdav = address.replacen("http", "webdav", 1);
    let folder = address.trim_end_matches('/');
    let steps = match device {
        Device::Windows => {
            let plain = if address.starts_with("http://") {
                "Windows refuses passwords over plain HTTP: serve the drive with TLS, or set BasicAuthLevel to 2 in the registry \
                 (HKLM\\SYSTEM\\CurrentControlSet\\Services\\WebClient\\Parameters) and restart the service WebClient.\n"
            } else {
                ""
            };
            format!(
                "This PC, Map network drive; as the folder {address}, with \"Connect using different credentials\".\nOr by a command:\n\n\
                 \x20   net use * \"{folder}\" /user:{user} /persistent:yes\n\n{plain}\
                 Files above 50 MB open once FileSizeLimitInBytes of the same registry key is raised (4 GB at most).\n"
            )
        }
        Device::Macos => format!(
            "Finder, Go, Connect to Server (Cmd+K): {address}, as Registered User {user}.\n"
        ),
        Device::Gnome => format!(
            "Files, Network, Connect to Server: {dav}\nOr by a command:\n\n    gio mount {dav}\n"
        ),
        Device::Kde => format!("Dolphin, Ctrl+L: {webdav}\n"),
        Device::Davfs2 => format!(
            "As root, with davfs2 installed and APP-PASSWORD filled in:\n\n    mkdir -p /mnt/sarang\n    \
             echo '{address} {user} APP-PASSWORD' >> /etc/davfs2/secrets\n    \
             echo '{address} /mnt/sarang davfs user,uid=1000,noauto,_netdev 0 0' >> /etc/fstab\n    mount /mnt/sarang\n\n\
             On recent kernels set `buf_size 64` in /etc/davfs2/davfs2.conf, or every listing fails.\n"
        ),
        Device::Rclone => format!(
            "With APP-PASSWORD filled in:\n\n    \
             rclone config create sarang webdav url={address} vendor=owncloud user={user} pass=APP-PASSWORD\n    \
             rclone mount sarang: ~/Sarang --vfs-cache-mode writes\n"
        ),
        Device::Android => format!(
            "Material Files, Solid Explorer, Round Sync or DAVx5: add a WebDAV storage with the address {address} and the name {user}.\n"
        ),
        Device::Ios => format!(
            "Documents, FE File Explorer or Owlfiles: add a WebDAV connection with the address {address} and the name {user}.\n\
             Most apps want TLS with a certificate that the system believes.\n"
        ),
        Device::Avahi => String::new(),
    };
    format!(
        "{steps}\nThe password is one of its own for this device: make it in the app under Connect, or by POST /api/v1/app-passwords.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kit_has_address_and_password() {
        for device in Device::value_variants()
            .iter()
            .filter(|device| **device != Device::Avahi)
        {
            for (address, host) in [
                ("https://drive.example.org/dav/", "drive.example.org/dav"),
                ("http://[::1]:4918/dav/", "[::1]:4918/dav"),
            ] {
                let text = kit(*device, address, "ana");
                assert!(
                    text.contains(host) && text.contains("app-passwords"),
                    "{device:?}: {text}"
                );
            }
        }
        assert!(kit(Device::Gnome, "https://a/dav/", "ana").contains("davs://a/dav/"));
        assert!(kit(Device::Kde, "https://a/dav/", "ana").contains("webdavs://a/dav/"));
        let windows = |address| kit(Device::Windows, address, "ana");
        assert!(
            windows("http://a/dav/").contains("BasicAuthLevel")
                && !windows("https://a/dav/").contains("BasicAuthLevel")
        );
    }

    #[test]
    fn avahi_announces_scheme_host_port_and_path() {
        for (address, kind, host, port) in [
            (
                "https://drive.example.org/dav/",
                "_webdavs._tcp",
                Some("drive.example.org"),
                "443",
            ),
            (
                "http://nas.local:4918/dav/",
                "_webdav._tcp",
                Some("nas.local"),
                "4918",
            ),
            (
                "http://[2001:db8::1]:4918/dav/",
                "_webdav._tcp",
                None,
                "4918",
            ),
            ("https://192.0.2.1/a&b/dav/", "_webdavs._tcp", None, "443"),
            ("http://localhost/dav/", "_webdav._tcp", None, "80"),
        ] {
            let text = announcement(address).unwrap();
            let options = roxmltree::ParsingOptions {
                allow_dtd: true,
                ..roxmltree::ParsingOptions::default()
            };
            let document = roxmltree::Document::parse_with_options(&text, options).unwrap();
            let said = |name| {
                document
                    .descendants()
                    .find(|node| node.has_tag_name(name))
                    .and_then(|node| node.text())
            };
            assert_eq!(
                (said("type"), said("host-name"), said("port")),
                (Some(kind), host, Some(port)),
                "{address}"
            );
            let path = format!("path=/{}", address.splitn(4, '/').last().unwrap());
            assert_eq!(said("txt-record"), Some(path.as_str()));
        }
        assert!(announcement("https:///dav/").is_err());
    }

    #[test]
    fn the_address_is_the_public_one_then_where_it_listens_and_never_guessed() {
        let mut config = Config::default();
        let address =
            |config: &Config| own_address(config, "sarang doctor URL").map_err(|e| e.to_string());
        assert!(address(&config).unwrap().starts_with("http://"));
        config.tls.listen = vec!["127.0.0.1:443".parse().unwrap()];
        assert!(
            address(&config)
                .unwrap_err()
                .contains("give it (sarang doctor URL), or set server.public_url")
        );
        config.tls.listen.clear();
        for everywhere in ["0.0.0.0:4918", "[::]:4918"] {
            config.server.listen = vec![everywhere.parse().unwrap()];
            assert!(address(&config).is_err(), "{everywhere}");
        }
        config.server.public_url = "https://drive.example.org".into();
        assert_eq!(address(&config).unwrap(), "https://drive.example.org/dav/");
    }
}
