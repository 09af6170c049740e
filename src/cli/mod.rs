//! The command line. What the program prints, it prints here and in `main`.

mod backup;
mod calls;
mod check;
mod connect;
mod doctor;
mod failures;
mod group;
mod health;
mod history;
mod invite;
mod manual;
mod process;
mod prompt;
mod removed;
mod sandbox;
mod serve;
mod service_manager;
mod shared;
mod show;
mod size;
mod store;
mod table;
mod team;
mod trust;
pub mod user;

use crate::config::Config;
use crate::log;
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// A self-hosted network drive over WebDAV.
#[derive(Debug, Parser)]
#[command(name = "sarang", version, arg_required_else_help = true)]
pub struct Cli {
    /// The settings; ./config.toml when there is one, else every default.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the drives until told to stop.
    Serve {
        /// Begin a new server in the data folder, though something lies there that may be what is left of an earlier one
        #[arg(long)]
        new: bool,
    },
    /// Add, list and change accounts.
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Add, list, change and remove groups of accounts.
    Group {
        #[command(subcommand)]
        command: group::GroupCommand,
    },
    /// Make, list and withdraw invites, each of which lets somebody make an account.
    Invite {
        #[command(subcommand)]
        command: invite::InviteCommand,
    },
    /// List and end shares of any account.
    Share {
        #[command(subcommand)]
        command: shared::ShareCommand,
    },
    /// List and end public links of any account.
    Link {
        #[command(subcommand)]
        command: shared::LinkCommand,
    },
    /// Add, list, change and remove team folders.
    Team {
        #[command(subcommand)]
        command: team::TeamCommand,
    },
    /// Show who did what: accounts, sign-ins, shares, links.
    Audit {
        #[command(flatten)]
        args: show::AuditArgs,
    },
    /// Show how the server is.
    #[command(visible_alias = "status")]
    Overview {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List and end locks.
    Lock {
        #[command(subcommand)]
        command: show::LockCommand,
    },
    /// Give up a home or team folder that is missing: what lies in its place is it from now on, or a new one is made.
    NewHome {
        /// Its place in the data folder, as `homes/ana`
        place: String,
    },
    /// List, bring back and delete the files of removed accounts and team folders.
    Removed {
        #[command(subcommand)]
        command: removed::RemovedCommand,
    },
    /// See, restore and delete what lies in the trash of an account.
    Trash {
        #[command(subcommand)]
        command: history::TrashCommand,
    },
    /// See and restore the versions of an account's files.
    Versions {
        #[command(subcommand)]
        command: history::VersionsCommand,
    },
    /// Make a folder of an account as it was at a moment.
    Rewind {
        #[command(flatten)]
        args: history::RewindArgs,
    },
    /// Print the description of the JSON API (OpenAPI 3.1).
    Openapi,
    /// Back everything up into a folder, beside a running server or without one.
    Backup {
        #[command(flatten)]
        args: backup::BackupArgs,
    },
    /// Bring a backup back into an empty data folder.
    Restore {
        #[command(flatten)]
        args: backup::RestoreArgs,
    },
    /// Look whether state, files, trash and versions agree, and repair what can be.
    Check {
        #[command(flatten)]
        args: check::CheckArgs,
    },
    /// Say how a device is connected, with this server's address.
    Connect {
        #[command(flatten)]
        args: connect::ConnectArgs,
    },
    /// Say whether the server of these settings is ready; ends with 1 if not.
    Health,
    /// Try what clients do, from here or another machine, and say what is wrong on their way.
    Doctor {
        #[command(flatten)]
        args: doctor::DoctorArgs,
    },
    /// Bring the state back from an export.
    Store {
        #[command(subcommand)]
        command: store::StoreCommand,
    },
    /// Show the root certificate of the server's own authority (`tls.local`), by which devices trust it.
    Trust {
        /// Print the certificate itself, in PEM
        #[arg(long)]
        certificate: bool,
    },
    /// Look at the settings.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print completions of the commands for a shell.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder.
    Man {
        /// The folder, which is made
        folder: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum ConfigCommand {
    /// Print the settings in effect, as a file that would give them.
    Print,
    /// Say whether the settings are right.
    Check,
}

/// Runs the command that was given.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    // What describes the program needs no settings, and what it writes is for everybody.
    match &cli.command {
        Command::Completions { shell } => {
            return print(&manual::completions(*shell)).map(|()| ExitCode::SUCCESS);
        }
        Command::Man { folder } => return manual::pages(folder).map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    process::keep_files_private();
    let config = Config::load(cli.config.as_deref())?;
    let ended = match cli.command {
        Command::Doctor { args } => return doctor::run(args, &config).await,
        Command::Serve { new } => {
            let _flush = log::start(&config.log);
            serve::run(
                Config {
                    anew: new,
                    ..config
                },
                cli.config,
            )
            .await
        }
        Command::User { command } => user::run(command, config).await,
        Command::Group { command } => group::run(command, config).await,
        Command::Invite { command } => invite::run(command, config).await,
        Command::Share { command } => shared::shares(command, config).await,
        Command::Link { command } => shared::links(command, config).await,
        Command::Audit { args } => show::audit(args, config).await,
        Command::Overview { json } => show::overview(json, config).await,
        Command::Health => health::run(&config).await,
        Command::Lock { command } => show::lock(command, config).await,
        Command::NewHome { place } => removed::new_home(place, config).await,
        Command::Team { command } => team::run(command, config).await,
        Command::Removed { command } => removed::run(command, config).await,
        Command::Trash { command } => history::trash(command, config).await,
        Command::Versions { command } => history::versions(command, config).await,
        Command::Rewind { args } => history::rewind(args, config).await,
        Command::Connect { args } => connect::run(args, &config),
        Command::Openapi => print(&(crate::http::api::description() + "\n")),
        Command::Backup { args } => backup::run(args, config).await,
        Command::Restore { args } => backup::restore(args, config).await,
        Command::Check { args } => check::run(args, config).await,
        Command::Store { command } => store::run(command, &config).await,
        Command::Trust { certificate } => trust::run(certificate, &config),
        Command::Config {
            command: ConfigCommand::Print,
        } => print(&config.to_text()?),
        Command::Config {
            command: ConfigCommand::Check,
        } => print("The settings are right.\n"),
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    };
    ended.map(|()| ExitCode::SUCCESS)
}

/// An error with its causes, except those that it quotes already.
pub fn sentence_of(error: &anyhow::Error) -> String {
    error
        .chain()
        .fold(String::new(), |text, cause| match cause.to_string() {
            cause if text.contains(&cause) => text,
            cause if text.is_empty() => cause,
            cause => format!("{text}: {cause}"),
        })
}

/// Prints text as it is; a reader that went away is no failure.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn causes_are_told_once() {
        let io = crate::model::Error::io("listen", std::io::Error::other("port taken"));
        let error = anyhow::Error::from(io).context("The start failed");
        assert_eq!(
            sentence_of(&error),
            "The start failed: The server could not listen: port taken"
        );
    }

    #[test]
    fn commands_are_well_formed() {
        Cli::command().debug_assert();
        for line in [
            "sarang --config x serve",
            "sarang serve --config x",
            "sarang config check --config x",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.config, Some(PathBuf::from("x")));
        }
        assert!(Cli::try_parse_from(["sarang"]).is_err());
    }
}
