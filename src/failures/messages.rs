//! The words for causes, in the languages of the web app: one sentence of what happened, one of what to do.

use super::Reason;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// A language that causes are told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Indonesian.
    Indonesian,
    /// German.
    German,
    /// Korean.
    Korean,
    /// Arabic.
    Arabic,
}

const LANGUAGES: [(&str, Language, &str); 5] = [
    ("en", Language::English, include_str!("words/en.json")),
    ("id", Language::Indonesian, include_str!("words/id.json")),
    ("de", Language::German, include_str!("words/de.json")),
    ("ko", Language::Korean, include_str!("words/ko.json")),
    ("ar", Language::Arabic, include_str!("words/ar.json")),
];

#[derive(Clone, Debug, Default, Deserialize)]
struct Sentences {
    cause: String,
    remedy: String,
}

type Catalogue = HashMap<String, Sentences>;

/// Every catalogue; a test reads them all.
static WORDS: LazyLock<HashMap<Language, Catalogue>> = LazyLock::new(|| {
    LANGUAGES
        .into_iter()
        .map(|(_, language, text)| (language, serde_json::from_str(text).unwrap_or_default()))
        .collect()
});

impl Language {
    /// The first language of an `Accept-Language` header that there are words in; English without one.
    pub fn accepted(header: &str) -> Self {
        let tags = header
            .split(',')
            .map(|tag| tag.trim().get(..2).unwrap_or_default().to_ascii_lowercase());
        let known = |tag: String| {
            LANGUAGES
                .into_iter()
                .find(|(name, ..)| *name == tag)
                .map(|(_, language, _)| language)
        };
        tags.into_iter().find_map(known).unwrap_or_default()
    }

    /// What happened, and what to do.
    pub(super) fn message(self, reason: &Reason) -> (String, String) {
        let key = serde_json::to_value(reason.cause).unwrap_or_default();
        let found = WORDS
            .get(&self)
            .and_then(|words| words.get(key.as_str().unwrap_or_default()));
        let Sentences { cause, remedy } = found.cloned().unwrap_or_default();
        // A name keeps its direction to itself.
        let detail = match self {
            Self::Arabic => format!("\u{2068}{}\u{2069}", reason.detail),
            _ => reason.detail.clone(),
        };
        (
            cause.replace("{detail}", &detail).trim_end().to_owned(),
            remedy,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failures::Cause;

    #[test]
    fn every_language_has_both_sentences_of_every_cause_and_no_more() {
        for (tag, language, _) in LANGUAGES {
            let words = &WORDS[&language];
            assert_eq!(words.len(), Cause::ALL.len(), "{tag}");
            for cause in Cause::ALL {
                let (what, remedy) = language.message(&cause.into());
                assert!(
                    what.len() > 8 && remedy.len() > 8,
                    "{tag} {cause:?}: {what} {remedy}"
                );
                let key = serde_json::to_value(cause).unwrap();
                let has_detail =
                    |words: &Catalogue| words[key.as_str().unwrap()].cause.contains("{detail}");
                assert_eq!(
                    has_detail(words),
                    has_detail(&WORDS[&Language::English]),
                    "{tag} {cause:?}"
                );
                let told = Reason {
                    cause,
                    detail: "ben".into(),
                };
                assert_eq!(
                    language.message(&told).0.contains("ben"),
                    has_detail(words),
                    "{tag} {cause:?}"
                );
            }
        }
    }

    #[test]
    fn the_first_language_that_there_are_words_in_is_taken() {
        for (header, language) in [
            ("de-AT,de;q=0.9,en;q=0.8", Language::German),
            ("fr, ko;q=0.5", Language::Korean),
            ("AR", Language::Arabic),
            ("fr", Language::English),
            ("", Language::English),
            ("é", Language::English),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }
}
