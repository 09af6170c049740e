//! A field of a JSON merge patch (RFC 7396): absent, null and a value are three things.

use serde::{Deserialize, Deserializer};

/// A field of a change: left out it stays, `null` clears it.
#[derive(Clone, Debug, Default)]
pub enum FieldPatch<T> {
    /// It stays.
    #[default]
    Keep,
    /// It becomes this.
    Set(Option<T>),
}

impl<T> FieldPatch<T> {
    /// What becomes of the present value.
    pub fn apply(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Keep => present,
            Self::Set(value) => value,
        }
    }

    /// The same with another value in it.
    pub async fn try_map<U, E>(
        self,
        make: impl AsyncFnOnce(T) -> Result<U, E>,
    ) -> Result<FieldPatch<U>, E> {
        Ok(match self {
            Self::Keep => FieldPatch::Keep,
            Self::Set(None) => FieldPatch::Set(None),
            Self::Set(Some(value)) => FieldPatch::Set(Some(make(value).await?)),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FieldPatch<T> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        Option::deserialize(value).map(Self::Set)
    }
}
