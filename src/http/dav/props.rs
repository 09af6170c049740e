//! Live properties: their names, who has them, and how their values are written.

use super::lock_xml::write_activelock;
use super::xml::XmlName;
use super::xml::write::write_text;
use crate::drive::{LockView, Quota};
use crate::http::dates::Dates;
use crate::http::decimal::write_decimal;
use crate::http::etag::write_etag;
use crate::http::href;
use crate::http::media_type::media_type;
use crate::model::time::unix_seconds;
use crate::storage::{DeadProp, Node};

/// The namespace of Windows' file times and attributes.
pub const WINDOWS: &str = "urn:schemas-microsoft-com:";

/// A property with a value of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveProperty {
    /// `resourcetype`.
    ResourceType,
    /// `getcontentlength`, of files.
    Length,
    /// `getlastmodified`.
    Modified,
    /// `creationdate`.
    Created,
    /// `getetag`.
    Etag,
    /// `getcontenttype`.
    MediaType,
    /// `displayname`: the name in the address, as Windows needs it; none for the drive itself.
    DisplayName,
    /// `supportedlock`.
    SupportedLock,
    /// `lockdiscovery`.
    Locks,
    /// `quota-available-bytes` (RFC 4331).
    QuotaAvailable,
    /// `quota-used-bytes` (RFC 4331).
    QuotaUsed,
    /// `current-user-principal` (RFC 5397).
    Principal,
    /// `current-user-privilege-set` (RFC 3744).
    Privileges,
    /// `lastmodified`: seconds since 1970, as rclone sets it.
    ModifiedSeconds,
    /// `Win32LastModifiedTime`.
    WindowsModified,
    /// `Win32CreationTime`, unless the client has stored one.
    WindowsCreated,
    /// `Win32LastAccessTime`, unless the client has stored one.
    WindowsAccessed,
    /// `Win32FileAttributes`, unless the client has stored some.
    WindowsAttributes,
}

/// What an entry of a listing is written from.
#[derive(Clone, Copy, Debug)]
pub struct PropertySource<'a> {
    /// Its name; `None` for the drive itself.
    pub name: Option<&'a str>,
    /// What it is.
    pub node: &'a Node,
    /// Its dead properties, if the plan needs them.
    pub props: &'a [DeadProp],
    /// The locks that cover it, if the plan needs them.
    pub locks: &'a [LockView],
    /// Its quota, if the plan needs it.
    pub quota: Option<Quota>,
    /// Who asks.
    pub account: &'a str,
    /// What the addresses in the drive begin with.
    pub prefix: &'a str,
}

/// Every live property: what it is, its name, and whether `allprop` includes it (RFC 4918 section 9.1: those it defines).
const TABLE: [(LiveProperty, &str, &str, bool); 18] = [
    (LiveProperty::ResourceType, "DAV:", "resourcetype", true),
    (LiveProperty::Length, "DAV:", "getcontentlength", true),
    (LiveProperty::Modified, "DAV:", "getlastmodified", true),
    (LiveProperty::Created, "DAV:", "creationdate", true),
    (LiveProperty::Etag, "DAV:", "getetag", true),
    (LiveProperty::MediaType, "DAV:", "getcontenttype", true),
    (LiveProperty::DisplayName, "DAV:", "displayname", true),
    (LiveProperty::SupportedLock, "DAV:", "supportedlock", true),
    (LiveProperty::Locks, "DAV:", "lockdiscovery", true),
    (
        LiveProperty::QuotaAvailable,
        "DAV:",
        "quota-available-bytes",
        false,
    ),
    (LiveProperty::QuotaUsed, "DAV:", "quota-used-bytes", false),
    (
        LiveProperty::Principal,
        "DAV:",
        "current-user-principal",
        false,
    ),
    (
        LiveProperty::Privileges,
        "DAV:",
        "current-user-privilege-set",
        false,
    ),
    (LiveProperty::ModifiedSeconds, "DAV:", "lastmodified", false),
    (
        LiveProperty::WindowsModified,
        WINDOWS,
        "Win32LastModifiedTime",
        false,
    ),
    (
        LiveProperty::WindowsCreated,
        WINDOWS,
        "Win32CreationTime",
        false,
    ),
    (
        LiveProperty::WindowsAccessed,
        WINDOWS,
        "Win32LastAccessTime",
        false,
    ),
    (
        LiveProperty::WindowsAttributes,
        WINDOWS,
        "Win32FileAttributes",
        false,
    ),
];

