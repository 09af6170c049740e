//! Public links: who has the token sees one file or folder of an account, and nothing else. The token is kept as its SHA-256 only;
//! what a link shows is bound to the thing that was shared, so that it never shows another of the same name.

mod link_access;
mod passes;

use crate::model::{AccountName, Error, Result, Rights, time};
use crate::state::table::{Record, Table};
use crate::state::{Batch, StateStore};
use crate::storage::{DeadProp, FileId, Node, OWN_NAMESPACE};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
pub use link_access::LinkAccess;
use parking_lot::RwLock;
pub use passes::Passes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    table: Table<LinkRecord>,
    store: Arc<dyn StateStore>,
    index: RwLock<LinkIndex>,
    /// Held over each change, from reading the present record to showing the new one.
    changing: tokio::sync::Mutex<()>,
    /// Who has given a password.
    pub passes: Passes,
}

#[derive(Debug, Default)]
struct LinkIndex {
    by_id: BTreeMap<String, Arc<LinkRecord>>,
    by_token: HashMap<String, String>,
}

impl Links {
    /// Reads every link into memory.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<Self> {
        let table = Table::<LinkRecord>::new(store.clone(), "link/");
        let mut index = LinkIndex::default();
        for (id, record) in table.all().await? {
            index.by_token.insert(record.token.clone(), id.clone());
            index.by_id.insert(id, Arc::new(record));
        }
        let index = RwLock::new(index);
        let changing = tokio::sync::Mutex::default();
        Ok(Self {
            table,
            store,
            index,
            changing,
            passes: Passes::new()?,
        })
    }

    /// The link of a token, if it still is one; the token itself is compared by its hash.
    pub fn find_by_token(&self, token: &str) -> Option<Link> {
        let index = self.index.read();
        let id = index.by_token.get(&hash(token))?;
        let record = index.by_id.get(id)?;
        record.is_live(now()).then(|| Link {
            id: id.clone(),
            record: Arc::clone(record),
        })
    }

    /// Every link, by id.
    pub fn list(&self) -> Vec<Link> {
        let index = self.index.read();
        index
            .by_id
            .iter()
            .map(|(id, record)| Link {
                id: id.clone(),
                record: Arc::clone(record),
            })
            .collect()
    }

    /// Whose the link with this id is.
    pub fn owner_of(&self, id: &str) -> Option<AccountName> {
        self.index
            .read()
            .by_id
            .get(id)
            .map(|record| record.owner.clone())
    }

    /// The links of an account, by id.
    pub fn of(&self, owner: &AccountName) -> Vec<Link> {
        let index = self.index.read();
        let own = index
            .by_id
            .iter()
            .filter(|(_, record)| record.owner == *owner);
        own.map(|(id, record)| Link {
            id: id.clone(),
            record: Arc::clone(record),
        })
        .collect()
    }

    /// One link of an account; `NotFound`.
    pub fn find(&self, owner: &AccountName, id: &str) -> Result<Link> {
        let record = self
            .index
            .read()
            .by_id
            .get(id)
            .filter(|record| record.owner == *owner)
            .cloned();
        record
            .map(|record| Link {
                id: id.to_owned(),
                record,
            })
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
        let _alone = self.changing.lock().await;
        if self.of(&record.owner).len() >= MAX_LINKS {
            return Err(Error::LimitReached(
                "An account may have at most 1000 links.",
            ));
        }
        let token = random_text::<32>()?;
        let id: String = hash(&random_text::<16>()?).chars().take(24).collect();
        record.token = hash(&token);
        let batch = self.table.absent_in(Batch::new(), &id);
        self.store
            .commit(self.table.put_in(batch, &id, &record)?)
            .await?;
        Ok((self.show(id, record), token))
    }

    /// Changes a link of an account, unless `edit` finds a reason against it. What it does not assign stays as others left it.
    pub async fn change(
        &self,
        owner: &AccountName,
        id: &str,
        edit: impl FnOnce(&mut LinkRecord) -> Result<()>,
    ) -> Result<Link> {
        let _alone = self.changing.lock().await;
        let mut record = self.find(owner, id)?.record.as_ref().clone();
        edit(&mut record)?;
        self.table.put(id, &record).await?;
        Ok(self.show(id.to_owned(), record))
    }

    /// Ends a link of an account, from the next request on.
    pub async fn remove(&self, owner: &AccountName, id: &str) -> Result<()> {
        let _alone = self.changing.lock().await;
        let link = self.find(owner, id)?;
        self.table.delete(id).await?;
        self.hide(&link);
        Ok(())
    }

    /// Whose links there are.
    pub fn owners(&self) -> BTreeSet<AccountName> {
        self.index
            .read()
            .by_id
            .values()
            .map(|record| record.owner.clone())
            .collect()
    }

    /// Ends all links of an account that was removed.
    pub async fn remove_account(&self, owner: &AccountName) -> Result<()> {
        let _alone = self.changing.lock().await;
        for link in self.of(owner) {
            self.table.delete(&link.id).await?;
            self.hide(&link);
        }
        Ok(())
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
        let _alone = self.changing.lock().await;
        let mut record = self
            .find(&link.record.owner, &link.id)?
            .record
            .as_ref()
            .clone();
        let now = now();
        if !record.is_live(now) {
            return Err(Error::NotFound);
        }
        record.downloads += 1;
        record.last_used = Some(now);
        self.table.put(&link.id, &record).await?;
        self.show(link.id.clone(), record);
        Ok(())
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

    fn show(&self, id: String, record: LinkRecord) -> Link {
        let record = Arc::new(record);
        let mut index = self.index.write();
        index.by_token.insert(record.token.clone(), id.clone());
        index.by_id.insert(id.clone(), Arc::clone(&record));
        Link { id, record }
    }

    fn hide(&self, link: &Link) {
        let mut index = self.index.write();
        index.by_token.remove(&link.record.token);
        index.by_id.remove(&link.id);
    }
}

impl LinkRecord {
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
