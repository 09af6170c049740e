//! Whether shares and links still show the file that they are bound to.

use super::Checker;
use crate::links::LinkRecord;
use crate::model::{RelPath, Result};
use crate::sharing::shares::Share;
use crate::state::table::decode;
use crate::storage::local::check::inspect;

impl Checker<'_> {
    /// Shares and links whose file or folder is gone show nothing, which is how they are meant; their owners may like to know.
    pub(super) fn check_bindings(&mut self) -> Result<()> {
        let records = self.records;
        for (key, text) in records {
            if key.starts_with("share/") {
                match decode::<Share>(key, text) {
                    Ok(share) => self.check_share(&share)?,
                    Err(error) => self.find("state", error.to_string()),
                }
            } else if let Some(id) = key.strip_prefix("link/") {
                match decode::<LinkRecord>(key, text) {
                    Ok(link) => self.check_link(id, &link)?,
                    Err(error) => self.find("state", error.to_string()),
                }
            }
        }
        Ok(())
    }

    fn check_share(&mut self, share: &Share) -> Result<()> {
        let Some(home) = self.home(share.owner.as_str()) else {
            return Ok(());
        };
        let there = inspect(&home, &share.path())?;
        if there.is_none_or(|(_, id, _)| id != share.node) {
            let owner = &share.owner;
            let path = share.path();
            let id = &share.id;
            let path = path.as_str();
            let note = format!(
                "The share {id} of {owner} shows nothing: what it was made for is not at /{path} any more."
            );
            self.report.notes.push(note);
        }
        Ok(())
    }

    fn check_link(&mut self, id: &str, link: &LinkRecord) -> Result<()> {
        let Some(home) = self.home(link.owner.as_str()) else {
            return Ok(());
        };
        let there = inspect(&home, &RelPath::from_stored(link.path.clone()))?;
        if there.is_none_or(|(node, id, props)| !link.target.is(&node, id, &props)) {
            let owner = &link.owner;
            let path = &link.path;
            let note = format!(
                "The link {id} of {owner} shows nothing: what it was made for is not at /{path} any more."
            );
            self.report.notes.push(note);
        }
        Ok(())
    }
}
