//! XML of WebDAV: request bodies decoded ([`text`]) and read ([`reader`]), answers written ([`mod@write`]).

pub mod names;
pub mod reader;
pub mod text;
pub mod write;

pub use reader::{CapturedElement, XmlDocument, XmlEvent, XmlName};
pub use text::XmlText;
