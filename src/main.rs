//! The `sarang` program: everything it does is in the library.

use clap::Parser;
use sarang::cli::{self, Cli};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long what waits for a disk is waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Says why the command failed. A standard error that is full, or that nobody reads, neither fails nor keeps the process.
fn say(sentence: String) {
    let (done, is_done) = mpsc::channel();
    let saying = std::thread::Builder::new().spawn(move || {
        let _ = io::stderr().write_all(sentence.as_bytes());
        let _ = done.send(());
    });
    if saying.is_ok() {
        let _ = is_done.recv_timeout(LAST_WAIT);
    }
}

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
            say(format!("sarang: {}\n", cli::sentence_of(&error)));
            ExitCode::FAILURE
        }
    }
}
