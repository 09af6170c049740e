//! Dead properties: what clients keep with a file, and what a link does (RFC 4918 section 4).

/// A property that only clients give meaning to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeadProp {
    /// XML namespace, may be empty.
    pub ns: String,
    /// Local name.
    pub name: String,
    /// The whole element, self-contained: it declares every namespace it uses.
    pub xml: String,
}

/// The most bytes that the values of a file's dead properties may have together; their names and tags may have as many.
pub const PROPS_LIMIT: usize = 64 << 10;

/// The namespace of properties that only the server sets.
pub const OWN_NAMESPACE: &str = "urn:sarang";

impl DeadProp {
    /// Whether it says which file this is: then a copy does not get it.
    pub fn is_link_tag(&self) -> bool {
        self.ns == OWN_NAMESPACE
    }

    /// What stands between the tags of the element.
    pub fn value(&self) -> &str {
        let mut quote = None;
        let begin = self.xml.find(|c: char| {
            quote = match quote {
                None if matches!(c, '"' | '\'') => Some(c),
                Some(open) if open == c => None,
                other => other,
            };
            c == '>' && quote.is_none()
        });
        let begin = begin.map_or(self.xml.len(), |at| at + 1);
        self.xml
            .get(begin..self.xml.rfind("</").unwrap_or(begin))
            .unwrap_or_default()
    }
}

/// One step of a property change.
#[derive(Clone, Debug)]
pub enum PropChange {
    /// Sets or replaces.
    Set(DeadProp),
    /// Removes by namespace and name; absent is no error.
    Remove {
        /// XML namespace.
        ns: String,
        /// Local name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_stands_between_the_tags() {
        for (xml, value) in [
            ("<a>1</a>", "1"),
            ("<a/>", ""),
            ("<a b=\"x>y\" c='/>'>1<b>2</b></a>", "1<b>2</b>"),
            ("<a b='>'/>", ""),
            ("<a></a>", ""),
            ("", ""),
        ] {
            let prop = DeadProp {
                ns: String::new(),
                name: "a".into(),
                xml: xml.into(),
            };
            assert_eq!(prop.value(), value, "{xml}");
        }
    }
}
