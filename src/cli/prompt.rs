//! Passwords from a person at a terminal, without echo, or as one line of standard input.

use anyhow::{Context, Result, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{BufRead, Read, Write};
use zeroize::Zeroizing;

const MAX_LINE: u64 = 4096;

/// A new password: one line of standard input, or asked for twice at the terminal.
pub fn new_password(from_stdin: bool) -> Result<String> {
    if from_stdin {
        return read_line(&mut std::io::stdin().lock());
    }
    let terminal = terminal()?;
    let first = Zeroizing::new(ask(&terminal, "New password: ")?);
    let second = Zeroizing::new(ask(&terminal, "Once more: ")?);
    if first != second {
        bail!("The two passwords differ; nothing was changed");
    }
    Ok(first.to_string())
}

/// A password that is there already: one line of standard input, or asked for at the terminal.
pub fn password(from_stdin: bool) -> Result<String> {
    if from_stdin {
        return read_line(&mut std::io::stdin().lock());
    }
    ask(&terminal()?, "Password: ")
}

fn terminal() -> Result<File> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    terminal.context("There is no terminal to ask for a password; pass it with --password-stdin")
}

fn ask(mut terminal: &File, question: &str) -> Result<String> {
    terminal.write_all(question.as_bytes())?;
    let silence = EchoOff::begin(terminal)?;
    let answer = read_line(&mut std::io::BufReader::new(terminal));
    drop(silence);
    terminal.write_all(b"\n")?;
    answer
}

fn read_line(input: &mut impl BufRead) -> Result<String> {
    let mut line = Zeroizing::new(Vec::new());
    input
        .take(MAX_LINE)
        .read_until(b'\n', &mut line)
        .context("The password could not be read")?;
    let text = std::str::from_utf8(&line).context("The password is not valid UTF-8")?;
    let text = text
        .strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(text.to_owned())
}

/// While it lives, the terminal shows nothing of what is typed.
struct EchoOff<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> EchoOff<'a> {
    fn begin(terminal: &'a File) -> Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // Flush: what was typed ahead was shown, and is not the password.
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for EchoOff<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_read_without_its_end() {
        for (input, password) in [
            ("a b\n", "a b"),
            ("a b\r\nc\n", "a b"),
            ("no end", "no end"),
            (" spaced \n", " spaced "),
            ("", ""),
        ] {
            assert_eq!(
                read_line(&mut input.as_bytes()).unwrap(),
                password,
                "{input:?}"
            );
        }
        assert!(
            read_line(&mut b"\xff\n".as_slice())
                .unwrap_err()
                .to_string()
                .contains("UTF-8")
        );
    }
}
