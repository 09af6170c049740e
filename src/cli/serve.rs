//! `sarang serve`: opens everything, says where it is, serves until a signal, closes everything.

use super::service_manager::{self, ServiceManager};
use super::{print, process, sandbox};
use crate::app::App;
use crate::certs::local_name;
use crate::config::{Config, ManagerEnv};
use crate::control::ControlServer;
use crate::jobs;
use crate::log;
use crate::server::{
    ActivatedSockets, CERTIFICATES_LOOK, Certificates, ConnectionLimits, Server, WorkerPool,
    reachable,
};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// One home is kept open for so many descriptors that there may be.
const DESCRIPTORS_A_HOME: usize = 16;

/// What is read again at SIGHUP; all other settings want a restart.
const READ_AGAIN: [&str; 4] = [
    "log.level",
    "log.requests",
    "server.max_connections",
    "server.max_connections_per_address",
];

/// Serves until SIGTERM or SIGINT. The settings come from `file`, or from where they are without one.
pub(super) async fn run(mut config: Config, file: Option<PathBuf>) -> Result<()> {
    let env = ManagerEnv::read();
    // Before anything else has descriptors of these numbers.
    let handed = ActivatedSockets::take(&env.socket_names)?;
    let folder = config.data_dir.clone();
    process::refuse_other_owner(&folder)?;
    let sandbox = sandbox::confine(&config, &Config::source(file.as_deref()));
    let outside = ServerContext {
        manager: ServiceManager::new(&env),
        file,
        settings: config.clone(),
        sandbox,
    };
    if let Some(limit) = process::raise_open_files() {
        // Connections, files and the state need theirs, too.
        config.storage.open_homes = config
            .storage
            .open_homes
            .min((limit / DESCRIPTORS_A_HOME).max(1));
    }
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    // From here on it ends nothing, however long the start takes.
    let hangup = signal(SignalKind::hangup())?;
    let cores = Arc::new(WorkerPool::start().context("The threads that serve cannot be started")?);
    let app = App::open(config)
        .await
        .with_context(|| format!("The data folder {} cannot be opened", folder.display()))?;
    let binding = Server::bind_with(Arc::clone(&app), Arc::clone(&cores), handed);
    let served = serve(&app, binding, Arc::new(outside), hangup, async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("stopping");
    });
    let served = served.await;
    let closed = app
        .close()
        .await
        .context("The data folder could not be closed cleanly");
    tokio::task::spawn_blocking(move || drop(cores)).await?;
    served.and(closed)
}

/// Where the settings came from.
fn source_of(settings: &Config) -> String {
    settings.read_from.as_ref().map_or_else(
        || "no file of settings: all of them are defaults or from the environment".into(),
        |file| format!("the settings are read from {}", file.display()),
    )
}

async fn serve(
    app: &Arc<App>,
    binding: impl Future<Output = crate::model::Result<Server>>,
    outside: Arc<ServerContext>,
    hangup: Signal,
    signalled: impl Future<Output = ()> + Send,
) -> Result<()> {
    let server = binding.await?;
    // Before the greeting: who has read it may give a command at once.
    let desk = ControlServer::open(Arc::clone(app)).await;
    let link = app.setup.token();
    let fingerprint = app
        .issuers
        .local
        .as_ref()
        .map(|authority| authority.root().fingerprint());
    let token = link.as_ref().map(|token| token.as_str());
    print(&greeting(
        server.addresses(),
        server.tls_addresses(),
        fingerprint.as_deref(),
        token,
    ))?;
    tracing::info!("{}", source_of(&outside.settings));
    tracing::info!("{}", outside.sandbox);
    let (stop, stopping) = watch::channel(());
    let stopped = || {
        let mut stopping = stopping.clone();
        // The channel carries nothing: its end is the message.
        async move { while stopping.changed().await.is_ok() {} }
    };
    // Whatever runs beside the server: each gets `stopped()` and is waited for.
    let mut beside = JoinSet::new();
    beside.spawn(jobs::run(Arc::clone(app), stopped()));
    let stopped_hearing = stopped();
    let certificates = server.certificates();
    let limits = server.limits();
    let pulse = server.watchdog();
    let told = Arc::clone(&outside);
    let its_app = Arc::clone(app);
    beside.spawn(async move {
        tokio::select! {
            () = read_again(hangup, certificates, &told, &limits, &its_app) => {}
            () = told.manager.run_notifications(&its_app, &pulse) => {}
            () = stopped_hearing => {}
        }
    });
    spawn_renewal(&mut beside, app, &server, stopped());
    match desk {
        Ok(desk) => drop(beside.spawn(desk.serve(stopped()))),
        Err(error) => tracing::error!(%error, "commands beside the server are not heard"),
    }

    outside.manager.ready(&service_manager::status(app));
    let result = server.run(async {
        signalled.await;
        outside.manager.stopping();
    });
    let result = result.await;
    drop(stop);
    while let Some(ended) = beside.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a background task failed");
        }
    }
    Ok(result?)
}

