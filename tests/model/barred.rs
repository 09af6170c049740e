//! What locks keep from whom, and when they end.

use crate::operations::{Rights, Root, Who};
use crate::world::{Lock, World, parent};

impl World {
    /// Locks on one thing let through who brings the token of one of them.
    fn bars<'a>(locks: impl Iterator<Item = &'a Lock>, who: Who, tokens: &[String]) -> bool {
        let locks: Vec<_> = locks.collect();
        !locks.is_empty()
            && !locks
                .iter()
                .any(|lock| lock.holder == who && tokens.contains(&lock.token))
    }

    /// Whether a lock keeps `who` from changing what is at a path.
    pub fn content_barred(&self, (root, path): (Root, &str), who: Who, tokens: &[String]) -> bool {
        Self::bars(
            self.locks.iter().filter(|lock| lock.covers(root, path)),
            who,
            tokens,
        )
    }

    /// Whether a lock keeps `who` from changing which members a folder has.
    pub fn members_barred(&self, (root, path): (Root, &str), who: Who, tokens: &[String]) -> bool {
        Self::bars(
            self.locks
                .iter()
                .filter(|lock| lock.root == root && lock.path == path),
            who,
            tokens,
        )
    }

    /// Whether a lock keeps `who` from making or writing what is at a path.
    pub fn writing_barred(&self, at: (Root, &str), who: Who, tokens: &[String]) -> bool {
        let is_new = self.node(at.0, at.1).is_none();
        self.content_barred(at, who, tokens)
            || (is_new && self.members_barred((at.0, parent(at.1)), who, tokens))
    }

    /// Whether a lock keeps `who` from taking away or replacing all that is at a path.
    pub fn taking_barred(&self, at: (Root, &str), who: Who, tokens: &[String]) -> bool {
        self.members_barred((at.0, parent(at.1)), who, tokens)
            || self.content_barred(at, who, tokens)
            || self.subtree_barred(at, who, tokens)
    }

    /// Whether a lock at a path or below it keeps `who` from taking all of it away.
    pub fn subtree_barred(&self, at: (Root, &str), who: Who, tokens: &[String]) -> bool {
        let below = self.locks.iter().filter(|lock| lock.is_within(at.0, at.1));
        below
            .map(|lock| lock.path.clone())
            .any(|path| self.members_barred((at.0, &path), who, tokens))
    }

    /// Ends the locks that ben holds in what is shared, when he may not change it any more.
    pub fn release(&mut self) {
        let Some(share) = &self.share else { return };
        if share.left || !share.edit {
            let path = share.path.clone();
            self.locks
                .retain(|lock| !(lock.is_within(Root::Ana, &path) && lock.holder == Who::Ben));
        }
    }

    /// Ends the locks of the link's visitors, when they may not change anything by it any more, or must give another password.
    pub fn release_visitors(&mut self, is_same_password: bool) {
        let may_edit = self
            .link
            .as_ref()
            .is_some_and(|link| !link.ended && link.rights == Rights::Edit);
        if !may_edit || !is_same_password {
            self.locks.retain(|lock| lock.holder != Who::Visitor);
        }
    }

    /// Ends the locks of those who may not change anything in the team folder any more.
    pub fn release_team(&mut self) {
        let team = self.team;
        let edits = |who| team.and_then(|team| team.edits(who)) == Some(true);
        self.locks
            .retain(|lock| lock.root != Root::Team || edits(lock.holder));
    }
}
