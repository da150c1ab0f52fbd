//! The session of a request, loaded when a handler first asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OnceCell;

use crate::active::ActiveSession;
use crate::context::Context;
use crate::error::Error;
use crate::id::SessionId;
use crate::session::Session;
use crate::store::Freshness;

/// The session of a request, which is loaded when [`session`](Self::session) is first called. The store
/// is not read for a request whose handler never calls it.
///
/// The layer inserts one into the extensions of each request. With axum, take [`Session`] as an
/// argument of the handler instead, or a `LazySession` if only some requests need the session:
///
/// ```
/// use axum::http::HeaderMap;
/// use tower_express_session::{Error, LazySession};
///
/// async fn page(lazy: LazySession, headers: HeaderMap) -> Result<String, Error> {
///     if headers.contains_key("if-none-match") {
///         return Ok("as before".to_owned()); // the store was not read
///     }
///     let user: Option<String> = lazy.session().await?.get("user")?;
///     Ok(user.unwrap_or_default())
/// }
/// ```
///
/// Without axum:
///
/// ```
/// use http::{Request, Response};
/// use tower_express_session::{Error, LazySession};
///
/// async fn serve(request: Request<String>) -> Result<Response<String>, Error> {
///     let lazy = request.extensions().get::<LazySession>().expect("the layer covers all paths");
///     let session = lazy.session().await?;
///     session.insert("seen", &true)?;
///     Ok(Response::new("hello".to_owned()))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct LazySession(Arc<LazyInner>);

#[derive(Debug)]
struct LazyInner {
    context: Arc<Context>,
    session: OnceCell<ActiveSession>,
    /// Whether the response has started.
    is_answered: AtomicBool,
}

impl LazySession {
    pub(crate) fn new(context: Context) -> Self {
        Self(Arc::new(LazyInner {
            context: Arc::new(context),
            session: OnceCell::new(),
            is_answered: AtomicBool::new(false),
        }))
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.0.context
    }

    /// Marks the request as answered. Returns the session if a handler has opened it. A session
    /// that is opened later can be read but not changed.
    pub(crate) fn close(&self) -> Option<&ActiveSession> {
        if !self.0.context.options().strict {
            // Set before the session is read below, so that a session that is opened concurrently
            // is either found here or sees the flag.
            self.0.is_answered.store(true, Ordering::SeqCst);
        }
        self.0.session.get()
    }

    fn opened(&self, session: ActiveSession) -> Session {
        if self.0.is_answered.load(Ordering::SeqCst) {
            session.state().close();
        }
        Session(session)
    }

    /// Returns the id that the request names, validly signed, before anything is read. Its session may
    /// not exist. If there are several, as after a change of the cookie's path, it is the first.
    ///
    /// Use it to begin work that is likely to be needed while the session is read.
    #[must_use]
    pub fn requested_id(&self) -> Option<&SessionId> {
        self.0.context.request.ids.first().map(|named| &named.id)
    }

    /// Returns the request's session: the stored one, or a new empty one. An empty session is not stored.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) and [`Store`](crate::ErrorKind::Store) from the
    /// store. A request without a cookie does not read the store.
    ///
    /// # Cancel safety
    ///
    /// If a call is dropped, the next call reads again.
    pub async fn session(&self) -> Result<Session, Error> {
        let open = || ActiveSession::open(&self.0.context, Freshness::Cached);
        self.0.session.get_or_try_init(open).await.cloned().map(|session| self.opened(session))
    }

    /// Returns the request's session as [`session`](Self::session) does, but reads it from the
    /// store and not from a cache. Use it where a slightly outdated session is not acceptable, for
    /// example for a change of password. Earlier changes of this request to the session are lost,
    /// except for a login or a renewal.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    ///
    /// # Cancel safety
    ///
    /// As [`session`](Self::session).
    pub async fn fresh(&self) -> Result<Session, Error> {
        let mut is_fresh = false;
        let open = || {
            is_fresh = true;
            ActiveSession::open(&self.0.context, Freshness::Latest)
        };
        let session = self.0.session.get_or_try_init(open).await?;
        if !is_fresh {
            session.open_again().await?;
        }
        Ok(self.opened(session.clone()))
    }
}