/// Orders and renews certificates from an ACME server, where one is set up, until `stopped`.
fn spawn_renewal(
    beside: &mut JoinSet<()>,
    app: &App,
    server: &Server,
    stopped: impl Future<Output = ()> + Send + 'static,
) {
    if let Some((acme, certificates)) = app.issuers.acme.clone().zip(server.certificates()) {
        beside.spawn(async move {
            tokio::select! {
                () = acme.run(move || certificates.reload_if_changed(false)) => {}
                () = stopped => {}
            }
        });
    }
}

/// What is outside this process: who manages it, and where its settings come from.
#[derive(Debug)]
struct ServerContext {
    manager: ServiceManager,
    file: Option<PathBuf>,
    /// The settings that it was started with.
    settings: Config,
    /// What the sandbox is, as a line for the log.
    sandbox: String,
}

impl ServerContext {
    /// Reads the settings again, takes what can be taken, and says what wants a restart.
    fn read_settings(&self, limits: &ConnectionLimits) {
        let read = Config::load(self.file.as_deref())
            .and_then(|now| Ok((self.settings.differences(&now)?, now)));
        let (mut changed, now) = match read {
            Ok(read) => read,
            Err(error) => {
                let error = super::sentence_of(&error);
                return tracing::error!(%error, "the changed settings cannot be used; those from before stay in use");
            }
        };
        log::change(&now.log);
        limits.change(&now.server);
        changed.retain(|key| !READ_AGAIN.contains(&key.as_str()));
        if changed.is_empty() {
            tracing::info!("SIGHUP: settings and certificates are read again");
        } else {
            let changed = changed.join(", ");
            tracing::warn!(
                changed,
                "SIGHUP: settings and certificates are read again; what changed here takes effect after a restart"
            );
        }
    }
}

/// Reads the certificates again when their files have changed, and at each SIGHUP, with the settings that can change.
async fn read_again(
    mut hangup: Signal,
    certificates: Option<Arc<Certificates>>,
    outside: &Arc<ServerContext>,
    limits: &Arc<ConnectionLimits>,
    app: &App,
) {
    let mut looks = tokio::time::interval(CERTIFICATES_LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = looks.tick() => false,
        };
        if asked {
            outside.manager.reloading();
            let outside = Arc::clone(outside);
            let limits = Arc::clone(limits);
            let _ = tokio::task::spawn_blocking(move || outside.read_settings(&limits)).await;
        }
        if let Some(certificates) = certificates.clone() {
            let _ =
                tokio::task::spawn_blocking(move || certificates.reload_if_changed(asked)).await;
        }
        if asked {
            outside.manager.ready(&service_manager::status(app));
        }
    }
}

