//! File systems that can lose their power or fill up.

use super::*;

/// A file system of its own, mounted while this lives.
pub(super) struct TestMount {
    folder: tempfile::TempDir,
    options: Vec<String>,
}

impl TestMount {
    /// `None`, with the reason printed, where this cannot be done.
    pub(super) fn new(kind: &str, megabytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("m")).unwrap();
        let options = if kind == "tmpfs" {
            vec![
                "-t".into(),
                "tmpfs".into(),
                "-o".into(),
                format!("size={megabytes}m"),
                "tmpfs".into(),
            ]
        } else {
            let image = folder.path().join("image");
            fs::File::create(&image)
                .unwrap()
                .set_len(megabytes << 20)
                .unwrap();
            if !runs(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image)) {
                println!("skipped: no mkfs.{kind}");
                return None;
            }
            vec!["-o".into(), "loop".into(), image.to_str().unwrap().into()]
        };
        let mount = Self { folder, options };
        if !mount.mount() {
            println!("skipped: {kind} cannot be mounted here (needs root and loop devices)");
            return None;
        }
        Some(mount)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("m")
    }

    pub(super) fn mount(&self) -> bool {
        runs(Command::new("mount").args(&self.options).arg(self.path()))
    }

    pub(super) fn unmount(&self) -> bool {
        (0..100).any(|_| {
            let done = runs(Command::new("umount").arg(self.path()));
            if !done {
                std::thread::sleep(Duration::from_millis(20));
            }
            done
        })
    }

    /// Ends the file system at once: what it has not journaled is gone.
    pub(super) fn cut_power(&self) -> bool {
        runs(
            Command::new("xfs_io")
                .args(["-x", "-c", "shutdown"])
                .arg(self.path()),
        )
    }

    /// Takes all space; the file to delete to have it back.
    pub(super) fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut filler = fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096] {
            let piece = vec![1; size];
            while filler
                .write_all(&piece)
                .and_then(|()| filler.sync_data())
                .is_ok()
            {}
        }
        path
    }

    /// Takes all space in a few system calls, as a program that allocates a large file; the file to delete to have it back.
    pub(super) fn fill_at_once(&self) -> PathBuf {
        let path = self.path().join("filler");
        let filler = fs::File::create(&path).unwrap();
        let mut end = 0;
        let mut piece = 32 << 20;
        while piece >= 4096 {
            match rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), end, piece) {
                Ok(()) => end += piece,
                Err(_) => piece /= 2,
            }
        }
        path
    }
}

impl Drop for TestMount {
    fn drop(&mut self) {
        if !self.unmount() {
            runs(Command::new("umount").arg("-l").arg(self.path()));
        }
    }
}

pub(super) fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
