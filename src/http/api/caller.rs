//! Callers of the API as extractors: a handler reaches the program only through one of these, so none can forget to authenticate.

use super::problem::Problem;
use crate::app::App;
use crate::audit::{Actor, Reporter};
use crate::auth::RequestOrigin;
use crate::drive::Drive;
use crate::http::login;
use crate::model::{AccessCheck, Error, Identity, Irrevocable, Role};
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

/// What comes with each request; only the extractors below look into it.
#[derive(Clone, Debug)]
pub(in crate::http) struct ApiRequest {
    app: Arc<App>,
    origin: RequestOrigin,
    identity: Arc<OnceLock<Arc<Identity>>>,
    /// Whether whoever may open the data folder asks: over the control socket, or in the process that has it open.
    is_local: bool,
}

impl ApiRequest {
    /// A request from there.
    pub(in crate::http) fn new(app: Arc<App>, origin: RequestOrigin) -> Self {
        Self {
            app,
            origin,
            identity: Arc::default(),
            is_local: false,
        }
    }

    /// A request of the administrator at the command line.
    pub(in crate::http) fn local(app: Arc<App>) -> Self {
        Self {
            is_local: true,
            ..Self::new(app, IpAddr::V4(Ipv4Addr::LOCALHOST).into())
        }
    }

    /// Who has signed in while the request was answered.
    pub(in crate::http) fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.get().cloned()
    }

    /// Refuses who has signed in with what has ended since, as it may while a body comes. `Unauthenticated`.
    pub(super) fn recheck(&self) -> Result<(), Error> {
        let access = self.identity.get().map(|identity| identity.access.check());
        access
            .transpose()
            .map(drop)
            .map_err(|_| Error::Unauthenticated)
    }

    async fn sign_in(&self, parts: &Parts) -> Result<Arc<Identity>, Error> {
        if self.is_local {
            return Err(Error::Forbidden(
                "The command line has no account of its own.",
            ));
        }
        let identity = login::authenticate(&self.app, parts, &self.origin).await?;
        let _ = self.identity.set(identity.clone());
        Ok(identity)
    }
}

/// Anybody.
#[derive(Debug)]
pub struct PublicCaller {
    /// The program.
    pub app: Arc<App>,
    /// Where the request comes from.
    pub client: IpAddr,
}

/// An identity that may use its drive: also one that is confined to a folder or to reading.
#[derive(Debug)]
pub struct MemberCaller {
    /// The program.
    pub app: Arc<App>,
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Where the request comes from.
    pub client: IpAddr,
}

/// A whole account: what an app password may not change, it cannot reach.
#[derive(Debug)]
pub struct AccountCaller {
    /// The program.
    pub app: Arc<App>,
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Where the request comes from.
    pub client: IpAddr,
}

/// A whole account, or the administrator at the command line, who has none.
#[derive(Debug)]
pub struct AccountOrLocalCaller {
    /// The program.
    pub app: Arc<App>,
    /// Who asks; `None` for the command line.
    pub identity: Option<Arc<Identity>>,
    /// Where the request comes from.
    pub client: IpAddr,
}

/// A whole account that administers, or the administrator at the command line.
#[derive(Debug)]
pub struct AdminCaller {
    /// The program.
    pub app: Arc<App>,
    /// Who asks; `None` for the command line.
    pub identity: Option<Arc<Identity>>,
    /// Where the request comes from.
    pub client: IpAddr,
}

/// The administrator at the command line; for anybody else there is nothing at the address.
#[derive(Debug)]
pub struct LocalCaller {
    /// The program.
    pub app: Arc<App>,
}

impl MemberCaller {
    /// The drive that this identity sees.
    pub async fn drive(&self) -> Result<Drive, Error> {
        self.app.drive(&self.identity).await
    }
}

impl PublicCaller {
    /// What tells the audit log of somebody who has not signed in.
    pub fn reporter(&self) -> Reporter {
        self.app.audit.reporter(Actor::Nobody, Some(self.client))
    }
}

impl AccountCaller {
    /// What tells the audit log of this account.
    pub fn reporter(&self) -> Reporter {
        self.app
            .audit
            .reporter(Actor::from(&*self.identity), Some(self.client))
    }
}

impl AccountOrLocalCaller {
    /// What tells the audit log of whoever asks.
    pub fn reporter(&self) -> Reporter {
        match &self.identity {
            Some(identity) => self
                .app
                .audit
                .reporter(Actor::from(&**identity), Some(self.client)),
            None => self.app.audit.reporter(Actor::CommandLine, None),
        }
    }

    /// Whether what the request was let in by still holds.
    pub fn access(&self) -> Arc<dyn AccessCheck> {
        match &self.identity {
            Some(identity) => identity.access.clone(),
            None => Arc::new(Irrevocable),
        }
    }
}

impl AdminCaller {
    /// What tells the audit log of this administrator.
    pub fn reporter(&self) -> Reporter {
        self.somebody().reporter()
    }

    /// As [`AccountOrLocalCaller::access`].
    pub fn access(&self) -> Arc<dyn AccessCheck> {
        self.somebody().access()
    }

    fn somebody(&self) -> AccountOrLocalCaller {
        AccountOrLocalCaller {
            app: self.app.clone(),
            identity: self.identity.clone(),
            client: self.client,
        }
    }
}

impl LocalCaller {
    /// What tells the audit log of the command line.
    pub fn reporter(&self) -> Reporter {
        self.app.audit.reporter(Actor::CommandLine, None)
    }
}

fn api_request(parts: &Parts) -> Result<ApiRequest, Problem> {
    // `answer` in router.rs puts it in; without it nobody is let in.
    parts
        .extensions
        .get::<ApiRequest>()
        .cloned()
        .ok_or(Problem(Error::Unauthenticated))
}

impl<S: Sync> FromRequestParts<S> for PublicCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let ApiRequest { app, origin, .. } = api_request(parts)?;
        Ok(Self {
            app,
            client: origin.address,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for MemberCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let api_request = api_request(parts)?;
        let identity = api_request.sign_in(parts).await?;
        Ok(Self {
            app: api_request.app,
            identity,
            client: api_request.origin.address,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for AccountCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let MemberCaller {
            app,
            identity,
            client,
        } = MemberCaller::from_request_parts(parts, state).await?;
        if identity.is_confined() {
            return Err(Problem(Error::Forbidden(
                "An app password uses files; for this, sign in with the account.",
            )));
        }
        Ok(Self {
            app,
            identity,
            client,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for AccountOrLocalCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ApiRequest {
            app,
            origin,
            is_local,
            ..
        } = api_request(parts)?;
        let identity = if is_local {
            None
        } else {
            Some(
                AccountCaller::from_request_parts(parts, state)
                    .await?
                    .identity,
            )
        };
        Ok(Self {
            app,
            identity,
            client: origin.address,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for LocalCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let ApiRequest { app, is_local, .. } = api_request(parts)?;
        if is_local {
            Ok(Self { app })
        } else {
            Err(Problem(Error::NotFound))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for AdminCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let AccountOrLocalCaller {
            app,
            identity,
            client,
        } = AccountOrLocalCaller::from_request_parts(parts, state).await?;
        if identity
            .as_ref()
            .is_some_and(|identity| identity.role != Role::Admin)
        {
            return Err(Problem(Error::Forbidden(
                "Only administrators may do this.",
            )));
        }
        Ok(Self {
            app,
            identity,
            client,
        })
    }
}
