//! Where settings come from: defaults, then the file, then the environment; each error names its source.

use super::Config;
use anyhow::{Context, Error, Result, anyhow};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const PREFIX: &str = "SARANG_";
const FILE: &str = "config.toml";
/// What the names of keys that hold a secret have in them.
const SECRET: &str = "secret";

impl Config {
    /// Where the settings come from: `file`, or what `SARANG_CONFIG` names, or `./config.toml`, which need not be there.
    pub fn source(file: Option<&Path>) -> PathBuf {
        let named = || std::env::var_os("SARANG_CONFIG").map(PathBuf::from);
        file.map(Path::to_owned)
            .or_else(named)
            .unwrap_or_else(|| FILE.into())
    }

    /// Reads what is at [`source`](Self::source), if there is one; then the environment's overrides.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let variables = own_variables(std::env::vars_os())?;
        let path = Self::source(file);
        if file.is_none() && path == Path::new(FILE) && is_absent(&path) {
            return Self::assemble("", &variables);
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("The settings in {} cannot be read", path.display()))?;
        let wrong = || format!("The settings in {} are not right", path.display());
        let config = match Self::assemble(&text, &variables) {
            Err(error) if Self::assemble(&text, &[]).is_ok() => Err(error),
            outcome => outcome.with_context(wrong),
        };
        Ok(Self {
            read_from: Some(std::path::absolute(&path).unwrap_or(path)),
            ..config?
        })
    }

    /// The settings of one file's text and these environment variables.
    pub fn assemble(text: &str, variables: &[(String, String)]) -> Result<Self> {
        let mut config: Self =
            toml::from_str(text).map_err(|error| without_secrets(text, error))?;
        let mut table: Table = text.parse()?;
        let kinds = Table::try_from(Self::default())?;
        for (name, value) in variables.iter().filter(|(name, _)| is_setting(name)) {
            override_with(&mut table, &kinds, name, value)?;
            config = table.clone().try_into().with_context(|| {
                format!("The environment variable {name} is not a setting, or has a wrong value")
            })?;
        }
        config.validate()?;
        Ok(config)
    }

    /// The settings in effect, as the text of a file that would give them.
    pub fn to_text(&self) -> Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// The keys of which the other settings say something else, such as `server.listen`.
    pub fn differences(&self, other: &Self) -> Result<Vec<String>> {
        let own = Table::try_from(self)?;
        let other = Table::try_from(other)?;
        let mut found = Vec::new();
        for (section, value) in &own {
            let theirs = other.get(section);
            let (Some(keys), Some(others)) = (value.as_table(), theirs.and_then(Value::as_table))
            else {
                found.extend((theirs != Some(value)).then(|| section.clone()));
                continue;
            };
            // What is absent by default stands in one of them only.
            let all: BTreeSet<&String> = keys.keys().chain(others.keys()).collect();
            let changed = all
                .into_iter()
                .filter(|key| keys.get(*key) != others.get(*key));
            found.extend(changed.map(|key| format!("{section}.{key}")));
        }
        Ok(found)
    }
}

/// The parser's error. It quotes the line that it is about: not where a secret may stand in it, since errors go to the log.
fn without_secrets(text: &str, error: toml::de::Error) -> Error {
    let Some(span) = error.span() else {
        return error.into();
    };
    let at = span.start.min(text.len());
    let before = text.get(..at).unwrap_or(text);
    let rest = text.get(at..).and_then(|rest| rest.lines().next());
    let quoted = before.len() + rest.map_or(0, str::len);
    // A secret can go on over several lines: it may, until another section begins.
    let mut section =
        text.get(..quoted)
            .unwrap_or(text)
            .lines()
            .rev()
            .scan(false, |ended, line| {
                let shown = (!*ended).then_some(line);
                *ended = line.starts_with('[');
                shown
            });
    if !section.any(|line| line.to_lowercase().contains(SECRET)) {
        return error.into();
    }
    // "invalid type: integer `5`, expected a string" quotes the value, too.
    let quotes_value =
        |found: &str| found.starts_with("invalid type") || found.starts_with("invalid value");
    let message = match error.message().rsplit_once(", expected ") {
        Some((found, expected)) if quotes_value(found) => {
            format!("this value is not {expected}")
        }
        _ => error.message().to_owned(),
    };
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    anyhow!("TOML parse error at line {line}, column {column}: {message}")
}

/// Whether nothing is at a path. What cannot be reached, and a link to nothing, may well be there: to read it says why not.
fn is_absent(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Whether a variable is meant as a setting. Other SARANG_ variables belong to whoever set them: scripts name the program so, too.
fn is_setting(name: &str) -> bool {
    name == "SARANG_DATA_DIR" || (name.starts_with(PREFIX) && name.contains("__"))
}

/// The settings among these variables of the environment.
fn own_variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>> {
    let names = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    names
        .filter(|(name, _)| is_setting(name))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(anyhow!(
                "The environment variable {name} has a value that is not UTF-8"
            )),
        })
        .collect()
}

/// Puts the value of `SARANG_DATA_DIR`, `SARANG_<SECTION>__<KEY>` or, of a section within one, `SARANG_<SECTION>__<SECTION>__<KEY>` into
/// the table; `kinds` tells what the key holds.
fn override_with(mut table: &mut Table, mut kinds: &Table, name: &str, value: &str) -> Result<()> {
    let place = name
        .strip_prefix(PREFIX)
        .unwrap_or(name)
        .to_ascii_lowercase();
    if place == "data_dir" {
        table.insert(place, Value::String(value.to_owned()));
        return Ok(());
    }
    let unknown = || {
        anyhow!(
            "The environment variable {name} is not a setting; settings are SARANG_<SECTION>__<KEY>, such as SARANG_LOG__LEVEL."
        )
    };
    let mut key = place.as_str();
    while let Some((section, rest)) = key.split_once("__") {
        let entry = table
            .entry(section.to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        let (Some(Value::Table(known)), Value::Table(inner)) = (kinds.get(section), entry) else {
            return Err(unknown());
        };
        (kinds, table, key) = (known, inner, rest);
    }
    if key == place {
        return Err(unknown());
    }
    let value = read_value(kinds.get(key), value)
        .with_context(|| format!("The environment variable {name} has no readable value"))?;
    table.insert(key.to_owned(), value);
    Ok(())
}

/// Texts are taken as they are, lists may be written `a,b`, everything else is TOML.
fn read_value(kind: Option<&Value>, text: &str) -> Result<Value> {
    if let Some(Value::String(_)) = kind {
        return Ok(Value::String(text.to_owned()));
    }
    let text = text.trim();
    match kind {
        Some(Value::Array(_)) => match text.parse::<Value>() {
            Ok(list @ Value::Array(_)) => Ok(list),
            // "[::]:4918" is an address, while `["a"` is a list that was meant as TOML.
            Err(error) if text.starts_with("[\"") || text.starts_with("['") => Err(error.into()),
            _ => Ok(Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Value::String(item.to_owned()))
                    .collect(),
            )),
        },
        Some(_) => Ok(text.parse::<Value>()?),
        // A key without a default, or none at all: whoever reads the table says which.
        None => Ok(text
            .parse::<Value>()
            .unwrap_or_else(|_| Value::String(text.to_owned()))),
    }
}

#[cfg(test)]
mod tests;
