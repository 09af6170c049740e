//! `sarang user failures`: why clients of an account failed lately, from the memory of the running server.

use super::calls::{named, pretty};
use super::print;
use crate::config::Config;
use crate::control::{ApiCall, Client};
use crate::failures::ClientFailure;
use crate::http::api::page::Page;
use crate::model::AccountName;
use anyhow::{Context, Result};
use std::fmt::Write as _;

/// Asks the running server and prints what it remembers.
pub(super) async fn run(name: AccountName, as_json: bool, config: &Config) -> Result<()> {
    let client = Client::connect(&config.data_dir).await;
    let client = client.with_context(|| {
        let folder = config.data_dir.display();
        format!(
            "No server runs on the data folder {folder}, and only a running one remembers failures: start it first."
        )
    })?;
    let call = ApiCall::get(&["accounts", name.as_str(), "failures"]);
    let failures: Page<ClientFailure> = client?.ask(call).await.map_err(named("account", &name))?;
    print(&if as_json {
        pretty(&failures.items)?
    } else {
        text(&name, &failures.items)
    })
}

fn text(name: &AccountName, failures: &[ClientFailure]) -> String {
    if failures.is_empty() {
        return format!("No client of {name} has failed since the server started.\n");
    }
    failures.iter().fold(String::new(), |mut text, failure| {
        let ClientFailure {
            at,
            client,
            from,
            device,
            method,
            path,
            cause,
            remedy,
            count,
            ..
        } = failure;
        let device = device
            .as_ref()
            .map(|device| format!(" ({device})"))
            .unwrap_or_default();
        let asked = method
            .as_ref()
            .zip(path.as_ref())
            .map(|(method, path)| format!(", {method} {path}"));
        let often = if *count > 1 {
            format!(", {count} times")
        } else {
            String::new()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{at}  {client}{device} from {from}{often}{}",
            asked.unwrap_or_default()
        );
        let _ = writeln!(text, "    {cause}\n    {remedy}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failures::{Cause, ClientKind, Failure, Language, Reason};

    #[test]
    fn each_failure_has_its_line_its_cause_and_what_to_do() {
        let ana = AccountName::parse("ana").unwrap();
        assert!(text(&ana, &[]).starts_with("No client of ana has failed"));
        let reason = Reason {
            cause: Cause::Locked,
            detail: "ben".into(),
        };
        let failure =
            Failure::new(ClientKind::Windows, [192, 0, 2, 7].into(), reason).asked("PUT", "/a.txt");
        let told = ClientFailure {
            count: 3,
            ..ClientFailure::of(failure.of_device(Some("Laptop".into())), Language::English)
        };
        let shown = text(&ana, &[told]);
        assert!(shown.contains("Windows (Laptop) from 192.0.2.7, 3 times, PUT /a.txt\n    The file or folder is locked by ben.\n    Close"), "{shown}");
    }

    #[tokio::test]
    async fn without_a_server_it_says_that_none_remembers() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().into(),
            ..Config::default()
        };
        let error = run(AccountName::parse("ana").unwrap(), false, &config)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("only a running one remembers"),
            "{error}"
        );
    }
}
