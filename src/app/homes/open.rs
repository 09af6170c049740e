//! The trees that are open: each once, and no more than wanted at a time. What nobody holds is closed, least recently used first. A
//! tree that somebody holds is never opened a second time beside: that would take the uploads of the one for leftovers of the other.

use super::TreeKind;
use crate::drive::named_tree::NamedTree;
use crate::storage::local::LocalTree;
use crate::storage::local::close::ClosedLocalTree;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{OnceCell, watch};

/// How often it is looked whether a tree is still where it was opened.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A home or team folder. The first who asks opens it while the others wait.
#[derive(Debug, Default)]
pub(super) struct TreeSlot {
    pub cell: OnceCell<OpenTree>,
    /// When it was last asked for, on the clock of [`Trees`].
    used: AtomicU64,
}

#[derive(Debug)]
pub(super) struct OpenTree {
    pub root: Arc<NamedTree>,
    pub tree: Arc<LocalTree>,
    pub look: Arc<MovedCheck>,
}

/// The look whether another folder, or none, has come into the place of the one that is open.
#[derive(Debug)]
pub(super) struct MovedCheck {
    inode: (u64, u64),
    began: Mutex<Instant>,
    is_under_way: AtomicBool,
}

impl MovedCheck {
    pub fn new(inode: (u64, u64)) -> Arc<Self> {
        Arc::new(Self {
            inode,
            began: Mutex::new(Instant::now()),
            is_under_way: AtomicBool::new(false),
        })
    }

    /// Whether it is time and the caller is the one to do it.
    pub fn is_due(&self) -> bool {
        let Some(mut began) = self.began.try_lock() else {
            return false;
        };
        if began.elapsed() < LOOK_EVERY || self.is_under_way.swap(true, Ordering::Relaxed) {
            return false;
        }
        *began = Instant::now();
        true
    }

    /// Whether the folder is there no more; `None` is nowhere. Waits for the disk.
    pub fn has_moved(&self, dir: Option<&Path>) -> bool {
        let found = dir.map_or(Err(ErrorKind::NotFound.into()), super::folders::inode_of);
        self.is_under_way.store(false, Ordering::Relaxed);
        match found {
            Ok(inode) => inode != self.inode,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }
}

impl TreeSlot {
    /// What is open, once it is.
    pub fn get(&self) -> Option<&OpenTree> {
        self.cell.get()
    }

    /// Lets no change happen in it any more.
    pub fn close(&self) {
        if let Some(open) = self.get() {
            open.root.close();
        }
    }

    /// Whether nobody holds it but the map that `this` is in.
    fn is_idle(this: &Arc<Self>) -> bool {
        let is_free = |open: &OpenTree| {
            Arc::strong_count(&open.root) == 1 && LocalTree::is_idle(&open.tree, 2)
        };
        Arc::strong_count(this) == 1 && this.get().is_none_or(is_free)
    }

    /// Takes it apart, if really nobody holds it: something in the background may have got hold of it just now.
    fn into_closed(this: Arc<Self>) -> Result<Option<(ClosedTree, ClosedLocalTree)>, Arc<Self>> {
        let Self { cell, used } = Arc::try_unwrap(this)?;
        let Some(OpenTree { root, tree, look }) = cell.into_inner() else {
            return Ok(None);
        };
        let id = root.id.clone();
        let held = root.tree.retention_hold();
        drop(root);
        match LocalTree::close(tree) {
            Ok(tree) => Ok(Some((
                ClosedTree {
                    id,
                    retention_hold: held,
                    is_swept: tree.is_swept(),
                    used: tree.used(),
                },
                tree,
            ))),
            Err(tree) => {
                let root = Arc::new(NamedTree::new(id, tree.clone()));
                let cell = OnceCell::new_with(Some(OpenTree { root, tree, look }));
                Err(Arc::new(Self { cell, used }))
            }
        }
    }
}

/// What is remembered of a tree that was closed.
#[derive(Clone, Debug)]
struct ClosedTree {
    id: Arc<str>,
    /// Until when its history is held.
    retention_hold: Option<SystemTime>,
    is_swept: bool,
    /// Bytes of its live files, as last counted.
    used: Option<u64>,
}

type TreeMap = HashMap<String, Arc<TreeSlot>>;

/// The trees by kind and name.
#[derive(Debug)]
pub(super) struct Trees {
    limit: usize,
    clock: AtomicU64,
    maps: Mutex<[TreeMap; 2]>,
    /// The trees that were closed of which something is remembered.
    left: Mutex<HashMap<Arc<str>, ClosedTree>>,
    closing: Closing,
}

/// The trees that are being closed, each with the end of a channel that ends with it.
#[derive(Clone, Debug, Default)]
struct Closing(Arc<Mutex<HashMap<Arc<str>, watch::Receiver<()>>>>);

impl Closing {
    /// Lets trees go. That may wait for a disk that hangs, each for its own.
    fn close_in_background(&self, closed: Vec<(Arc<str>, ClosedLocalTree)>) {
        for (id, tree) in closed {
            let (done, waiting) = watch::channel(());
            self.0.lock().insert(id.clone(), waiting);
            let all = self.clone();
            drop(tokio::task::spawn_blocking(move || {
                tree.save_usage();
                all.0.lock().remove(&id);
                drop(done);
            }));
        }
    }