fn greeting(
    addresses: &[SocketAddr],
    with_tls: &[SocketAddr],
    fingerprint: Option<&str>,
    token: Option<&str>,
) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for address in addresses {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Sarang serves http://{address}/dav/");
    }
    for address in with_tls {
        let _ = writeln!(text, "Sarang serves https://{address}/dav/");
    }
    let Some(near) = addresses.first().copied().map(reachable) else {
        return text;
    };
    if let Some(fingerprint) = fingerprint {
        let page = trust_page(addresses, with_tls, &local_name());
        let _ = writeln!(
            text,
            "Devices trust it by {page}, whose certificate has the SHA-256 fingerprint"
        );
        let _ = writeln!(text, "  {fingerprint}");
    }
    // Without TLS only this machine's own address is served where TLS is.
    let with_tls = with_tls
        .first()
        .copied()
        .map(reachable)
        .filter(|_| !near.ip().is_loopback());
    let (scheme, near) = with_tls.map_or(("http", near), |near| ("https", near));
    if let Some(token) = token {
        let _ = writeln!(
            text,
            "First administrator: open {scheme}://{near}/setup?token={token}"
        );
        let _ = writeln!(text, "                     or run: sarang user add NAME");
    }
    let _ = writeln!(text, "Mount: {}", mount_command(scheme, near));
    text
}

/// Where other devices find the root certificate: without TLS if they reach such an address, since they do not trust it yet.
fn trust_page(addresses: &[SocketAddr], with_tls: &[SocketAddr], name: &str) -> String {
    let plain = addresses
        .iter()
        .find(|address| !address.ip().is_loopback())
        .map(|address| ("http", address));
    let found = plain.or(with_tls.first().map(|address| ("https", address)));
    match found.or(addresses.first().map(|address| ("http", address))) {
        Some((scheme, address)) if address.ip().is_unspecified() => {
            format!("{scheme}://{name}:{}/trust", address.port())
        }
        Some((scheme, address)) => format!("{scheme}://{address}/trust"),
        None => "/trust".into(),
    }
}

fn mount_command(scheme: &str, address: SocketAddr) -> String {
    if cfg!(target_os = "macos") {
        format!("open {scheme}://{address}/dav/")
    } else {
        format!(
            "gio mount {}://{address}/dav/",
            scheme.replace("http", "dav")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_where_and_how() {
        let addresses = ["0.0.0.0:80".parse().unwrap(), "[::1]:81".parse().unwrap()];
        let text = greeting(
            &addresses,
            &["0.0.0.0:443".parse().unwrap()],
            None,
            Some("secret"),
        );
        assert!(text.contains("http://0.0.0.0:80/dav/") && text.contains("http://[::1]:81/dav/"));
        assert!(text.contains("http://127.0.0.1:80/setup?token=secret"));
        assert!(text.contains("https://0.0.0.0:443/dav/") && text.lines().count() <= 6);
        assert!(!greeting(&addresses, &[], None, None).contains("setup"));
        let lan = ["192.0.2.1:80".parse().unwrap()];
        let tls = ["192.0.2.1:443".parse().unwrap()];
        let text = greeting(&lan, &tls, Some("AB:CD"), Some("secret"));
        assert!(
            text.contains("https://192.0.2.1:443/setup")
                && text.contains("davs://192.0.2.1:443/dav/"),
            "{text}"
        );
        assert!(
            text.contains("http://192.0.2.1:80/trust") && text.contains("\n  AB:CD\n"),
            "{text}"
        );
    }

    #[test]
    fn devices_are_told_an_address_that_they_can_reach() {
        let of = |plain: &str, tls: &str| {
            let address = |text: &str| text.parse().ok().into_iter().collect::<Vec<SocketAddr>>();
            trust_page(&address(plain), &address(tls), "nas.local")
        };
        assert_eq!(
            of("0.0.0.0:4918", "0.0.0.0:443"),
            "http://nas.local:4918/trust"
        );
        assert_eq!(
            of("192.0.2.1:80", "0.0.0.0:443"),
            "http://192.0.2.1:80/trust"
        );
        assert_eq!(
            of("127.0.0.1:4918", "0.0.0.0:443"),
            "https://nas.local:443/trust"
        );
        assert_eq!(
            of("127.0.0.1:4918", "192.0.2.1:443"),
            "https://192.0.2.1:443/trust"
        );
    }
}
