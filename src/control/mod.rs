//! How the command line administers: it is a client of the API. A running server answers HTTP/1.1 on `control.sock` in the data folder
//! ([`ControlServer`]); when none runs, the process that has opened the data folder answers itself. [`Client`] is the same for both.

mod api_call;
mod call_error;
mod client;
mod socket;

pub use api_call::ApiCall;
pub use call_error::CallError;
pub use client::Client;
pub use socket::ControlServer;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

const NAME: &str = "control.sock";
const MAX_ADDRESS: usize = 107;

async fn connect(data_dir: &Path) -> std::io::Result<UnixStream> {
    let folder = File::open(data_dir)?;
    UnixStream::connect(address(data_dir, &folder, NAME)).await
}

/// The path of a socket in the data folder. The system takes no more than 107 bytes; a longer one goes through the open folder.
fn address(data_dir: &Path, folder: &File, name: &str) -> PathBuf {
    let direct = data_dir.join(name);
    if direct.as_os_str().len() <= MAX_ADDRESS {
        return direct;
    }
    PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}
