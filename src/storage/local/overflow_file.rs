//! Writes an overflow file for properties that are larger than an extended attribute may be. It counts as used from when it is named.

use super::names::random_name;
use super::overflow::{failed, folder, reference};
use super::root::TreeRoot;
use super::sys::{self, fd};
use super::usage_counter::UsageDelta;
use crate::model::Result;
use std::io::IoSlice;
use std::sync::atomic::Ordering;

/// An overflow file that was written; deleted when dropped unless an attribute names it.
pub(super) struct NewOverflowFile<'a> {
    root: &'a TreeRoot,
    name: String,
    pub len: u64,
    is_referenced: bool,
}

impl<'a> NewOverflowFile<'a> {
    /// Writes properties to a new file. `is_synced` puts it on the disk: an attribute must not reach it before the file does.
    pub fn new(root: &'a TreeRoot, props: &[u8], is_synced: bool) -> Result<Self> {
        root.ensure_space(props.len() as u64, 0)?;
        let name = random_name()?;
        root.overflow.has_any.store(true, Ordering::Relaxed);
        root.overflow.unreferenced_new.lock().insert(name.clone());
        let written = Self {
            root,
            name,
            len: props.len() as u64,
            is_referenced: false,
        };
        let dir = folder(root)?;
        let file = sys::create_file(fd(&dir), &written.name).map_err(failed)?;
        sys::write_all(fd(&file), &mut [IoSlice::new(props)], 0).map_err(failed)?;
        if is_synced {
            sys::sync(fd(&file))
                .and_then(|()| sys::sync(fd(&dir)))
                .map_err(failed)?;
        }
        Ok(written)
    }

    /// What an attribute that names it holds.
    pub fn reference(&self) -> Vec<u8> {
        reference(&self.name)
    }

    /// Says that an attribute names it now: it is in the count.
    pub fn mark_referenced(&mut self) {
        self.is_referenced = true;
        self.root
            .overflow
            .unreferenced_new
            .lock()
            .remove(&self.name);
        self.root.usage.apply(
            self.root,
            UsageDelta {
                added: self.len,
                removed: 0,
            },
        );
    }
}

impl Drop for NewOverflowFile<'_> {
    fn drop(&mut self) {
        if !self.is_referenced {
            // What stays is swept.
            let _ = folder(self.root).map(|dir| sys::unlink_file(fd(&dir), &self.name));
        }
        self.root
            .overflow
            .unreferenced_new
            .lock()
            .remove(&self.name);
    }
}