impl LiveProperty {
    /// The live property of this name.
    pub fn of(ns: &str, local: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.2 == local && row.1 == ns)
            .map(|row| row.0)
    }

    /// Those that `allprop` includes, with their names.
    pub fn in_allprop() -> impl Iterator<Item = (Self, XmlName)> {
        TABLE.iter().filter(|row| row.3).map(|row| {
            (
                row.0,
                XmlName {
                    ns: row.1.into(),
                    local: row.2.into(),
                },
            )
        })
    }

    /// Whether clients store it: what they stored goes before the server's value.
    pub fn is_stored(self) -> bool {
        matches!(
            self,
            Self::WindowsCreated | Self::WindowsAccessed | Self::WindowsAttributes
        )
    }

    /// Whether it is one of the quota properties.
    pub fn is_quota(self) -> bool {
        matches!(self, Self::QuotaAvailable | Self::QuotaUsed)
    }

    /// Whether the subject has it.
    pub fn applies(self, subject: &PropertySource<'_>) -> bool {
        match self {
            Self::Length => !subject.node.folder,
            Self::DisplayName => subject.name.is_some(),
            Self::QuotaAvailable | Self::QuotaUsed => subject.quota.is_some(),
            _ => true,
        }
    }

    /// Writes the property with its value, which the subject must have.
    pub fn write(self, out: &mut Vec<u8>, subject: &PropertySource<'_>, dates: &mut Dates) {
        let node = subject.node;
        out.extend_from_slice(self.opening());
        match self {
            Self::ResourceType if node.folder => out.extend_from_slice(b"<D:collection/>"),
            Self::ResourceType => {}
            Self::Length => write_decimal(out, node.len),
            Self::Modified | Self::WindowsModified | Self::WindowsAccessed => {
                dates.write_http(out, node.modified);
            }
            Self::Created => dates.write_iso(out, node.created),
            Self::WindowsCreated => dates.write_http(out, node.created),
            Self::Etag => write_etag(out, &node.etag),
            Self::MediaType => {
                out.extend_from_slice(media_type(subject.name, node.folder).as_bytes());
            }
            Self::DisplayName => write_text(out, subject.name.unwrap_or_default()),
            Self::SupportedLock => out.extend_from_slice(SUPPORTED_LOCK),
            Self::Locks => subject
                .locks
                .iter()
                .for_each(|lock| write_activelock(out, lock, subject.prefix)),
            Self::QuotaAvailable => write_decimal(out, subject.quota.map_or(0, |q| q.available)),
            Self::QuotaUsed => write_decimal(out, subject.quota.map_or(0, |q| q.used)),
            Self::Principal => {
                out.extend_from_slice(b"<D:href>/principals/");
                href::write_encoded(out, subject.account);
                out.extend_from_slice(b"/</D:href>");
            }
            Self::Privileges => out.extend_from_slice(PRIVILEGES),
            Self::ModifiedSeconds => {
                out.extend_from_slice(unix_seconds(node.modified).to_string().as_bytes());
            }
            Self::WindowsAttributes if node.folder => out.extend_from_slice(b"00000010"),
            Self::WindowsAttributes => out.extend_from_slice(b"00000020"),
        }
        out.extend_from_slice(self.closing());
    }

    fn opening(self) -> &'static [u8] {
        match self {
            Self::ResourceType => b"<D:resourcetype>",
            Self::Length => b"<D:getcontentlength>",
            Self::Modified => b"<D:getlastmodified>",
            Self::Created => b"<D:creationdate>",
            Self::Etag => b"<D:getetag>",
            Self::MediaType => b"<D:getcontenttype>",
            Self::DisplayName => b"<D:displayname>",
            Self::SupportedLock => b"<D:supportedlock>",
            Self::Locks => b"<D:lockdiscovery>",
            Self::QuotaAvailable => b"<D:quota-available-bytes>",
            Self::QuotaUsed => b"<D:quota-used-bytes>",
            Self::Principal => b"<D:current-user-principal>",
            Self::Privileges => b"<D:current-user-privilege-set>",
            Self::ModifiedSeconds => b"<D:lastmodified>",
            Self::WindowsModified => {
                b"<Z:Win32LastModifiedTime xmlns:Z=\"urn:schemas-microsoft-com:\">"
            }
            Self::WindowsCreated => b"<Z:Win32CreationTime xmlns:Z=\"urn:schemas-microsoft-com:\">",
            Self::WindowsAccessed => {
                b"<Z:Win32LastAccessTime xmlns:Z=\"urn:schemas-microsoft-com:\">"
            }
            Self::WindowsAttributes => {
                b"<Z:Win32FileAttributes xmlns:Z=\"urn:schemas-microsoft-com:\">"
            }
        }
    }

    fn closing(self) -> &'static [u8] {
        match self {
            Self::ResourceType => b"</D:resourcetype>",
            Self::Length => b"</D:getcontentlength>",
            Self::Modified => b"</D:getlastmodified>",
            Self::Created => b"</D:creationdate>",
            Self::Etag => b"</D:getetag>",
            Self::MediaType => b"</D:getcontenttype>",
            Self::DisplayName => b"</D:displayname>",
            Self::SupportedLock => b"</D:supportedlock>",
            Self::Locks => b"</D:lockdiscovery>",
            Self::QuotaAvailable => b"</D:quota-available-bytes>",
            Self::QuotaUsed => b"</D:quota-used-bytes>",
            Self::Principal => b"</D:current-user-principal>",
            Self::Privileges => b"</D:current-user-privilege-set>",
            Self::ModifiedSeconds => b"</D:lastmodified>",
            Self::WindowsModified => b"</Z:Win32LastModifiedTime>",
            Self::WindowsCreated => b"</Z:Win32CreationTime>",
            Self::WindowsAccessed => b"</Z:Win32LastAccessTime>",
            Self::WindowsAttributes => b"</Z:Win32FileAttributes>",
        }
    }
}

