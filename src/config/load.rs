//! Where settings come from: defaults, then the file, then the environment; each error names its source.

use super::Config;
use anyhow::{Context, Error, Result, anyhow, bail};
use std::collections::BTreeSet;
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
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name
                .into_string()
                .ok()
                .filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        let variables: Vec<(String, String)> = variables.collect();
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
        // Other SARANG_ variables belong to whoever set them: scripts name the program so, too.
        let settings = variables
            .iter()
            .filter(|(name, _)| name == "SARANG_DATA_DIR" || name.contains("__"));
        for (name, value) in settings {
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
    let section: Vec<&str> = text
        .get(..quoted)
        .unwrap_or(text)
        .lines()
        .rev()
        .scan(false, |ended, line| {
            let shown = (!*ended).then_some(line);
            *ended = line.starts_with('[');
            shown
        })
        .collect();
    if !section
        .iter()
        .any(|line| line.to_lowercase().contains(SECRET))
    {
        return error.into();
    }
    // "invalid type: integer `5`, expected a string" quotes the value, too.
    let message = match error.message().rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid") => {
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

/// Puts the value of `SARANG_DATA_DIR` or `SARANG_<SECTION>__<KEY>` into the table; `kinds` tells what the key holds.
fn override_with(table: &mut Table, kinds: &Table, name: &str, value: &str) -> Result<()> {
    let place = name
        .strip_prefix(PREFIX)
        .unwrap_or(name)
        .to_ascii_lowercase();
    if place == "data_dir" {
        table.insert(place, Value::String(value.to_owned()));
        return Ok(());
    }
    let known = place
        .split_once("__")
        .filter(|(section, _)| kinds.get(*section).is_some_and(Value::is_table));
    let Some((section, key)) = known else {
        bail!(
            "The environment variable {name} is not a setting; settings are SARANG_<SECTION>__<KEY>, such as SARANG_LOG__LEVEL."
        );
    };
    let kind = kinds.get(section).and_then(|s| s.get(key));
    let value = read_value(kind, value)
        .with_context(|| format!("The environment variable {name} has no readable value"))?;
    let entry = table
        .entry(section.to_owned())
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(entry) = entry {
        entry.insert(key.to_owned(), value);
    }
    Ok(())
}

/// Texts are taken as they are, lists may be written `a,b`, everything else is TOML.
fn read_value(kind: Option<&Value>, text: &str) -> Result<Value> {
    match kind {
        Some(Value::String(_)) => Ok(Value::String(text.to_owned())),
        Some(Value::Array(_)) if !text.trim_start().starts_with('[') => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Ok(Value::Array(
                items.map(|item| Value::String(item.to_owned())).collect(),
            ))
        }
        Some(_) => Ok(text.trim().parse::<Value>()?),
        // A key without a default, or none at all: whoever reads the table says which.
        None => Ok(text
            .trim()
            .parse::<Value>()
            .unwrap_or_else(|_| Value::String(text.to_owned()))),
    }
}

#[cfg(test)]
mod tests;
