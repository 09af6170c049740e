//! `sarang backup` and `sarang restore`: everything into a folder, and back.

use super::calls::with_client;
use super::{print, process, size};
use crate::app::FOR_BACKUP;
use crate::backup::{self, BackupOptions, BackupRun, BackupStats, Summary};
use crate::config::Config;
use crate::control::{ApiCall, Client};
use crate::http::api::admin::local::StateExport;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a backup begins anew because a home or team folder was moved into another meanwhile.
const ATTEMPTS: usize = 3;
/// How many of the things that could not be read are told.
const TOLD: usize = 20;

/// What to back up, and where to.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The folder of backups: empty, missing, or one that has backups already
    dir: PathBuf,
    /// Leave the trash and former contents of files out
    #[arg(long)]
    without_history: bool,
    /// Remove all but the newest N backups when this one is done
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// What to bring back, and where to.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A folder of backups, for the newest of them, or one of the folders in it
    dir: PathBuf,
    /// The data folder to make, empty or missing; by default the one of the settings
    #[arg(long, value_name = "DATA_DIR")]
    to: Option<PathBuf>,
}

/// Makes a backup and says what was done.
pub(super) async fn run(args: BackupArgs, config: Config) -> Result<()> {
    process::raise_open_files();
    let order = BackupOptions {
        data_dir: config.data_dir.clone(),
        dir: args.dir.clone(),
        history: !args.without_history,
        keep: args.keep.map(usize::from),
    };
    if !config.data_dir.join("state").is_dir() {
        bail!(
            "There is no data folder {} to back up",
            config.data_dir.display()
        );
    }
    for _ in 0..ATTEMPTS {
        let Some(summary) = attempt(order.clone(), &config)
            .await
            .context("The backup was not made")?
        else {
            continue;
        };
        print(&if args.json {
            in_json(&summary)?
        } else {
            describe(&summary)
        })?;
        let failures = summary.tally.failures.len();
        if failures > 0 {
            bail!(
                "{failures} files or folders could not be read: the backup does not have them as they are now"
            );
        }
        return Ok(());
    }
    bail!(
        "The backup was not made: homes or team folders were moved again and again; run it again to go on from here"
    )
}

/// One generation; `None` when it has to be given up for the next.
async fn attempt(order: BackupOptions, config: &Config) -> Result<Option<Summary>> {
    let mut making = blocking(move || Ok(BackupRun::begin(order)?)).await?;
    let state = export(config).await?;
    let copied = blocking(move || {
        making.add_state(&state.0)?;
        let mut progress = Progress::new("copied");
        let stayed = making.copy_files(&mut |tally| progress.tell(tally))?;
        Ok(stayed.then_some(making))
    });
    let Some(making) = copied.await? else {
        return Ok(None);
    };
    blocking(move || Ok(Some(making.finish()?))).await
}

/// A file with the state, removed when it is no longer needed.
pub(super) struct TemporaryExport(pub PathBuf);

