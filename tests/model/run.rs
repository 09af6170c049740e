//! One case: each step is a request, an answer that the model foresaw, and a look at everything.

use crate::operations::{Step, Tokens, Verb, Who};
use crate::server::{HOST, Reply, Server};
use crate::url::url;
use crate::world::{Place, Seat, World};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Every so many steps everything is compared, also what the step cannot have reached.
const WHOLE: usize = 10;

/// What goes wrong is told in words.
pub type Checked<T = ()> = Result<T, String>;

pub struct Run<'a> {
    pub server: &'a Server,
    pub world: World,
    /// What was done, for whoever reads of a failure.
    pub log: Vec<String>,
    /// Whether the last request was refused, as it had to be.
    pub refused: bool,
    /// The paths that the last request named.
    pub aimed: RefCell<Vec<String>>,
    /// Which content each tag was seen with.
    pub tags: HashMap<String, Vec<u8>>,
}

/// The statuses with which a request may be refused; none when it must succeed.
#[derive(Debug, Default)]
pub struct Refusals(pub Vec<u16>);

impl Refusals {
    pub fn add(&mut self, holds: bool, status: u16) {
        if holds {
            self.0.push(status);
        }
    }
}

/// The `If` header of a request, and what it stands for.
#[derive(Debug, Default)]
pub struct If {
    pub header: Option<String>,
    /// The tokens that it submits.
    pub tokens: Vec<String>,
    /// The token that must cover what the request names.
    pub demanded: Option<String>,
}

impl<'a> Run<'a> {
    pub fn new(server: &'a Server) -> Self {
        server.clear();
        Self {
            server,
            world: World::default(),
            log: Vec::new(),
            refused: false,
            aimed: RefCell::default(),
            tags: HashMap::new(),
        }
    }

    /// Runs a case; the failure tells all that was done.
    pub fn all(mut self, steps: &[Step]) -> Checked {
        let outcome = steps.iter().enumerate().try_for_each(|(number, step)| {
            self.aimed.borrow_mut().clear();
            self.perform(step)?;
            if number % WHOLE == WHOLE - 1 { self.compare_whole() } else { self.compare(step.who) }
        });
        let outcome = outcome.and_then(|()| self.compare_all());
        outcome.map_err(|why| {
            let mut told = String::from("\n");
            for line in &self.log {
                let _ = writeln!(told, "  {line}");
            }
            format!("{told}  => {why}")
        })
    }

    fn perform(&mut self, step: &Step) -> Checked {
        let who = step.who;
        match &step.verb {
            Verb::Put { at, content, condition, how, tokens } => {
                self.put((who, at), *content, (*condition, *how), *tokens)
            }
            Verb::Append { at, content, tokens } => self.append((who, at), *content, *tokens),
            Verb::Mkcol { at, tokens } => self.mkcol((who, at), *tokens),
            Verb::Delete { at, tokens } => self.delete((who, at), *tokens),
            Verb::Move { from, to, overwrite, tokens } => self.shift(who, (from, to), *overwrite, *tokens),
            Verb::Copy { from, to, overwrite, deep, tokens } => {
                self.copy(who, (from, to), (*overwrite, *deep), *tokens)
            }
            Verb::SetProp { at, name, value, tokens } => self.set_prop((who, at), (*name, *value), *tokens),
            Verb::Lock { at, shared, deep, tokens } => self.lock((who, at), (*shared, *deep), *tokens),
            Verb::Refresh { at, lock } => self.refresh(who, at.as_ref(), *lock),
            Verb::Unlock { at, lock } => self.unlock(who, at.as_ref(), *lock),
            Verb::Get { at, known } => self.get((who, at), *known),
            Verb::Share { at, edit } => self.share(at, *edit),
            Verb::Unshare => self.unshare(),
            Verb::RenameMount { name } => self.rename_mount(*name),
            Verb::Restore { item, to } => self.restore(who, *item, to.as_ref()),
            Verb::Purge { item } => self.purge(who, *item),
            Verb::EmptyTrash => self.empty_trash(who),
            Verb::Revert { at, version } => self.revert((who, at), *version),
            Verb::PurgeVersion { at, version } => self.purge_version((who, at), *version),
            Verb::Begin { path, content, fresh, tokens } => self.begin(path, *content, *fresh, *tokens),
            Verb::Continue { upload, share, tokens } => self.go_on(*upload, *share, *tokens),
            Verb::Abandon { upload } => self.abandon(*upload),
        }
    }

