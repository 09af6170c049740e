//! `sarang check`: says what in the data folder is not as it should be, and repairs what can be.

use super::backup::{TemporaryExport, exported};
use super::{print, process};
use crate::app::{App, FOR_BACKUP};
use crate::check::{CheckOptions, CheckReport, check};
use crate::config::Config;
use crate::control::{ApiCall, Client};
use crate::http::api::admin::local::UsageCorrection;
use crate::http::api::page::Page;
use crate::state::sled::SledStore;
use crate::storage::local::LocalSettings;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fmt::Write as _;

/// How to check.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct CheckArgs {
    /// Repair what can be; stop the server first. Nothing is deleted: it comes to the trash
    #[arg(long)]
    repair: bool,
    /// Also read every file, trash and versions too, and compare it with the hash that was kept when it came
    #[arg(long)]
    scrub: bool,
}

/// Checks and says what was found; an error when something is not as it should be.
pub(super) async fn run(args: CheckArgs, config: Config) -> Result<()> {
    if !config.data_dir.join("state").is_dir() {
        bail!(
            "There is no data folder {} to check",
            config.data_dir.display()
        );
    }
    let report = match Client::connect(&config.data_dir).await {
        Some(_) if args.repair => bail!(
            "Stop the server first, and the socket units that would start it again: repairs need the data folder to themselves"
        ),
        Some(client) => check_with_server(&client?, args, &config).await?,
        None => {
            process::as_owner_of(&config.data_dir.clone(), move || {
                check_offline(args, config)
            })
            .await?
        }
    };
    print(&describe(&report))?;
    let count = report.findings.len();
    let repaired = report
        .findings
        .iter()
        .filter(|(_, finding)| finding.repaired)
        .count();
    if repaired < count {
        bail!("{count} findings, {repaired} of them repaired");
    }
    Ok(())
}

/// Beside the server that runs on the folder.
async fn check_with_server(
    client: &Client,
    args: CheckArgs,
    config: &Config,
) -> Result<CheckReport> {
    let export = exported(client, config.data_dir.join(FOR_BACKUP)).await?;
    let order = CheckOptions {
        data_dir: config.data_dir.clone(),
        served: true,
        scrub: args.scrub,
        repair: None,
    };
    let mut report = look(order, export).await?;
    let corrected: Page<UsageCorrection> = client
        .ask(ApiCall::post(&["local", "usage-corrections"]))
        .await
        .context("The server has stopped meanwhile")?;
    for corrected in corrected.items {
        let UsageCorrection {
            root,
            stored,
            counted,
        } = corrected;
        report.notes.push(format!(
            "The usage of {root} was noted as {stored} bytes where there are {counted}, as after changes beside the server: corrected."
        ));
    }
    report
        .notes
        .push("A server is running: what may be a change under way, and leftovers of uploads, were not judged.".into());
    Ok(report)
}

/// With the folder to itself: no server can start on it meanwhile.
async fn check_offline(args: CheckArgs, config: Config) -> Result<CheckReport> {
    process::raise_open_files();
    let repair = args.repair.then_some(LocalSettings {
        durability: config.drive.durability,
        portable_names: config.drive.portable_names,
        versions: config.history.versions,
        reserve: config.drive.reserve,
        modes: [
            config.storage.file_mode.bits(),
            config.storage.folder_mode.bits(),
        ],
    });
    let app = App::open(config.clone())
        .await
        .context("The state store cannot be opened")?;
    let order = CheckOptions {
        data_dir: config.data_dir.clone(),
        served: false,
        scrub: args.scrub,
        repair,
    };
    let folder = config.data_dir.join(FOR_BACKUP);
    let report = match exported(&Client::in_process(&app), folder).await {
        Ok(export) => look(order, export).await,
        Err(error) => Err(error),
    };
    app.close().await?;
    report
}

async fn look(order: CheckOptions, export: TemporaryExport) -> Result<CheckReport> {
    let checked = move || check(&order, &SledStore::read_export(&export.0)?);
    Ok(tokio::task::spawn_blocking(checked).await??)
}

fn describe(report: &CheckReport) -> String {
    let mut text = String::new();
    for (place, finding) in &report.findings {
        let end = if finding.repaired { " (repaired)" } else { "" };
        let _ = writeln!(text, "{place}: {}{end}", finding.what);
    }
    for note in &report.notes {
        let _ = writeln!(text, "Note: {note}");
    }
    if let Some([files, bytes, new]) = report.read {
        let _ = writeln!(
            text,
            "Read {files} files, {bytes} bytes; {new} of them can be compared from now on."
        );
    }
    let count = report.findings.len();
    let verdict = if count == 0 {
        "nothing is wrong".to_owned()
    } else {
        format!("{count} findings")
    };
    let _ = writeln!(
        text,
        "Checked {} records, {} homes and team folders: {verdict}.",
        report.records, report.trees
    );
    text
}
