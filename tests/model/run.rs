//! One case: each step is a request, an answer that the model foresaw, and a look at everything.

use crate::operations::{Rights, Root, Step, Tokens, Verb, Who};
use crate::server::{Ask, HOST, Reply, Server};
use crate::url::url;
use crate::world::{Past, Place, Seat, World};
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
    /// The paths that the last request named, by whom.
    pub aimed: RefCell<Vec<(Who, String)>>,
    /// The roots that the last step may have changed, and those that it may have changed anywhere.
    pub reached: RefCell<Vec<Root>>,
    pub touched: RefCell<Vec<Root>>,
    /// Which content each tag was seen with.
    pub tags: HashMap<String, Vec<u8>>,
    /// The past of each root, as it was compared last.
    pub past: [Past; 3],
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

    /// The same, as the JSON API says it.
    pub fn by_api(&mut self, api: bool) {
        if api {
            self.0
                .iter_mut()
                .filter(|status| matches!(status, 405 | 412))
                .for_each(|status| *status = 409);
        }
    }
}

/// The lock tokens that a request brings, and what it demands of them.
#[derive(Debug, Default)]
pub struct If {
    /// The header and its value.
    pub header: Option<(&'static str, String)>,
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
            reached: RefCell::default(),
            touched: RefCell::default(),
            tags: HashMap::new(),
            past: Default::default(),
        }
    }

    /// Runs a case; the failure tells all that was done.
    pub fn all(mut self, steps: &[Step]) -> Checked {
        let outcome = steps.iter().enumerate().try_for_each(|(number, step)| {
            self.aimed.borrow_mut().clear();
            self.reached.borrow_mut().clear();
            self.touched.borrow_mut().clear();
            self.refused = false;
            self.perform(step)?;
            self.note_moment();
            if number % WHOLE == WHOLE - 1 {
                self.compare_whole()
            } else {
                self.compare()
            }
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
        if who == Who::Visitor
            && self.world.open_link().is_none()
            && !matches!(step.verb, Verb::Get { .. } | Verb::Knock)
        {
            return Ok(());
        }
        match &step.verb {
            Verb::Put {
                at,
                content,
                condition,
                how,
                tokens,
            } => self.put((who, at), *content, (*condition, *how), *tokens),
            Verb::Append {
                at,
                content,
                tokens,
            } => self.append((who, at), *content, *tokens),
            Verb::Mkcol { at, tokens, api } => self.mkcol((who, at), (*tokens, *api)),
            Verb::Delete { at, tokens, api } => self.delete((who, at), (*tokens, *api)),
            Verb::Move {
                from,
                to,
                overwrite,
                tokens,
                api,
            } => self.shift(who, (from, to), *overwrite, (*tokens, *api)),
            Verb::Copy {
                from,
                to,
                overwrite,
                deep,
                tokens,
                api,
            } => self.copy(who, (from, to), (*overwrite, *deep), (*tokens, *api)),
            Verb::SetProp {
                at,
                name,
                value,
                tokens,
            } => self.set_prop((who, at), (*name, *value), *tokens),
            Verb::Lock {
                at,
                shared,
                deep,
                tokens,
            } => self.lock((who, at), (*shared, *deep), *tokens),
            Verb::Refresh { at, lock } => self.refresh(who, at.as_ref(), *lock),
            Verb::Unlock { at, lock } => self.unlock(who, at.as_ref(), *lock),
            Verb::Get { at, known } => self.get((who, at), *known),
            Verb::Zip { at } => self.zip((who, at)),
            Verb::Share { at, edit } => self.share(at, *edit),
            Verb::Unshare => self.unshare(),
            Verb::RenameMount { name } => self.rename_mount(*name),
            Verb::Link {
                at,
                rights,
                password,
            } => self.link(at, *rights, *password),
            Verb::ChangeLink { rights, password } => self.change_link(*rights, *password),
            Verb::EndLink => self.end_link(),
            Verb::Knock => self.knock(),
            Verb::Team { ana, ben } => self.team(*ana, *ben),
            Verb::EndTeam { purge } => self.end_team(*purge),
            Verb::Restore { item, to, team } => self.restore(who, *item, to.as_ref(), *team),
            Verb::Purge { item } => self.purge(who, *item),
            Verb::EmptyTrash => self.empty_trash(who),
            Verb::Revert { at, version } => self.revert((who, at), *version),
            Verb::PurgeVersion { at, version } => self.purge_version((who, at), *version),
            Verb::Rewind { at, moment, dry } => self.rewind((who, at), *moment, *dry),
            Verb::Begin {
                at,
                content,
                fresh,
                tokens,
            } => self.begin((who, at), *content, *fresh, *tokens),
            Verb::Continue {
                upload,
                share,
                tokens,
            } => self.go_on(*upload, *share, *tokens),
            Verb::Abandon { upload } => self.abandon(*upload),
            Verb::Beside { from, to, hard } => self.beside_server(who, (from, to), *hard),
            Verb::RemoveAccount { fate } => self.remove_account(who, *fate),
        }
    }

    /// Whether a request succeeded, as the model says it must or must not.
    pub fn judge(
        &mut self,
        said: &str,
        reply: &Reply,
        success: u16,
        refusals: &Refusals,
    ) -> Checked<bool> {
        let status = reply.status;
        self.log.push(format!("{said} -> {status}"));
        let foreseen = if refusals.0.is_empty() {
            vec![success]
        } else {
            refusals.0.clone()
        };
        self.refused = !refusals.0.is_empty();
        if foreseen.contains(&status) {
            return Ok(!self.refused);
        }
        Err(format!(
            "answered {status} ({}), and the model says {foreseen:?}",
            reply.text().trim()
        ))
    }

    /// Where a path leads for a request that reads or changes; why it is refused, if it leads nowhere.
    pub fn sit(&self, who: Who, path: &str, changes: bool) -> (Option<Place>, Refusals) {
        let mut no = Refusals::default();
        self.aimed.borrow_mut().push((who, path.to_owned()));
        let place = match self.world.seat(who, path) {
            Seat::Gone => {
                no.add(true, 404);
                return (None, no);
            }
            Seat::Nowhere => {
                no.add(true, if changes { 403 } else { 404 });
                // Beside the file that is all a link shows there is nothing that could hold anything.
                no.add(changes && who == Who::Visitor, 409);
                return (None, no);
            }
            Seat::Place(place) => place,
        };
        self.reached.borrow_mut().push(place.root);
        no.add(changes && !place.edits(), 403);
        // What may not be seen is not there.
        no.add(place.rights == Rights::Drop, 404);
        (Some(place), no)
    }

    /// Says that a step may have changed anything in a root.
    pub fn touch(&self, root: Root) {
        self.reached.borrow_mut().push(root);
        self.touched.borrow_mut().push(root);
    }

    /// A request on a path of a drive.
    pub fn dav(&self, who: Who, method: &str, path: &str) -> Ask<'_> {
        let target = format!("{}/{}", self.prefix(who), url(path));
        match (who, &self.world.link) {
            (Who::Visitor, Some(link)) => self.server.visit(link.password, method, &target),
            _ => self.server.ask(who, method, &target),
        }
    }

    /// Where the paths of a drive begin.
    pub fn prefix(&self, who: Who) -> String {
        let token = self.world.link.as_ref().map_or("none", |link| &link.token);
        if who == Who::Visitor {
            format!("/s/{token}/dav")
        } else {
            "/dav".to_owned()
        }
    }

    /// The address of a path, as `Destination` has it.
    pub fn destination(&self, who: Who, path: &str) -> String {
        format!("http://{HOST}{}/{}", self.prefix(who), url(path))
    }

    /// What `Tokens` come to at this moment.
    pub fn submit(&self, who: Who, tokens: Tokens) -> If {
        self.submit_by(who, (tokens, false))
    }

    /// The same, as the JSON API takes them where that is asked.
    pub fn submit_by(&self, who: Who, (tokens, api): (Tokens, bool)) -> If {
        let locks = &self.world.locks;
        let held = |holder: Who| {
            locks
                .iter()
                .filter(|lock| lock.holder == holder)
                .map(|lock| lock.token.clone())
                .collect()
        };
        let tokens: Vec<_> = match tokens {
            Tokens::Own => held(who),
            Tokens::Others => held(who.other()),
            Tokens::Strict(which) if !locks.is_empty() => {
                let token = locks[usize::from(which) % locks.len()].token.clone();
                if !api {
                    let (header, tokens) =
                        (Some(("if", format!("(<{token}>)"))), vec![token.clone()]);
                    return If {
                        header,
                        tokens,
                        demanded: Some(token),
                    };
                }
                vec![token]
            }
            Tokens::None | Tokens::Strict(_) => Vec::new(),
        };
        if tokens.is_empty() {
            return If::default();
        }
        let header = if api {
            (
                "lock-token",
                tokens
                    .iter()
                    .map(|token| format!("<{token}>"))
                    .collect::<Vec<_>>()
                    .join(", "),
            )
        } else {
            let lists = tokens
                .iter()
                .fold(String::new(), |lists, token| format!("{lists}(<{token}>) "));
            ("if", lists + "(Not <DAV:no-lock>)")
        };
        If {
            header: Some(header),
            tokens,
            demanded: None,
        }
    }

    /// Whether what an `If` header demands does not hold at a place.
    pub fn unmet(&self, terms: &If, place: &Place) -> bool {
        terms.demanded.as_ref().is_some_and(|token| {
            !self
                .world
                .locks
                .iter()
                .any(|lock| lock.token == *token && lock.covers(place.root, &place.path))
        })
    }

    /// What an `If` header looks like in the log.
    pub fn shown(&self, terms: &If) -> String {
        let names = |tokens: &[String]| {
            let name = |token: &String| {
                let lock = self.world.locks.iter().find(|lock| lock.token == *token);
                lock.map_or_else(
                    || "?".to_owned(),
                    |lock| format!("{}'s lock on /{}", lock.holder.name(), lock.path),
                )
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
        !self
            .world
            .is_folder(place.root, crate::world::parent(&place.path))
    }
}

/// A method, or what stands for it in the JSON API.
pub fn said_by(method: &str, api: bool) -> String {
    if api {
        format!("{method} by API")
    } else {
        method.to_owned()
    }
}
