//! A session for work that outlives its request.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::active::ActiveSession;
use crate::error::Error;
use crate::id::SessionId;
use crate::key::{AttributeKey, AttributeName};

/// A stored session outside of a request, for a WebSocket, a stream of server-sent events or a job.
///
/// [`Session::detach`](crate::Session::detach) returns it. The attributes are those from when the
/// session was detached, updated or last [reloaded](Self::reload). Only [`update`](Self::update)
/// changes the session, and stores the change at once.
///
/// Holding a `DetachedSession` does not keep the session alive; [`keep_alive`](Self::keep_alive)
/// does.
///
/// ```
/// # use tower_express_session::{DetachedSession, Error, Session};
/// use std::time::Duration;
///
/// async fn follow(session: Session) -> Result<(), Error> {
///     let session = session.detach().await?;
///     tokio::spawn(async move {
///         tokio::select! {
///             () = session.ended(Duration::from_secs(1)) => {} // logged out: close the socket
///             result = talk(&session) => drop(result),
///         }
///     });
///     Ok(())
/// }
///
/// async fn talk(session: &DetachedSession) -> Result<(), Error> {
///     loop {
///         tokio::time::sleep(Duration::from_secs(60)).await; // or: the next message
///         session.update("messages", |count: Option<u32>| count.unwrap_or(0) + 1).await?;
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct DetachedSession(pub(crate) ActiveSession);

impl DetachedSession {
    /// Returns the session's id. It is a secret, as [`Session::id`](crate::Session::id) says.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.state().id.clone()
    }

    /// Returns an attribute; `None` if the session has no attribute with this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: impl AttributeKey<T>) -> Result<Option<T>, Error> {
        self.0.get(key.as_name())
    }

    /// Returns whether the session has an attribute with this name.
    #[must_use]
    pub fn contains(&self, name: impl AttributeName) -> bool {
        self.0.state().has(name.as_name())
    }

    /// Changes one attribute of the stored session in one atomic step, as
    /// [`Session::update`](crate::Session::update) does. Returns the new value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) if the session has ended; otherwise as
    /// [`Session::update`](crate::Session::update).
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have stored the change.
    pub async fn update<T>(
        &self,
        key: impl AttributeKey<T>,
        change: impl FnMut(Option<T>) -> T + Send,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Send,
    {
        let name = key.as_name().to_owned();
        drop(key);
        self.0.update(&name, change).await
    }

    /// Reads the session again from the store, bypassing any cache.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) if the session has ended; errors of the store.
    /// After an error the attributes are unchanged.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped changes nothing.
    pub async fn reload(&self) -> Result<(), Error> {
        self.0.reload().await
    }

    /// Restarts the session's time to live in the store now, like a request that uses the session.
    /// For an open socket, one call every few minutes is enough.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) if the session has ended; errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have taken effect.
    ///
    /// ```
    /// # use tower_express_session::{DetachedSession, Error};
    /// async fn pings(session: DetachedSession) -> Result<(), Error> {
    ///     loop {
    ///         tokio::time::sleep(std::time::Duration::from_secs(300)).await; // or: the next ping
    ///         session.keep_alive().await?;
    ///     }
    /// }
    /// ```
    pub async fn keep_alive(&self) -> Result<(), Error> {
        self.0.keep_alive().await
    }

    /// Waits until the session has ended: by a logout, a new id, revocation or expiry.
    ///
    /// Reads the session every `period`. One second is a good choice; with a cache in front of the store
    /// most of these reads cost nothing. Reading does not keep the session alive, and an unavailable
    /// store does not count as the end.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped changes nothing.
    pub async fn ended(&self, period: Duration) {
        self.0.ended(period).await;
    }
}