    /// Whether a request succeeded, as the model says it must or must not.
    pub fn judge(&mut self, said: &str, reply: &Reply, success: u16, refusals: &Refusals) -> Checked<bool> {
        let status = reply.status;
        self.log.push(format!("{said} -> {status}"));
        let foreseen = if refusals.0.is_empty() { vec![success] } else { refusals.0.clone() };
        self.refused = !refusals.0.is_empty();
        if foreseen.contains(&status) {
            return Ok(!self.refused);
        }
        Err(format!("answered {status} ({}), and the model says {foreseen:?}", reply.text().trim()))
    }

    /// Where a path leads for a request that reads or changes; why it is refused, if it leads nowhere.
    pub fn sit(&self, who: Who, path: &str, changes: bool) -> (Option<Place>, Refusals) {
        let mut no = Refusals::default();
        self.aimed.borrow_mut().push(path.to_owned());
        match self.world.seat(who, path) {
            Seat::Nowhere => {
                no.add(true, if changes { 403 } else { 404 });
                (None, no)
            }
            Seat::Place(place) => {
                no.add(changes && !place.edit, 403);
                (Some(place), no)
            }
        }
    }

    /// What `Tokens` come to at this moment.
    pub fn submit(&self, who: Who, tokens: Tokens) -> If {
        let of = |holder: Who| -> If {
            let held = self.world.locks.iter().filter(|lock| lock.holder == holder);
            let tokens: Vec<_> = held.map(|lock| lock.token.clone()).collect();
            let mut header = tokens.iter().fold(String::new(), |lists, token| format!("{lists}(<{token}>) "));
            header.push_str("(Not <DAV:no-lock>)");
            If { header: (!tokens.is_empty()).then_some(header), tokens, demanded: None }
        };
        match tokens {
            Tokens::None => If::default(),
            Tokens::Own => of(who),
            Tokens::Others => of(who.other()),
            Tokens::Strict(_) if self.world.locks.is_empty() => If::default(),
            Tokens::Strict(which) => {
                let token = self.world.locks[usize::from(which) % self.world.locks.len()].token.clone();
                let (header, tokens) = (Some(format!("(<{token}>)")), vec![token.clone()]);
                If { header, tokens, demanded: Some(token) }
            }
        }
    }

    /// Whether what an `If` header demands does not hold at a place.
    pub fn unmet(&self, terms: &If, place: &Place) -> bool {
        terms.demanded.as_ref().is_some_and(|token| {
            !self.world.locks.iter().any(|lock| lock.token == *token && lock.covers(place.root, &place.path))
        })
    }

    /// What an `If` header looks like in the log.
    pub fn shown(&self, terms: &If) -> String {
        let names = |tokens: &[String]| {
            let name = |token: &String| {
                let lock = self.world.locks.iter().find(|lock| lock.token == *token);
                lock.map_or_else(|| "?".to_owned(), |lock| format!("{}'s lock on /{}", lock.holder.name(), lock.path))
            };
            tokens.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        match (&terms.header, &terms.demanded) {
            (None, _) => String::new(),
            (_, Some(token)) => format!(", demanding {}", names(std::slice::from_ref(token))),
            _ => format!(", with {}", names(&terms.tokens)),
        }
    }

    /// What stands where nothing can be made: the parent is no folder.
    pub fn lacks_parent(&self, place: &Place) -> bool {
        !self.world.is_folder(place.root, crate::world::parent(&place.path))
    }
}

/// The address of a path, as `Destination` has it.
pub fn destination(path: &str) -> String {
    format!("http://{HOST}/dav/{}", url(path))
}
