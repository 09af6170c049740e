//! Public links: who has the token sees one file or folder of an account, and nothing else. The token is kept as its SHA-256 only;
//! what a link shows is bound to the thing that was shared, so that it never shows another of the same name.

mod link_access;
mod passes;

use crate::model::{AccountName, Error, Result, Rights, time};
use crate::state::registry::{Edit, RecordIndex, Registry};
use crate::state::table::Record;
use crate::state::{Batch, StateStore};
use crate::storage::{DeadProp, FileId, Node, OWN_NAMESPACE};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
pub use link_access::LinkAccess;
pub use passes::Passes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

/// The most links of one account.
const MAX_LINKS: usize = 1000;
/// How old the time of the last use may be in the record, in seconds.
const USE_STEP: i64 = 60;

/// The namespace and name of the property that stays with a file when it is saved anew.
const LINK_TAG: (&str, &str) = (OWN_NAMESPACE, "mark");

/// What is stored of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// Whose link it is.
    pub owner: AccountName,
    /// What it shows, in the owner's home.
    pub path: String,
    /// What exactly it shows.
    pub target: Target,
    /// What may be done with it.
    pub rights: Rights,
    /// SHA-256 of the token, in hexadecimal.
    pub token: String,
    /// The password's hash, a PHC string.
    pub password: Option<String>,
    /// Changes with the password: whoever gave the old one must give the new one.
    pub generation: u64,
    /// When it ends, in seconds since 1970.
    pub expires: Option<i64>,
    /// How many downloads it allows.
    pub max_downloads: Option<u64>,
    /// How many there were.
    pub downloads: u64,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it was last used, in seconds since 1970, within a minute.
    pub last_used: Option<i64>,
    /// What its owner says about it.
    pub note: String,
}

impl Record for LinkRecord {
    const VERSION: u32 = 1;
}

/// The identity of a file or folder, beyond its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Whether it is a folder.
    pub folder: bool,
    node: FileId,
    /// What links to files were bound to before files had ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
}

impl Target {
    /// A file or folder.
    pub const fn new(folder: bool, id: FileId) -> Self {
        Self {
            folder,
            node: id,
            mark: None,
        }
    }

    /// Which file or folder it is.
    pub const fn id(&self) -> FileId {
        self.node
    }

    /// Whether this is the same thing, `props` being its properties.
    pub fn is(&self, node: &Node, id: FileId, props: &[DeadProp]) -> bool {
        let marked = self.mark.is_some() && link_tag_of(props) == self.mark;
        self.folder == node.folder && (id == self.node || (!self.folder && marked))
    }

    /// Whether properties are needed to tell.
    pub fn has_link_tag(&self) -> bool {
        self.mark.is_some()
    }
}

/// The mark among a file's properties.
fn link_tag_of(props: &[DeadProp]) -> Option<String> {
    props
        .iter()
        .find(|prop| (prop.ns.as_str(), prop.name.as_str()) == LINK_TAG)
        .map(|prop| prop.xml.clone())
}

/// A link in memory.
#[derive(Clone, Debug)]
pub struct Link {
    /// What its owner knows it by; not secret.
    pub id: String,
    /// What is stored of it.
    pub record: Arc<LinkRecord>,
}

/// All links.
#[derive(Debug)]
pub struct Links {
    all: Arc<Registry<LinkRecord, LinkTokens>>,
    /// Who has given a password.
    pub passes: Passes,
}

/// The ids of links by the hashes of their tokens.
#[derive(Debug, Default)]
struct LinkTokens(HashMap<String, String>);

impl RecordIndex<LinkRecord> for LinkTokens {
    fn update(
        &mut self,
        id: &str,
        before: Option<&Arc<LinkRecord>>,
        now: Option<&Arc<LinkRecord>>,
    ) {
        if let Some(before) = before {
            self.0.remove(&before.token);
        }
        if let Some(now) = now {
            self.0.insert(now.token.clone(), id.to_owned());
        }
    }
}

