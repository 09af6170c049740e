//! What goes beside the program in a package: completions for shells, and manual pages.

use super::Cli;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

/// The completions of a shell.
pub(super) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sarang", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes a manual page for the program and for each of its commands into a folder, which is made.
pub(super) fn pages(folder: &Path) -> Result<()> {
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| {
        format!(
            "The manual pages cannot be written into {}",
            folder.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_completes_the_commands() {
        for shell in Shell::value_variants() {
            let script = completions(*shell);
            assert!(
                script.contains("serve") && script.contains("two-factor-off"),
                "{shell:?}"
            );
        }
    }

    #[test]
    fn every_command_has_a_page_that_says_what_it_does() {
        let dir = tempfile::tempdir().unwrap();
        pages(&dir.path().join("new")).unwrap();
        let page = |name: &str| std::fs::read_to_string(dir.path().join("new").join(name)).unwrap();
        let backup = page("sarang-backup.1");
        assert!(
            backup.contains(".TH") && backup.contains("\\-\\-keep"),
            "{backup}"
        );
        assert!(page("sarang-user-add.1").contains("sarang-user-add"));
        assert!(page("sarang.1").contains("SUBCOMMANDS"));
    }
}
