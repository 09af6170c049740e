//! The `sarang` program: everything it does is in the library.

use clap::Parser;
use sarang::cli::{self, Cli};
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long what waits for a disk is waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(2);

#[expect(clippy::print_stderr, reason = "the last words of a failed command")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    // Connections have runtimes of their own.
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let ended = runtime.block_on(cli::run(cli));
            // A job that waits for a disk which hangs does not keep the process.
            runtime.shutdown_timeout(LAST_WAIT);
            ended
        });
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sarang: {}", cli::sentence_of(&error));
            ExitCode::FAILURE
        }
    }
}
