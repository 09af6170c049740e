//! Long lists in pages: `limit` and an opaque `cursor` in, `items` and the `next` cursor out.

use crate::model::Error;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const DEFAULT_LIMIT: u16 = 100;
const MAX_LIMIT: u16 = 1000;

/// Which page of a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The most items wanted, 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page; absent when this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The first `size` of `items`; there is another page if there are more.
    pub fn of(mut items: Vec<T>, size: usize, key: impl Fn(&T) -> String) -> Self {
        let has_more = items.len() > size;
        items.truncate(size);
        let next = items
            .last()
            .filter(|_| has_more)
            .map(|last| BASE64_URL_SAFE_NO_PAD.encode(key(last)));
        Self { items, next }
    }
}

impl PageQuery {
    /// The page of `all`, whose items come in the order of their unique keys.
    pub fn cut<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Error> {
        let size = self.size()?;
        let after = self.after()?;
        let rest = all
            .into_iter()
            .skip_while(|item| after.as_ref().is_some_and(|after| key(item) <= *after));
        self.close(rest.take(size + 1).collect(), key)
    }

    /// How many items the page has at most.
    pub fn size(&self) -> Result<usize, Error> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Error::Invalid {
                pointer: "/limit".into(),
                why: "A page has 1 to 1000 items.".into(),
            });
        }
        Ok(limit.into())
    }

    /// The key of the last item of the page before.
    pub fn after(&self) -> Result<Option<String>, Error> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let key = BASE64_URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        key.map(Some).ok_or_else(Self::wrong_cursor)
    }

    /// The page of `items`, of which one more than [`size`](Self::size) says that there is another page.
    pub fn close<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> Result<Page<T>, Error> {
        Ok(Page::of(items, self.size()?, key))
    }

    /// The failure of a cursor that no page gave.
    pub fn wrong_cursor() -> Error {
        Error::Invalid {
            pointer: "/cursor".into(),
            why: "This is not a cursor that a page gave.".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(limit: u16) -> Vec<Vec<&'static str>> {
        let mut pages = Vec::new();
        let mut cursor = None;
        loop {
            let query = PageQuery {
                limit: Some(limit),
                cursor,
            };
            let page = query
                .cut(["a", "b", "c", "d"], |item| (*item).to_owned())
                .unwrap();
            pages.push(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_join_to_the_whole() {
        assert_eq!(walk(3), [vec!["a", "b", "c"], vec!["d"]]);
        assert_eq!(walk(2), [vec!["a", "b"], vec!["c", "d"]]);
        assert_eq!(walk(9), [vec!["a", "b", "c", "d"]]);
    }

    #[test]
    fn nonsense_is_refused() {
        for (limit, cursor) in [
            (Some(0), None),
            (Some(1001), None),
            (None, Some("!".to_owned())),
        ] {
            let query = PageQuery { limit, cursor };
            assert!(
                matches!(
                    query.cut(["a"], |a| (*a).to_owned()),
                    Err(Error::Invalid { .. })
                ),
                "{query:?}"
            );
        }
    }
}