const SUPPORTED_LOCK: &[u8] =
    b"<D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>\
<D:lockentry><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>";

const PRIVILEGES: &[u8] =
    b"<D:privilege><D:all/></D:privilege><D:privilege><D:read/></D:privilege>\
<D:privilege><D:write/></D:privilege><D:privilege><D:write-properties/></D:privilege>\
<D:privilege><D:write-content/></D:privilege><D:privilege><D:bind/></D:privilege>\
<D:privilege><D:unbind/></D:privilege><D:privilege><D:unlock/></D:privilege>\
<D:privilege><D:read-current-user-privilege-set/></D:privilege>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_is_found_and_its_tags_match() {
        for (live, ns, local, _) in TABLE {
            assert_eq!(LiveProperty::of(ns, local), Some(live));
            let opening = live.opening();
            let closing = live.closing();
            let opened = String::from_utf8(opening.to_vec()).unwrap();
            let closed = String::from_utf8(closing.to_vec()).unwrap();
            assert!(
                opened[3..].starts_with(local) && opened.ends_with('>'),
                "{opened}"
            );
            assert_eq!(closed, format!("</{}{local}>", &opened[1..3]));
        }
        assert_eq!(LiveProperty::of("DAV:", "quota"), None);
        assert_eq!(LiveProperty::of("", "getetag"), None);
    }
}
