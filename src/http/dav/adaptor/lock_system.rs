//! The protocol crate's lock system over one request's drive. It never refuses by itself: the drive checks every change under
//! its guard, so `check` lets all pass, and what the drive says goes into the exchange.

use crate::drive::LockView;
use crate::http::dav::exchange::{DavExchange, DavMethod};
use crate::model::Result;
use dav_server::davpath::DavPath;
use dav_server::ls::{DavLock, DavLockSystem, LsFuture};
use futures_util::FutureExt;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use xmltree::Element;

/// The lock system of one request.
#[derive(Clone, Debug)]
pub struct ExchangeLocks(pub Arc<DavExchange>);

impl ExchangeLocks {
    /// Reports a lock. The crate's own reply is replaced by ours, so that what it reads here only has to be whole.
    fn report(
        &self,
        path: &DavPath,
        result: Result<LockView>,
    ) -> std::result::Result<DavLock, DavLock> {
        let token = result
            .as_ref()
            .ok()
            .and_then(|lock| lock.token.clone())
            .unwrap_or_default();
        let lock = DavLock {
            token,
            path: Box::new(path.clone()),
            principal: None,
            owner: None,
            timeout_at: None,
            timeout: None,
            shared: false,
            deep: false,
        };
        match result {
            Ok(view) => {
                let mut outcome = self.0.outcome.lock();
                // A new lock on nothing still has its file to make.
                let whole = self.0.lock.is_none() || self.0.existing.is_some();
                outcome.status = whole.then_some(StatusCode::OK);
                outcome.lock = Some(view);
                Ok(lock)
            }
            Err(error) => {
                self.0.fail(error);
                Err(lock)
            }
        }
    }
}

impl DavLockSystem for ExchangeLocks {
    fn lock(
        &'_ self,
        path: &DavPath,
        _principal: Option<&str>,
        _owner: Option<&Element>,
        _timeout: Option<Duration>,
        _shared: bool,
        _deep: bool,
    ) -> LsFuture<'_, std::result::Result<DavLock, DavLock>> {
        let path = path.clone();
        async move {
            let exchange = &self.0;
            let result = match exchange.lock.clone() {
                Some(request) => {
                    exchange
                        .drive
                        .lock(&exchange.path, request, exchange.preconditions.clone())
                        .await
                }
                None => Err(crate::model::Error::BadRequest(
                    "A LOCK needs a lockinfo body.",
                )),
            };
            self.report(&path, result)
        }
        .boxed()
    }

    fn unlock(&'_ self, _path: &DavPath, token: &str) -> LsFuture<'_, std::result::Result<(), ()>> {
        let token = token.to_owned();
        async move {
            let exchange = &self.0;
            let held = match exchange.method {
                DavMethod::Unlock => {
                    exchange
                        .drive
                        .check_preconditions(&exchange.path, exchange.preconditions.clone())
                        .await
                }
                _ => Ok(()),
            };
            let result = match held {
                Ok(()) => exchange.drive.unlock(&exchange.path, &token).await,
                Err(error) => Err(error),
            };
            match result {
                // The crate ends a lock also when the file of it could not be made.
                Ok(()) if self.0.method == DavMethod::Unlock => self.0.made(false),
                Ok(()) => {}
                Err(error) => {
                    self.0.fail(error);
                    return Err(());
                }
            }
            Ok(())
        }
        .boxed()
    }

    fn refresh(
        &'_ self,
        path: &DavPath,
        token: &str,
        _timeout: Option<Duration>,
    ) -> LsFuture<'_, std::result::Result<DavLock, ()>> {
        let path = path.clone();
        let token = token.to_owned();
        async move {
            let exchange = &self.0;
            let result = match exchange
                .drive
                .check_preconditions(&exchange.path, exchange.preconditions.clone())
                .await
            {
                Ok(()) => {
                    exchange
                        .drive
                        .refresh_lock(&exchange.path, &token, exchange.timeout)
                        .await
                }
                Err(error) => Err(error),
            };
            self.report(&path, result).map_err(drop)
        }
        .boxed()
    }

    fn check(
        &'_ self,
        _path: &DavPath,
        _principal: Option<&str>,
        _ignore_principal: bool,
        _deep: bool,
        _tokens: &[String],
    ) -> LsFuture<'_, std::result::Result<(), DavLock>> {
        std::future::ready(Ok(())).boxed()
    }

    fn discover(&'_ self, _path: &DavPath) -> LsFuture<'_, Vec<DavLock>> {
        std::future::ready(Vec::new()).boxed()
    }

    fn delete(&'_ self, _path: &DavPath) -> LsFuture<'_, std::result::Result<(), ()>> {
        std::future::ready(Ok(())).boxed()
    }
}