    /// Waits until a tree is closed that is being closed.
    fn wait(&self, id: &str) -> impl Future<Output = ()> + Send + use<> {
        let closing = self.0.lock().get(id).cloned();
        async move {
            if let Some(mut closing) = closing {
                // Nothing is sent: it ends.
                let _ = closing.changed().await;
            }
        }
    }
}

impl Trees {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            clock: AtomicU64::new(1),
            maps: Mutex::default(),
            left: Mutex::default(),
            closing: Closing::default(),
        }
    }

    /// A tree, open or to be opened by whoever asks first.
    pub fn entry(&self, kind: TreeKind, name: &str) -> Arc<TreeSlot> {
        let mut maps = self.maps.lock();
        let map = map_of(&mut maps, kind);
        let home = match map.get(name) {
            Some(home) => home.clone(),
            None => map.entry(name.to_owned()).or_default().clone(),
        };
        home.used.store(
            self.clock.fetch_add(1, Ordering::Relaxed),
            Ordering::Relaxed,
        );
        let many = open_in(&maps).saturating_sub(self.limit);
        if many > 0 {
            self.closing
                .close_in_background(self.close_oldest(&mut maps, many));
        }
        home
    }

    /// Takes note that a tree was opened.
    pub fn note_opened(&self, id: &str) {
        self.left.lock().remove(id);
    }

    /// Waits until a tree is closed that is being closed: who opens it earlier would not find what is written down about it.
    pub fn until_closed(&self, id: &str) -> impl Future<Output = ()> + Send + use<> {
        self.closing.wait(id)
    }

    /// Closes all trees that nobody holds, and waits until they are.
    pub async fn close_all(&self) {
        {
            let mut maps = self.maps.lock();
            self.closing
                .close_in_background(self.close_oldest(&mut maps, usize::MAX));
        }
        let closing: Vec<_> = self.closing.0.lock().keys().cloned().collect();
        for id in closing {
            self.closing.wait(&id).await;
        }
    }

    /// Whether a tree was closed with all its overflow files of properties in use.
    pub fn was_swept(&self, id: &str) -> bool {
        self.left.lock().get(id).is_some_and(|left| left.is_swept)
    }

    /// Whether a tree is open.
    pub fn is_open(&self, kind: TreeKind, name: &str) -> bool {
        map_of(&mut self.maps.lock(), kind)
            .get(name)
            .is_some_and(|home| home.get().is_some())
    }

    /// Takes a tree out; whoever holds it may go on.
    pub fn remove(&self, kind: TreeKind, name: &str) -> Option<Arc<TreeSlot>> {
        self.left.lock().remove(kind.id(name).as_str());
        map_of(&mut self.maps.lock(), kind).remove(name)
    }

    /// Takes a tree out, if it is this one still.
    pub fn remove_this(&self, kind: TreeKind, name: &str, home: &Arc<TreeSlot>) {
        let mut maps = self.maps.lock();
        let map = map_of(&mut maps, kind);
        if map
            .get(name)
            .is_some_and(|present| Arc::ptr_eq(present, home))
        {
            map.remove(name);
        }
    }

    /// Forgets a tree that could not be opened, unless others wait for it.
    pub fn forget_unopened(&self, kind: TreeKind, name: &str, home: Arc<TreeSlot>) {
        let mut maps = self.maps.lock();
        drop(home);
        let map = map_of(&mut maps, kind);
        if map
            .get(name)
            .is_some_and(|home| home.get().is_none() && Arc::strong_count(home) == 1)
        {
            map.remove(name);
        }
    }

    /// Closes half of what nobody holds: descriptors are wanted.
    pub fn close_half(&self) {
        let mut maps = self.maps.lock();
        let many = open_in(&maps).div_ceil(2);
        self.closing
            .close_in_background(self.close_oldest(&mut maps, many));
    }

    /// Closes a tree, unless somebody holds it.
    pub fn close_if_idle(&self, kind: TreeKind, name: &str) {
        let mut maps = self.maps.lock();
        let map = map_of(&mut maps, kind);
        if map.get(name).is_some_and(TreeSlot::is_idle) {
            self.closing
                .close_in_background(self.close_one(map, name).into_iter().collect());
        }
    }

    fn close_oldest(
        &self,
        maps: &mut [TreeMap; 2],
        many: usize,
    ) -> Vec<(Arc<str>, ClosedLocalTree)> {
        let mut idle: Vec<(u64, usize, String)> = Vec::new();
        for (at, map) in maps.iter().enumerate() {
            let free = map.iter().filter(|(_, home)| TreeSlot::is_idle(home));
            idle.extend(
                free.map(|(name, home)| (home.used.load(Ordering::Relaxed), at, name.clone())),
            );
        }
        idle.sort_unstable();
        let mut closed = Vec::new();
        for (_, at, name) in idle.into_iter().take(many) {
            closed.extend(maps.get_mut(at).and_then(|map| self.close_one(map, &name)));
        }
        closed
    }

    fn close_one(&self, map: &mut TreeMap, name: &str) -> Option<(Arc<str>, ClosedLocalTree)> {
        match TreeSlot::into_closed(map.remove(name)?) {
            Ok(closed) => {
                let (left, closed) = closed?;
                let id = left.id.clone();
                if left.retention_hold.is_some() || left.is_swept || left.used.is_some() {
                    self.left.lock().insert(id.clone(), left);
                }
                Some((id, closed))
            }
            Err(home) => {
                map.insert(name.to_owned(), home);
                None
            }
        }
    }

    /// The roots that are open.
    pub fn roots(&self) -> Vec<Arc<NamedTree>> {
        self.each(|open| open.root.clone())
    }

    /// How many trees are open.
    pub fn count_open(&self) -> usize {
        open_in(&self.maps.lock())
    }

    /// The trees that are open, by their names.
    pub fn trees(&self) -> Vec<(Arc<str>, Arc<LocalTree>)> {
        self.each(|open| (open.root.id.clone(), open.tree.clone()))
    }

    /// Until when the histories of trees are held that are closed.
    pub fn retention_holds(&self) -> Vec<(Arc<str>, SystemTime)> {
        let now = SystemTime::now();
        let left = self.left.lock();
        left.values()
            .filter_map(|left| {
                Some((
                    left.id.clone(),
                    left.retention_hold.filter(|until| *until > now)?,
                ))
            })
            .collect()
    }

    /// Bytes of live files in the trees that were closed, as last counted.
    pub fn used_in_closed(&self) -> u64 {
        self.left
            .lock()
            .values()
            .filter_map(|left| left.used)
            .fold(0, u64::saturating_add)
    }

    fn each<T>(&self, of: impl Fn(&OpenTree) -> T) -> Vec<T> {
        let maps = self.maps.lock();
        maps.iter()
            .flat_map(HashMap::values)
            .filter_map(|home| home.get().map(&of))
            .collect()
    }
}

fn map_of(maps: &mut [TreeMap; 2], kind: TreeKind) -> &mut TreeMap {
    let [homes, teams] = maps;
    match kind {
        TreeKind::Home => homes,
        TreeKind::Team => teams,
    }
}

fn open_in(maps: &[TreeMap; 2]) -> usize {
    maps.iter().map(HashMap::len).sum()
}
