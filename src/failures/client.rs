//! Which client it is, by the `User-Agent` that it sends.

/// The clients that are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Client {
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
const MARKS: &[(&str, Client)] = &[
    ("microsoft-webdav-miniredir", Client::Windows),
    ("microsoft office", Client::Office),
    ("microsoft data access internet publishing", Client::Office),
    ("webdavfs", Client::MacOs),
    ("webdavlib", Client::MacOs),
    ("gvfs", Client::Gnome),
    ("kio/", Client::Kde),
    ("dolphin", Client::Kde),
    ("konqueror", Client::Kde),
    ("davfs2", Client::Davfs2),
    ("rclone", Client::Rclone),
    ("cadaver", Client::Cadaver),
    ("okhttp", Client::Android),
    ("dalvik", Client::Android),
    ("davx5", Client::Android),
    ("cfnetwork", Client::Ios),
    ("curl", Client::Curl),
    ("mozilla", Client::Browser),
    ("android", Client::Android),
    ("iphone", Client::Ios),
    ("ipad", Client::Ios),
];

impl Client {
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
            ("Microsoft-WebDAV-MiniRedir/10.0.19045", Client::Windows),
            ("Microsoft Office Existence Discovery", Client::Office),
            (
                "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
                Client::Browser,
            ),
            (
                "Microsoft Office Word 2014 (16.0.4266) Windows NT 10.0",
                Client::Office,
            ),
            (
                "WebDAVFS/3.0.0 (03008000) Darwin/22.1.0 (x86_64)",
                Client::MacOs,
            ),
            ("WebDAVLib/1.3", Client::MacOs),
            ("gvfs/1.50.3", Client::Gnome),
            (
                "Mozilla/5.0 (X11; Linux x86_64) KIO/5.103 dolphin/22.12.3",
                Client::Kde,
            ),
            ("davfs2/1.6.1 neon/0.32.4", Client::Davfs2),
            ("rclone/v1.60.1", Client::Rclone),
            ("cadaver/0.24 neon/0.32.4", Client::Cadaver),
            ("curl/7.88.1", Client::Curl),
            (
                "Documents/8.4.3 CFNetwork/1404.0.5 Darwin/22.3.0",
                Client::Ios,
            ),
            ("okhttp/4.11.0", Client::Android),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0",
                Client::Browser,
            ),
            ("", Client::Other),
            ("python-requests/2.28", Client::Other),
        ] {
            assert_eq!(Client::of(agent), client, "{agent}");
        }
    }
}
