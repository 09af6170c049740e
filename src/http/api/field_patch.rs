//! A field of a JSON merge patch (RFC 7396): absent, null and a value are three things.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    /// Whether it is left out.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

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

/// With `#[serde(skip_serializing_if = "FieldPatch::is_keep")]`.
impl<T: Serialize> Serialize for FieldPatch<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(Some(value)) => value.serialize(to),
            Self::Keep | Self::Set(None) => to.serialize_none(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FieldPatch<T> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        Option::deserialize(value).map(Self::Set)
    }
}
