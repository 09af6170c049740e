//! Accounts, for administrators.

mod documents;

use crate::admin::FilesDisposal;
use crate::app::App;
use crate::auth::{AccountUpdate, AccountView};
use crate::http::api::caller::AdminCaller;
use crate::http::api::document::ApiTag;
use crate::http::api::json::{Json, Path, Query};
use crate::http::api::page::{Page, PageQuery};
use crate::http::api::problem::{Failures, Problem};
use crate::model::{AccountName, Error};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::AppendHeaders;
pub use documents::{
    AccountDocument, AccountPatch, AccountRemovalQuery, AccountsQuery, FilesFate, NewAccount,
    NewEmail, NewPassword, RemovedAccount,
};
use futures_util::StreamExt as _;

type TaggedAccount = (
    AppendHeaders<[(HeaderName, String); 1]>,
    axum::Json<AccountDocument>,
);

/// Homes that are counted at once for a page of accounts.
const COUNTED_AT_ONCE: usize = 8;

fn tagged(app: &App, view: AccountView) -> TaggedAccount {
    (
        AppendHeaders([(header::ETAG, view.revision())]),
        axum::Json(AccountDocument::of(app, view)),
    )
}

/// A weak password or a name like another's as a failure of its field.
fn at_field(error: Error) -> Problem {
    Problem(match error {
        Error::BadRequest(why) => Error::Invalid {
            pointer: "/password".into(),
            why: why.into(),
        },
        Error::BadName(why) => Error::Invalid {
            pointer: "/name".into(),
            why: why.into(),
        },
        other => other,
    })
}

/// Accounts by name, in pages.
#[utoipa::path(get, path = "/api/v1/accounts", tag = ApiTag::ACCOUNTS, operation_id = "listAccounts", params(AccountsQuery),
    responses((status = 200, body = Page<AccountDocument>), Failures))]
pub async fn list(
    AdminCaller { app, .. }: AdminCaller,
    Query(asked): Query<AccountsQuery>,
) -> Result<axum::Json<Page<AccountDocument>>, Problem> {
    let AccountsQuery {
        limit,
        cursor,
        query,
        usage,
    } = asked;
    let wanted = query.unwrap_or_default().to_ascii_lowercase();
    let found = app
        .auth
        .list()
        .into_iter()
        .filter(|account| account.name.as_str().contains(&wanted));
    let page = PageQuery { limit, cursor }.cut(found, |account| account.name.to_string())?;
    let mut items: Vec<AccountDocument> = page
        .items
        .into_iter()
        .map(|view| AccountDocument::of(&app, view))
        .collect();
    if usage == Some(true) {
        let names: Vec<_> = items.iter().map(|account| account.name.clone()).collect();
        let counts = futures_util::stream::iter(names).map(|name| {
            let app = app.clone();
            async move { app.usage(&name).await }
        });
        let counts: Vec<_> = counts.buffered(COUNTED_AT_ONCE).collect().await;
        for (account, used) in items.iter_mut().zip(counts) {
            account.used = match used {
                // The overview names those whose files are missing; of a disk that does not answer the others are none the worse.
                Err(Error::Missing(_) | Error::Busy { .. }) => None,
                used => Some(used?),
            };
        }
    }
    Ok(axum::Json(Page {
        items,
        next: page.next,
    }))
}

/// Make an account.
#[utoipa::path(post, path = "/api/v1/accounts", tag = ApiTag::ACCOUNTS, operation_id = "createAccount", request_body = NewAccount,
    responses((status = 201, body = AccountDocument), Failures))]
pub async fn create(
    admin: AdminCaller,
    Json(new): Json<NewAccount>,
) -> Result<
    (
        StatusCode,
        AppendHeaders<[(HeaderName, String); 1]>,
        axum::Json<AccountDocument>,
    ),
    Problem,
> {
    let quota = new.quota.unwrap_or(admin.app.config.accounts.default_quota);
    let work = admin.at_work();
    let home = new.home.clone();
    let made = async move {
        work.create(
            &new.name,
            new.password.as_bytes(),
            (new.role, quota),
            home.as_deref(),
        )
        .await
    };
    let view = admin.app.run_to_completion(made).await.map_err(at_field)?;
    let place = [(header::LOCATION, format!("/api/v1/accounts/{}", view.name))];
    Ok((
        StatusCode::CREATED,
        AppendHeaders(place),
        axum::Json(AccountDocument::of(&admin.app, view)),
    ))
}

/// One account.
#[utoipa::path(get, path = "/api/v1/accounts/{name}", tag = ApiTag::ACCOUNTS, operation_id = "showAccount",
    params(("name" = AccountName, Path)), responses((status = 200, body = AccountDocument), Failures))]
pub async fn show(
    AdminCaller { app, .. }: AdminCaller,
    Path(name): Path<AccountName>,
) -> Result<TaggedAccount, Problem> {
    Ok(tagged(
        &app,
        app.auth.account(&name).ok_or(Error::NotFound)?,
    ))
}