impl Drop for TemporaryExport {
    fn drop(&mut self) {
        // The server keeps only a few of them anyway.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The state of the running server, or of the data folder when none runs.
async fn export(config: &Config) -> Result<TemporaryExport> {
    let folder = config.data_dir.join(FOR_BACKUP);
    with_client(config.clone(), |client| async move {
        exported(&client, folder).await
    })
    .await
}

/// Has the state exported to a file in this folder.
pub(super) async fn exported(client: &Client, folder: PathBuf) -> Result<TemporaryExport> {
    let call = ApiCall::post(&["local", "state-exports"]);
    let StateExport { file } = client.ask(call).await?;
    if file.contains('/') {
        bail!("The server names a file of another folder");
    }
    Ok(TemporaryExport(folder.join(file)))
}

/// Brings a backup back and says what was done.
pub(super) async fn restore(args: RestoreArgs, config: Config) -> Result<()> {
    process::raise_open_files();
    let to = args.to.unwrap_or(config.data_dir);
    let dir = args.dir;
    let target = to.clone();
    let restored = blocking(move || {
        let mut progress = Progress::new("restored");
        Ok(backup::restore(&dir, &target, &mut |tally| {
            progress.tell(tally);
        })?)
    });
    let restored = restored
        .await
        .with_context(|| format!("The restore to {} failed", to.display()))?;
    let mut text = format!(
        "Restored {} as of {} to {}: {} files, {}.\n",
        restored.summary.generation.display(),
        restored.summary.began,
        to.display(),
        restored.tally.files,
        size::show(restored.tally.bytes),
    );
    if restored.lost_bindings > 0 {
        let count = restored.lost_bindings;
        let _ = writeln!(
            text,
            "{count} shares or links show nothing: what they showed is not in the backup."
        );
    }
    for (place, path) in &restored.relocated {
        let _ = writeln!(
            text,
            "{place} lay in {path}; it is below the data folder now, and {path} was not touched."
        );
    }
    for failure in restored.tally.failures.iter().take(TOLD) {
        let _ = writeln!(text, "  {failure}");
    }
    print(&text)?;
    match restored.tally.failures.len() {
        0 => Ok(()),
        failures => {
            bail!("{failures} files or folders of the backup could not be read and are missing")
        }
    }
}

/// The summary, and what only this run knows.
fn in_json(summary: &Summary) -> Result<String> {
    let mut value = serde_json::to_value(summary)?;
    if let Some(fields) = value.as_object_mut() {
        let folder = summary.generation.display().to_string();
        fields.insert("generation".into(), folder.into());
        fields.insert("removed".into(), summary.removed.into());
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn describe(summary: &Summary) -> String {
    let tally = &summary.tally;
    let mut text = format!(
        "Backed up to {}: {} files, {}; {} copied ({}), {} linked to the backup before, {:.1} s.\n",
        summary.generation.display(),
        tally.files,
        size::show(tally.bytes),
        tally.copied,
        size::show(tally.copied_bytes),
        tally.linked,
        summary.seconds,
    );
    if tally.left_out > 0 {
        let _ = writeln!(
            text,
            "Left out as no copy can have them: {} (devices, or what the disk of the backup does not make).",
            tally.left_out
        );
    }
    for other in &summary.ahead {
        let _ = writeln!(
            text,
            "The name of {} lies in the future: the clock was wrong when it was made, or is now.",
            other.display()
        );
    }
    if summary.removed > 0 {
        let _ = writeln!(text, "Removed {} older backups.", summary.removed);
    }
    for tree in &tally.restless {
        let _ = writeln!(
            text,
            "Files were moved about in {tree} all the time: run it again when there is less going on."
        );
    }
    for failure in tally.failures.iter().take(TOLD) {
        let _ = writeln!(text, "  {failure}");
    }
    text
}

/// Says how far it is, on the screen often, elsewhere now and then.
struct Progress {
    done: &'static str,
    told: Instant,
    on_screen: bool,
    shown: bool,
}

impl Progress {
    fn new(done: &'static str) -> Self {
        Self {
            done,
            told: Instant::now(),
            on_screen: std::io::stderr().is_terminal(),
            shown: false,
        }
    }

    fn tell(&mut self, tally: &BackupStats) {
        let period = if self.on_screen {
            Duration::from_millis(500)
        } else {
            Duration::from_secs(30)
        };
        if self.told.elapsed() < period {
            return;
        }
        self.told = Instant::now();
        let text = format!(
            "{} files, {} {} ({} unchanged)",
            tally.files,
            size::show(tally.copied_bytes),
            self.done,
            tally.linked
        );
        let mut screen = std::io::stderr().lock();
        // Nobody is told of progress that cannot be shown.
        let _ = if self.on_screen {
            write!(screen, "\r{text}\x1b[K")
        } else {
            writeln!(screen, "{text}")
        };
        self.shown = self.on_screen;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = writeln!(std::io::stderr().lock());
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
