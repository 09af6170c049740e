//! Which client it is, by the `User-Agent` that it sends.

/// The clients that are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// Windows Explorer: the Mini-Redirector.
    Windows,
    /// The Finder.
    MacOs,
    /// GNOME Files.
    Gnome,
    /// Dolphin, and other programs by KIO.
    Kde,
    /// davfs2.
    Davfs2,
    /// rclone.
    Rclone,
    /// cadaver.
    Cadaver,
    /// curl.
    Curl,
    /// Word, Excel and `PowerPoint`.
    Office,
    /// An app on an iPhone or iPad.
    Ios,
    /// An app on Android.
    Android,
    /// A browser.
    Browser,
    /// Any other.
    #[default]
    Other,
}

/// Parts of a `User-Agent`, in small letters; the first that is found decides. Office and the browsers name systems, and apps name
/// the libraries that they are built on, so that they come before those.
const MARKS: &[(&str, ClientKind)] = &[
    ("microsoft-webdav-miniredir", ClientKind::Windows),
    ("microsoft office", ClientKind::Office),
    (
        "microsoft data access internet publishing",
        ClientKind::Office,
    ),
    ("webdavfs", ClientKind::MacOs),
    ("webdavlib", ClientKind::MacOs),
    ("gvfs", ClientKind::Gnome),
    ("kio/", ClientKind::Kde),
    ("dolphin", ClientKind::Kde),
    ("konqueror", ClientKind::Kde),
    ("davfs2", ClientKind::Davfs2),
    ("rclone", ClientKind::Rclone),
    ("cadaver", ClientKind::Cadaver),
    ("okhttp", ClientKind::Android),
    ("dalvik", ClientKind::Android),
    ("davx5", ClientKind::Android),
    ("cfnetwork", ClientKind::Ios),
    ("curl", ClientKind::Curl),
    ("mozilla", ClientKind::Browser),
    ("android", ClientKind::Android),
    ("iphone", ClientKind::Ios),
    ("ipad", ClientKind::Ios),
];

impl ClientKind {
    /// The client of a `User-Agent`.
    pub fn of(agent: &str) -> Self {
        let agent = agent.to_ascii_lowercase();
        MARKS
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map_or(Self::Other, |(_, client)| *client)
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Windows => "Windows",
            Self::MacOs => "macOS",
            Self::Gnome => "GNOME",
            Self::Kde => "KDE",
            Self::Davfs2 => "davfs2",
            Self::Rclone => "rclone",
            Self::Cadaver => "cadaver",
            Self::Curl => "curl",
            Self::Office => "Office",
            Self::Ios => "iPhone, iPad",
            Self::Android => "Android",
            Self::Browser => "Browser",
            Self::Other => "WebDAV",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_known_by_what_it_sends() {
        for (agent, client) in [
            ("Microsoft-WebDAV-MiniRedir/10.0.19045", ClientKind::Windows),
            ("Microsoft Office Existence Discovery", ClientKind::Office),
            (
                "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
                ClientKind::Browser,
            ),
            (
                "Microsoft Office Word 2014 (16.0.4266) Windows NT 10.0",
                ClientKind::Office,
            ),
            (
                "WebDAVFS/3.0.0 (03008000) Darwin/22.1.0 (x86_64)",
                ClientKind::MacOs,
            ),
            ("WebDAVLib/1.3", ClientKind::MacOs),
            ("gvfs/1.50.3", ClientKind::Gnome),
            (
                "Mozilla/5.0 (X11; Linux x86_64) KIO/5.103 dolphin/22.12.3",
                ClientKind::Kde,
            ),
            ("davfs2/1.6.1 neon/0.32.4", ClientKind::Davfs2),
            ("rclone/v1.60.1", ClientKind::Rclone),
            ("cadaver/0.24 neon/0.32.4", ClientKind::Cadaver),
            ("curl/7.88.1", ClientKind::Curl),
            (
                "Documents/8.4.3 CFNetwork/1404.0.5 Darwin/22.3.0",
                ClientKind::Ios,
            ),
            ("okhttp/4.11.0", ClientKind::Android),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0",
                ClientKind::Browser,
            ),
            ("", ClientKind::Other),
            ("python-requests/2.28", ClientKind::Other),
        ] {
            assert_eq!(ClientKind::of(agent), client, "{agent}");
        }
    }
}