/// Change role, quota or whether an account may sign in (JSON merge patch), if it still has the tag in `If-Match`, where given.
#[utoipa::path(patch, path = "/api/v1/accounts/{name}", tag = ApiTag::ACCOUNTS, operation_id = "changeAccount",
    params(("name" = AccountName, Path)), request_body = AccountPatch,
    responses((status = 200, body = AccountDocument), Failures))]
pub async fn change(
    admin: AdminCaller,
    Path(name): Path<AccountName>,
    headers: HeaderMap,
    Json(patch): Json<AccountPatch>,
) -> Result<TaggedAccount, Problem> {
    let what = AccountUpdate {
        role: patch.role,
        quota: patch.quota,
        disabled: patch.disabled,
    };
    let work = admin.at_work();
    let only_at = if_match(&headers);
    let altered = async move { work.alter(&name, what, only_at).await };
    Ok(tagged(
        &admin.app,
        admin.app.run_to_completion(altered).await?,
    ))
}

/// Set the password of an account: its sign-ins end.
#[utoipa::path(put, path = "/api/v1/accounts/{name}/password", tag = ApiTag::ACCOUNTS, operation_id = "setAccountPassword",
    params(("name" = AccountName, Path)), request_body = NewPassword,
    responses((status = 204, description = "The password is set."), Failures))]
pub async fn set_password(
    admin: AdminCaller,
    Path(name): Path<AccountName>,
    Json(new): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    let work = admin.at_work();
    let set = async move { work.set_password(&name, new.password.as_bytes()).await };
    admin.app.run_to_completion(set).await.map_err(at_field)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set the e-mail address of an account. It counts for this account alone: where `link_by_email` is on, whoever the sign-in
/// provider says has this address signs in to it.
#[utoipa::path(put, path = "/api/v1/accounts/{name}/email", tag = ApiTag::ACCOUNTS, operation_id = "setAccountEmail",
    params(("name" = AccountName, Path)), request_body = NewEmail,
    responses((status = 204, description = "The address is set."), Failures))]
pub async fn set_email(
    admin: AdminCaller,
    Path(name): Path<AccountName>,
    Json(new): Json<NewEmail>,
) -> Result<StatusCode, Problem> {
    let work = admin.at_work();
    admin
        .app
        .run_to_completion(async move { work.set_email(&name, new.email).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End two-factor sign-in of an account that has lost its app and its recovery codes: its sessions end, and its password
/// alone signs in again. 404 when it asks for no code.
#[utoipa::path(delete, path = "/api/v1/accounts/{name}/two-factor", tag = ApiTag::ACCOUNTS, operation_id = "dropTwoFactor",
    params(("name" = AccountName, Path)), responses((status = 204, description = "Sign-in asks for no code."), Failures))]
pub async fn drop_two_factor(
    admin: AdminCaller,
    Path(name): Path<AccountName>,
) -> Result<StatusCode, Problem> {
    let work = admin.at_work();
    admin
        .app
        .run_to_completion(async move { work.drop_two_factor(&name).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove an account, and say what becomes of its files.
#[utoipa::path(delete, path = "/api/v1/accounts/{name}", tag = ApiTag::ACCOUNTS, operation_id = "removeAccount",
    params(("name" = AccountName, Path), AccountRemovalQuery), responses((status = 200, body = RemovedAccount), Failures))]
pub async fn remove(
    admin: AdminCaller,
    Path(name): Path<AccountName>,
    Query(AccountRemovalQuery { files, to, path }): Query<AccountRemovalQuery>,
) -> Result<axum::Json<RemovedAccount>, Problem> {
    let wrong = |pointer: &str, why: &str| {
        Problem(Error::Invalid {
            pointer: pointer.into(),
            why: why.into(),
        })
    };
    let files = match (files, to, path) {
        (FilesFate::Keep, None, None) => FilesDisposal::Keep,
        (FilesFate::Purge, None, None) => FilesDisposal::Purge,
        (FilesFate::Purge, None, Some(path)) => FilesDisposal::PurgeAt(path),
        (FilesFate::Transfer, Some(to), None) => FilesDisposal::Transfer(to),
        (FilesFate::Transfer, None, _) => {
            return Err(wrong("/to", "Say to which account the files go."));
        }
        (_, None, Some(_)) | (FilesFate::Transfer, ..) => {
            return Err(wrong(
                "/path",
                "Only files that are deleted are named by their path.",
            ));
        }
        (_, Some(_), _) => return Err(wrong("/to", "Only transferred files go to an account.")),
    };
    let work = admin.at_work();
    let done = admin
        .app
        .run_to_completion(async move { work.remove(&name, files).await })
        .await?;
    Ok(axum::Json(RemovedAccount {
        folder: done.moved.map(|path| format!("/{path}")),
        kept: done.aside,
    }))
}

/// The tags of `If-Match`; `None` when there is none, or any will do.
fn if_match(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut lines = headers.get_all(header::IF_MATCH).iter().peekable();
    lines.peek()?;
    let tags = lines.flat_map(|line| line.to_str().unwrap_or_default().split(','));
    let tags: Vec<String> = tags.map(|tag| tag.trim().to_owned()).collect();
    (!tags.iter().any(|tag| tag == "*")).then_some(tags)
}
