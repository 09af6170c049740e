//! `sarang doctor`: what clients meet on their way to the server.

use super::connect::own_address;
use super::{print, prompt};
use crate::config::Config;
use crate::doctor::{CheckResult, CheckStatus, TargetServer, TestAccount, Trust, run_checks};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Where something is to be mended, but everything works for most clients.
const WARNED: u8 = 3;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The address that clients are given; without it that of the settings
    url: Option<String>,
    /// An account to try everything with, in a folder of its own that is deleted afterwards, into the account's trash
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Read its password as one line of standard input
    #[arg(long, requires = "user")]
    password_stdin: bool,
    /// Believe the certificates of this authority, and no others
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what was found. Ends with 0 where all is well, with 1 where clients cannot work, with 3 where some will have trouble.
pub(super) async fn run(args: DoctorArgs, config: &Config) -> Result<ExitCode> {
    let trust = match &args.authority {
        Some(file) => {
            Trust::of(file).with_context(|| format!("{} cannot be used", file.display()))?
        }
        None => Trust::System,
    };
    let url = args.url.map_or_else(
        || own_address(config, "sarang doctor https://drive.example.org/dav/"),
        Ok,
    )?;
    let server = TargetServer::parse(&url, trust).map_err(|sentence| anyhow!(sentence))?;
    let account = match args.user {
        Some(name) => {
            let password = Zeroizing::new(prompt::password(args.password_stdin)?);
            Some(TestAccount { name, password })
        }
        None => None,
    };
    let found = run_checks(&server, account.as_ref()).await;
    let verdict = found.verdict();
    if args.json {
        let report = serde_json::json!({ "url": url, "verdict": verdict, "findings": found.0 });
        print(&format!("{report:#}\n"))?;
    } else {
        print(&found.0.iter().map(line).collect::<String>())?;
    }
    Ok(match verdict {
        CheckStatus::Ok => ExitCode::SUCCESS,
        CheckStatus::Warning => ExitCode::from(WARNED),
        CheckStatus::Failure => ExitCode::FAILURE,
    })
}

fn line(finding: &CheckResult) -> String {
    let word = match finding.verdict {
        CheckStatus::Ok => "ok     ",
        CheckStatus::Warning => "warning",
        CheckStatus::Failure => "FAILURE",
    };
    let fix = finding
        .fix
        .as_ref()
        .map(|fix| format!("        {fix}\n"))
        .unwrap_or_default();
    format!("{word} {}: {}\n{fix}", finding.check, finding.seen)
}
