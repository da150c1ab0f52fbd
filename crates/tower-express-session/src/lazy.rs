//! The request's session that nobody asked for yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OnceCell;

use crate::active::ActiveSession;
use crate::context::Context;
use crate::error::Error;
use crate::session::Session;
use crate::store::Freshness;

/// A request's session, not yet asked for: the store is read when [`session`](Self::session) is
/// first called, and never for a request whose handler does not.
///
/// The layer puts one into the extensions of each request. With axum, take [`Session`] as an
/// argument of the handler instead; or this, where only some requests need the session:
///
/// ```
/// use axum::http::HeaderMap;
/// use tower_express_session::{Error, LazySession};
///
/// async fn page(lazy: LazySession, headers: HeaderMap) -> Result<String, Error> {
///     if headers.contains_key("if-none-match") {
///         return Ok("as before".to_owned()); // the store was not asked
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
    /// The response has started.
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

    /// Closes the request: gives the session, if anybody asked for it. One that is asked for later can
    /// be read and not changed.
    pub(crate) fn close(&self) -> Option<&ActiveSession> {
        if !self.0.context.options().strict {
            // Before the look, so that a session that is opened meanwhile is either found here or finds
            // this.
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

    /// The request's session: the stored one, or a new empty one that is stored only once it holds
    /// something.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) and [`Store`](crate::ErrorKind::Store) from the
    /// store. A request without a cookie does not ask the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves nothing behind; the next one reads again.
    pub async fn session(&self) -> Result<Session, Error> {
        let open = || ActiveSession::open(&self.0.context, Freshness::Cached);
        self.0.session.get_or_try_init(open).await.cloned().map(|session| self.opened(session))
    }

    /// Like [`session`](Self::session), but the store itself is asked, where it has a cache in front
    /// of it: for routes on which even a moment counts, such as a change of password. Changes that
    /// this request made to the session before are lost.
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
