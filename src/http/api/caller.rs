//! Who calls the API, as types: a handler reaches the program only through one of these, so none can forget to ask.

use super::problem::Problem;
use crate::app::App;
use crate::audit::{Actor, Reporter};
use crate::auth::Origin;
use crate::drive::Drive;
use crate::http::login;
use crate::model::{Error, Identity, Role};
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// What comes with each request; only the extractors below look into it.
#[derive(Clone, Debug)]
pub(in crate::http) struct Arrival {
    app: Arc<App>,
    origin: Origin,
    identity: Arc<OnceLock<Arc<Identity>>>,
}

impl Arrival {
    /// A request from there.
    pub(in crate::http) fn new(app: Arc<App>, origin: Origin) -> Self {
        Self {
            app,
            origin,
            identity: Arc::default(),
        }
    }

    /// Who has signed in while the request was answered.
    pub(in crate::http) fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.get().cloned()
    }

    /// Refuses who has signed in with what has ended since, as it may while a body comes. `Unauthenticated`.
    pub(super) fn check_still(&self) -> Result<(), Error> {
        let access = self.identity.get().map(|identity| identity.access.check());
        access
            .transpose()
            .map(drop)
            .map_err(|_| Error::Unauthenticated)
    }

    async fn sign_in(&self, parts: &Parts) -> Result<Arc<Identity>, Error> {
        let identity = login::authenticate(&self.app, parts, &self.origin).await?;
        let _ = self.identity.set(identity.clone());
        Ok(identity)
    }
}

/// Anybody.
#[derive(Debug)]
pub struct Public {
    /// The program.
    pub app: Arc<App>,
    /// Where the request comes from.
    pub client: IpAddr,
}

/// An identity that may use its drive: also one that is confined to a folder or to reading.
#[derive(Debug)]
pub struct Member {
    /// The program.
    pub app: Arc<App>,
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Where the request comes from.
    pub client: IpAddr,
}

/// A whole account: what an app password may not change, it cannot reach.
#[derive(Debug)]
pub struct Account {
    /// The program.
    pub app: Arc<App>,
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Where the request comes from.
    pub client: IpAddr,
}

/// A whole account that administers.
#[derive(Debug)]
pub struct Admin {
    /// The program.
    pub app: Arc<App>,
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Where the request comes from.
    pub client: IpAddr,
}

impl Member {
    /// The drive that this identity sees.
    pub async fn drive(&self) -> Result<Drive, Error> {
        self.app.drive(&self.identity).await
    }
}

impl Public {
    /// What tells the audit log of somebody who has not signed in.
    pub fn reporter(&self) -> Reporter {
        self.app.audit.reporter(Actor::Nobody, Some(self.client))
    }
}

impl Account {
    /// What tells the audit log of this account.
    pub fn reporter(&self) -> Reporter {
        self.app
            .audit
            .reporter(Actor::from(&*self.identity), Some(self.client))
    }
}

impl Admin {
    /// What tells the audit log of this administrator.
    pub fn reporter(&self) -> Reporter {
        self.app
            .audit
            .reporter(Actor::from(&*self.identity), Some(self.client))
    }
}

fn arrival(parts: &Parts) -> Result<Arrival, Problem> {
    // `answer` in pages.rs puts it in; without it nobody is let in.
    parts
        .extensions
        .get::<Arrival>()
        .cloned()
        .ok_or(Problem(Error::Unauthenticated))
}

impl<S: Sync> FromRequestParts<S> for Public {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Arrival { app, origin, .. } = arrival(parts)?;
        Ok(Self {
            app,
            client: origin.address,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let arrival = arrival(parts)?;
        let identity = arrival.sign_in(parts).await?;
        Ok(Self {
            app: arrival.app,
            identity,
            client: arrival.origin.address,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Member {
            app,
            identity,
            client,
        } = Member::from_request_parts(parts, state).await?;
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

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Account {
            app,
            identity,
            client,
        } = Account::from_request_parts(parts, state).await?;
        if identity.role != Role::Admin {
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
