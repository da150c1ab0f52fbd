//! A session for what outlives its request.

use std::sync::Arc;
use std::time::Duration;

use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::session::Session;
use crate::state::State;
use crate::store::Freshness;
use crate::timestamp::now_ms;

/// A stored session outside of a request, for a stream of server-sent events or a socket.
///
/// It is a [`Session`] of its own, taken from the store when it was made: [`session`](Self::session)
/// gives it. Nothing of it is stored by itself; [`Session::save`] and [`Session::update`] do.
///
/// ```
/// # use tower_express_session::{Error, Session};
/// use std::time::Duration;
///
/// async fn follow(session: Session) -> Result<(), Error> {
///     let session = session.detach().await?;
///     tokio::spawn(async move {
///         tokio::select! {
///             () = session.ended(Duration::from_secs(1)) => {} // close the socket
///             result = talk(session.session()) => drop(result),
///         }
///     });
///     Ok(())
/// }
///
/// async fn talk(session: &Session) -> Result<(), Error> {
///     loop {
///         tokio::time::sleep(Duration::from_secs(60)).await; // or: the next message
///         session.update("messages", |count: Option<u32>| count.unwrap_or(0) + 1).await?;
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct DetachedSession {
    context: Arc<Context>,
    id: SessionId,
    session: Session,
}

impl DetachedSession {
    pub(crate) async fn open(context: Arc<Context>, id: SessionId) -> Result<Self, Error> {
        let loaded = context.load(&id, Freshness::Latest).await?;
        let (stored, record) = loaded.ok_or(ErrorKind::Gone)?;
        let state = State::loaded(id.clone(), stored, record, false);
        Ok(Self { session: Session::new(Arc::clone(&context), state), context, id })
    }

    /// The session, to read and change, as it was when it was detached, saved or last
    /// [reloaded](Session::reload).
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Starts the session's time in the store again, as a request would that uses it, and at once.
    /// Once every few minutes is plenty for a socket that is in use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session has ended; errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have done it.
    pub async fn touch(&self) -> Result<(), Error> {
        self.session.touch()?;
        let cookie = self.session.cookie()?;
        let ttl = cookie.time_to_live(now_ms(), self.context.options().ttl);
        match self.context.touch(&self.id, ttl.ok_or(ErrorKind::Gone)?).await? {
            true => Ok(()),
            false => Err(ErrorKind::Gone.into()),
        }
    }

    /// Returns when the session has ended, wherever: destroyed, regenerated or over.
    ///
    /// Looks every `period` (a second is plenty), which costs nothing but a look at memory where the
    /// store has a cache. It does not keep the session alive, and a store that is away is no end.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves nothing behind.
    pub async fn ended(&self, period: Duration) {
        loop {
            if matches!(self.context.is_stored(&self.id).await, Ok(false)) {
                return;
            }
            tokio::time::sleep(period).await;
        }
    }
}
