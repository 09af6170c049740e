//! `[openid]`: the provider that people may sign in by.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize, Serializer};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// `[openid]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenIdConfig {
    /// The provider; empty is none.
    pub issuer: String,
    /// What the provider calls this server.
    pub client_id: String,
    /// The secret that goes with it.
    client_secret: SecretString,
    /// A file with the secret.
    pub client_secret_file: PathBuf,
    /// What people see on the button.
    pub name: String,
    /// What becomes of somebody whom no account belongs to.
    pub strangers: UnknownSubjects,
    /// What names a new account.
    pub name_claim: NameClaim,
    /// Whether a verified e-mail address opens the account that has it.
    pub link_by_email: bool,
}

/// What becomes of somebody whom the provider knows and no account belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownSubjects {
    /// They are refused.
    Refuse,
    /// They get an account.
    Create,
}

/// What the provider says that names a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameClaim {
    /// The name they sign in with there.
    PreferredUsername,
    /// What they are called.
    Nickname,
    /// Their e-mail address, up to the `@`.
    Email,
    /// The provider's own id.
    Sub,
}

/// A secret that is neither printed nor logged.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
struct SecretString(Zeroizing<String>);

const SHOWN: &str = "(hidden)";

impl Serialize for SecretString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { SHOWN })
    }
}

impl std::fmt::Debug for SecretString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(SHOWN)
    }
}

impl Default for OpenIdConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: SecretString::default(),
            client_secret_file: PathBuf::new(),
            name: "OpenID Connect".into(),
            strangers: UnknownSubjects::Refuse,
            name_claim: NameClaim::PreferredUsername,
            link_by_email: true,
        }
    }
}

impl OpenIdConfig {
    /// A provider with a secret, for tests and embedding.
    pub fn of(issuer: &str, client_id: &str, client_secret: &str) -> Self {
        let client_secret = SecretString(Zeroizing::new(client_secret.to_owned()));
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret,
            ..Self::default()
        }
    }

    /// Whether there is a provider.
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// The client's secret, from the settings or its file; `None` for a client without one.
    pub fn secret(&self) -> Result<Option<Zeroizing<String>>> {
        if self.client_secret_file.as_os_str().is_empty() {
            return Ok(Some(self.client_secret.0.clone()).filter(|secret| !secret.is_empty()));
        }
        let path = &self.client_secret_file;
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.with_context(|| {
            format!(
                "openid.client_secret_file: {} cannot be read",
                path.display()
            )
        })?;
        let secret = text.lines().next().unwrap_or_default().trim();
        ensure!(
            !secret.is_empty(),
            "openid.client_secret_file: the first line of {} is empty.",
            path.display()
        );
        Ok(Some(Zeroizing::new(secret.to_owned())))
    }

    pub(super) fn validate(&self, public_url: &str) -> Result<()> {
        if !self.is_on() {
            ensure!(
                self.client_id.is_empty(),
                "openid.issuer is missing: openid.client_id alone turns nothing on."
            );
            return Ok(());
        }
        let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        ensure!(
            is_plain(&self.issuer)
                && !self.issuer.contains(['?', '#', '@'])
                && is_safe(&self.issuer),
            "openid.issuer: write the provider's address, like \"https://accounts.example.org\"; http is for loopback only."
        );
        ensure!(
            !self.client_id.is_empty(),
            "openid.client_id is missing: the provider gives it out."
        );
        ensure!(
            !self.name.trim().is_empty(),
            "openid.name must not be empty: it stands on the button."
        );
        let both = !self.client_secret.0.is_empty() && self.client_secret_file != Path::new("");
        ensure!(
            !both,
            "openid.client_secret and openid.client_secret_file: only one of them may be set."
        );
        ensure!(
            *self.client_secret.0 != SHOWN,
            "openid.client_secret: `config print` hides it; write the real one."
        );
        ensure!(
            !public_url.is_empty(),
            "server.public_url is missing: with openid.issuer, the provider must be told where browsers come back to."
        );
        self.secret().map(drop)
    }
}

/// Whether an address is https, or http on this machine.
fn is_safe(address: &str) -> bool {
    let host = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    if let Some(rest) = address.strip_prefix("https://") {
        return !host(rest).is_empty();
    }
    let Some(host) = address.strip_prefix("http://").map(host) else {
        return false;
    };
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map_or(&*host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const BASE: &str = "[openid]\nissuer = \"https://id.example\"\nclient_id = \"sarang\"\n";
    const HERE: &str = "[server]\npublic_url = \"https://files.example\"\n";

    fn read(text: &str) -> Result<Config> {
        Config::assemble(text, &[])
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", read(text).unwrap_err())
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(
            read(&format!("{HERE}{BASE}")).unwrap().openid.is_on()
                && !Config::default().openid.is_on()
        );
        assert!(refusal(BASE).contains("server.public_url"));
        assert!(refusal("[openid]\nclient_id = \"x\"\n").contains("openid.issuer"));
        assert!(refusal("[openid]\nissuer = \"https://x\"\n").contains("openid.client_id"));
        for issuer in [
            "http://id.example",
            "http://127.0.0.1.example",
            "https://",
            "id.example",
            "https://a@b",
            "https://a b",
        ] {
            let text = format!("{HERE}[openid]\nissuer = \"{issuer}\"\nclient_id = \"x\"\n");
            assert!(refusal(&text).contains("openid.issuer"), "{issuer}");
        }
        for issuer in [
            "http://127.0.0.1:4444",
            "http://localhost/realm",
            "http://[::1]:1",
            "https://id.example/realms/x/",
        ] {
            let text = format!("{HERE}[openid]\nissuer = \"{issuer}\"\nclient_id = \"x\"\n");
            assert!(read(&text).is_ok(), "{issuer}");
        }
    }

    #[test]
    fn the_secret_comes_from_one_place_and_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        let from_file = format!("{HERE}{BASE}client_secret_file = {file:?}\n");
        assert!(refusal(&from_file).contains("cannot be read"));
        std::fs::write(&file, "\n").unwrap();
        assert!(refusal(&from_file).contains("is empty"));
        std::fs::write(&file, "kettle \nmore").unwrap();
        assert_eq!(
            **read(&from_file)
                .unwrap()
                .openid
                .secret()
                .unwrap()
                .as_ref()
                .unwrap(),
            *"kettle"
        );
        assert!(refusal(&format!("{from_file}client_secret = \"x\"\n")).contains("only one"));
        let variables = [(
            "SARANG_OPENID__CLIENT_SECRET".to_owned(),
            "teapot".to_owned(),
        )];
        let config = Config::assemble(&format!("{HERE}{BASE}"), &variables).unwrap();
        assert_eq!(
            **config.openid.secret().unwrap().as_ref().unwrap(),
            *"teapot"
        );
        let text = config.to_text().unwrap();
        assert!(!text.contains("teapot") && !format!("{config:?}").contains("teapot"));
        assert!(refusal(&text).contains("openid.client_secret"));
        assert!(Config::default().openid.secret().unwrap().is_none());
    }
}
