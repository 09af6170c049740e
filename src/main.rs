//! The `sarang` program: everything it does is in the library.

use clap::Parser;
use sarang::cli::{self, Cli};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::print_stderr, reason = "the last words of a failed command")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    // Connections have runtimes of their own.
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli::run(cli)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sarang: {}", cli::sentence_of(&error));
            ExitCode::FAILURE
        }
    }
}