impl Links {
    /// Reads every link into memory.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        Ok(Self {
            all: Registry::open(store.clone(), "link/").await?,
            passes: Passes::open(store).await?,
        })
    }

    /// The link of a token, if it still is one; the token itself is compared by its hash.
    pub fn find_by_token(&self, token: &str) -> Option<Link> {
        let view = self.all.view();
        let id = view.index.0.get(&hash(token))?;
        let link = Link::new(id, view.get(id)?);
        link.record.is_live(now()).then_some(link)
    }

    /// Every link, by id.
    pub fn list(&self) -> Vec<Link> {
        let view = self.all.view();
        view.iter()
            .map(|(id, record)| Link::new(id, record))
            .collect()
    }

    /// Whose the link with this id is.
    pub fn owner_of(&self, id: &str) -> Option<AccountName> {
        self.all.get(id).map(|record| record.owner.clone())
    }

    /// The links of an account, by id.
    pub fn of(&self, owner: &AccountName) -> Vec<Link> {
        let view = self.all.view();
        let own = view.iter().filter(|(_, record)| record.owner == *owner);
        own.map(|(id, record)| Link::new(id, record)).collect()
    }

    /// One link of an account; `NotFound`.
    pub fn find(&self, owner: &AccountName, id: &str) -> Result<Link> {
        let record = self.all.get(id).filter(|record| record.owner == *owner);
        record
            .map(|record| Link::new(id, &record))
            .ok_or(Error::NotFound)
    }

    /// Whether visitors of a link, entered under this generation of its password, may change what it shows.
    pub fn allows_change(&self, owner: &AccountName, id: &str, generation: u64) -> bool {
        self.find(owner, id).is_ok_and(|link| {
            let record = link.record.as_ref();
            record.generation == generation
                && record.rights == Rights::Edit
                && record.is_live(now())
        })
    }

    /// Makes a link and its token, which is told this once.
    pub async fn create(&self, mut record: LinkRecord) -> Result<(Link, String)> {
        let token = random_text::<32>()?;
        let id: String = hash(&random_text::<16>()?).chars().take(24).collect();
        record.token = hash(&token);
        let plan = |all: &Registry<LinkRecord, LinkTokens>, _| {
            let is_own = |(_, other): &(&str, &Arc<LinkRecord>)| other.owner == record.owner;
            if all.view().iter().filter(is_own).count() >= MAX_LINKS {
                return Err(Error::LimitReached(
                    "An account may have at most 1000 links.",
                ));
            }
            Ok(Edit::store(record.clone()).guarded())
        };
        let made = self.all.edit(&id, Batch::new(), plan).await?;
        let made = made.ok_or(Error::NotFound)?;
        Ok((Link::new(&id, &made), token))
    }

    /// Changes a link of an account, unless `edit` finds a reason against it. What it does not assign stays as others left it.
    pub async fn change(
        &self,
        owner: &AccountName,
        id: &str,
        mut edit: impl FnMut(&mut LinkRecord) -> Result<()>,
    ) -> Result<Link> {
        let edit = |record: &mut LinkRecord| {
            record.check_owner(owner)?;
            edit(record)
        };
        Ok(Link::new(id, &self.all.change(id, edit).await?))
    }

    /// Ends a link of an account, from the next request on.
    pub async fn remove(&self, owner: &AccountName, id: &str) -> Result<()> {
        self.all
            .remove(id, |record| record.check_owner(owner))
            .await
    }

    /// Whose links there are.
    pub fn owners(&self) -> BTreeSet<AccountName> {
        let view = self.all.view();
        view.iter()
            .map(|(_, record)| record.owner.clone())
            .collect()
    }

    /// Ends all links of an account that was removed.
    pub async fn remove_account(&self, owner: &AccountName) -> Result<()> {
        self.all
            .remove_all(|_, record| record.owner == *owner)
            .await
            .map(drop)
    }

    /// Counts a download before its first byte is sent; `NotFound` when the link has ended meanwhile, or allows no more.
    /// Where nothing limits the downloads, a count that cannot be stored is worth a line in the log, and not the download.
    pub async fn count_download(&self, link: &Link) -> Result<()> {
        match self.take_download(link).await {
            Err(error)
                if link.record.max_downloads.is_none() && !matches!(error, Error::NotFound) =>
            {
                tracing::warn!(%error, "could not count a download by a link");
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn take_download(&self, link: &Link) -> Result<()> {
        let now = now();
        let count = |record: &mut LinkRecord| {
            if !record.is_live(now) {
                return Err(Error::NotFound);
            }
            record.downloads += 1;
            record.last_used = Some(now);
            Ok(())
        };
        self.change(&link.record.owner, &link.id, count)
            .await
            .map(drop)
    }

    /// Remembers that a link was used. That is worth a line in the log when it fails, and not the request.
    pub async fn touch(&self, link: &Link) {
        let now = now();
        if link
            .record
            .last_used
            .is_some_and(|last| now - last < USE_STEP)
        {
            return;
        }
        let noted = |record: &mut LinkRecord| {
            record.last_used = Some(now);
            Ok(())
        };
        let outcome = self.change(&link.record.owner, &link.id, noted).await;
        if let Err(error) = outcome
            && !matches!(error, Error::NotFound)
        {
            tracing::warn!(%error, "could not note the use of a link");
        }
    }
}

impl Link {
    fn new(id: &str, record: &Arc<LinkRecord>) -> Self {
        Self {
            id: id.to_owned(),
            record: Arc::clone(record),
        }
    }
}

impl LinkRecord {
    fn check_owner(&self, owner: &AccountName) -> Result<()> {
        (self.owner == *owner).then_some(()).ok_or(Error::NotFound)
    }

    /// Whether it has neither expired nor been used up.
    fn is_live(&self, now: i64) -> bool {
        self.expires.is_none_or(|end| now < end)
            && self.max_downloads.is_none_or(|most| self.downloads < most)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    time::unix_seconds(SystemTime::now())
}

fn hash(token: &str) -> String {
    Sha256::digest(token)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// So many random bytes as text that stands in an address as it is.
fn random_text<const N: usize>() -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<N>()?))
}

fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::io("get random bytes", std::io::Error::other(e.to_string())))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
