//! The end of a request: stores its session, and sets or clears the cookie.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::active::ActiveSession;
use crate::context::Context;
use crate::cookie::{Cookie, JsValue};
use crate::error::{Error, ErrorKind};
use crate::header;
use crate::id::SessionId;
use crate::options::Options;
use crate::policy::{self, StoreAction};
use crate::state::{Ending, Finished};
use crate::timestamp;

/// Stores the changes that the request made to its session, and sets or clears the cookie.
///
/// `status` is the status of the handler's response. After a server error the changes that are not
/// stored yet are discarded, if the layer is configured so. The end of a session is kept in any case, and a
/// login unless the handler could not store it.
///
/// # Errors
///
/// Errors of the store. The handler's response must not be sent in this case.
pub(crate) async fn commit(
    session: &ActiveSession,
    status: StatusCode,
    headers: &mut HeaderMap,
) -> Result<(), Error> {
    let context = session.context();
    let drops = context.options().rules.drop_on_server_error && status.is_server_error();
    if drops {
        session.drop_changes();
    }
    let finished = session.finish()?;
    if let Finished::Alive { id, cookie, facts } = &finished {
        if drops && session.creation_failed() {
            return Ok(()); // The handler reports it.
        }
        let action = policy::store_action(*facts, context.options().rules);
        match store(session, context, id, cookie, action).await {
            // The request that ended the session has cleared or replaced the browser's cookie. This
            // response may arrive later, and must not delete the cookie of a new login.
            Err(error) if error.kind() == ErrorKind::Gone => {
                tracing::info!(session.id = ?id, "the session ended while a request was in progress");
                return Ok(());
            }
            // Express has sent its response by now, so the error is only logged.
            Err(error) if context.options().strict => {
                error.log("session failed");
            }
            stored => stored?,
        }
        if policy::sends_cookie(*facts, context.options().rules) {
            send_cookie(context, id, cookie, headers);
            if let Some(old) = session.left_behind() {
                clear_cookie(context, Some(&old), headers)?;
            }
        }
        return Ok(());
    }
    let Finished::Ended { id, ending } = &finished else { return Ok(()) };
    if *ending == Ending::Gone {
        return Ok(());
    }
    if finished.destroys(context.options()) {
        match context.destroy(id, None).await {
            Err(error) if context.options().strict => {
                error.log("session failed");
            }
            destroyed => drop(destroyed?),
        }
    }
    clear_cookie(context, session.browser_cookie().as_deref(), headers)
}

async fn store(
    session: &ActiveSession,
    context: &Arc<Context>,
    id: &SessionId,
    cookie: &Cookie,
    action: StoreAction,
) -> Result<(), Error> {
    let ttl = cookie.time_to_live(timestamp::now_ms(), context.options().ttl);
    let has_new_account = session.has_new_account();
    match (action, ttl) {
        (StoreAction::Nothing, Some(ttl)) if session.is_final() => {
            context.index_in_background(id, ttl, session.account());
        }
        (StoreAction::Nothing, _) => {}
        // Most requests only read, so they have no room for the steps of a save.
        (StoreAction::Save, _) => Box::pin(session.save_with(&mut |_| Ok(()))).await?,
        (StoreAction::Touch, None) => drop(context.destroy(id, Some(cookie)).await?),
        (StoreAction::Touch, Some(ttl)) if context.options().strict => {
            context.touch(id, ttl).await?;
        }
        (StoreAction::Touch, Some(ttl)) => {
            context.touch_in_background(id, ttl, session.account());
        }
    }
    if has_new_account {
        match (session.account(), ttl) {
            (Some(account), Some(ttl)) => {
                Box::pin(context.index_login(id, ttl, &account)).await;
            }
            (None, _) if session.has_unnamed_account() => tracing::warn!(
                "a login is in no index: the account must be a text or a number, or AccountOptions::named_by must be set"
            ),
            _ => {}
        }
    }
    Ok(())
}

fn send_cookie(context: &Context, id: &SessionId, cookie: &Cookie, headers: &mut HeaderMap) {
    let options = context.options();
    let value = options.secrets.sign(id.as_str());
    if context.request.by_token {
        return send_token(&header::encode(&value), options, headers);
    }
    if cookie.secure.is_truthy() && !context.request.secure {
        tracing::warn!(
            "no session cookie sent: it is marked Secure, and the request did not come over TLS"
        );
        return;
    }
    match header::set_cookie(
        &options.name,
        &value,
        &options.on_wire(cookie, context.request.secure),
    ) {
        Ok(line) => append_cookie(headers, line, options),
        Err(_) => tracing::error!("no session cookie sent: one of its attributes is not valid"),
    }
}

/// Clears the browser's cookie, if the request had one: `cookie`, or the cookie that a new session
/// would get. Express does not clear it.
fn clear_cookie(
    context: &Context,
    cookie: Option<&Cookie>,
    headers: &mut HeaderMap,
) -> Result<(), Error> {
    if context.options().strict || context.request.ids.is_empty() {
        return Ok(());
    }
    if context.request.by_token {
        send_token("", context.options(), headers);
        return Ok(());
    }
    let options = context.options();
    let line = |cookie: &Cookie| {
        let mut cookie = options.on_wire(cookie, context.request.secure);
        cookie.expires = JsValue::Date(0.0);
        header::set_cookie(&options.name, "", &cookie)
    };
    // If an attribute of the stored cookie cannot be sent, the browser never received that cookie.
    let line = match cookie.map(line) {
        Some(Ok(line)) => line,
        _ => line(&context.cookie_options().make(context.request.secure, 0.0)?)?,
    };
    append_cookie(headers, line, options);
    Ok(())
}

fn append_cookie(headers: &mut HeaderMap, line: HeaderValue, options: &Options) {
    headers.append(SET_COOKIE, line);
    if !options.strict {
        forbid_caches(headers);
    }
}

fn send_token(value: &str, options: &Options, headers: &mut HeaderMap) {
    let value = HeaderValue::try_from(value).expect("percent-encoded text is ASCII");
    headers.extend(options.token_header.clone().map(|name| (name, value)));
    forbid_caches(headers);
}

/// Forbids caching: a shared cache would otherwise hand one visitor's session to another.
fn forbid_caches(headers: &mut HeaderMap) {
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
