//! The session that a handler holds.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::active::{self, ActiveSession};
use crate::cookie::JsValue;
use crate::detached::DetachedSession;
use crate::error::Error;
use crate::id::SessionId;
use crate::key::{Accepts, AttributeKey, AttributeName};
use crate::raw::RawSession;

/// A visitor's session: a set of named attributes that every service of the deployment shares.
///
/// `Session` is a cheap handle; clones share the session. Attributes are read and changed in
/// memory. The layer stores the changes after the handler has returned and before the response is
/// sent. Later changes, for example from a streaming body, fail with
/// [`ErrorKind::Answered`](crate::ErrorKind::Answered); use a [`DetachedSession`] there.
///
/// An attribute is any value that serde can write as JSON. Every method takes the name as a text or
/// as a typed [`Key`](crate::Key).
///
/// After [`log_out`](Self::log_out) the session has no attributes, and every method that returns a
/// `Result` fails with [`ErrorKind::NoSession`](crate::ErrorKind::NoSession).
///
/// ```
/// # use axum::{Router, body::Body, http::Request, routing::get};
/// # use tower::ServiceExt as _;
/// # use tower_express_session::{Error, MemoryStore, SessionLayer};
/// use tower_express_session::{Key, Session};
///
/// const CART: Key<Vec<String>> = Key::new("cart");
///
/// async fn visit(session: Session) -> Result<(), Error> {
///     session.insert("theme", "dark")?;
///     session.insert(CART, &vec!["tea".to_owned()])?;
///     assert_eq!(session.get::<String>("theme")?.as_deref(), Some("dark"));
///     assert_eq!(session.get(CART)?.unwrap_or_default(), ["tea"]);
///     assert_eq!(session.keys(), ["theme", "cart"]);
///
///     assert!(session.remove(CART)?);
///     assert!(!session.contains(CART));
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build().unwrap();
/// # let app: Router = Router::new().route("/", get(visit)).layer(layer);
/// # assert!(app.oneshot(Request::new(Body::empty())).await.unwrap().status() == 200);
/// # }
/// ```
#[derive(Clone)]
pub struct Session(pub(crate) ActiveSession);

impl Session {
    /// Returns the session's id. It is a secret: never log it and never show it. Use
    /// [`SessionId::handle`] to name the session in public.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.state().id.clone()
    }

    /// Returns an attribute; `None` if the session has no attribute with this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if it is not a `T`.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// # fn example(session: Session) -> Result<(), Error> {
    /// let user: Option<String> = session.get("user")?;
    /// let visits = session.get("visits")?.unwrap_or(0_u32);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: impl AttributeKey<T>) -> Result<Option<T>, Error> {
        self.0.get(key.as_name())
    }

    /// Returns whether the session has an attribute with this name.
    #[must_use]
    pub fn contains(&self, name: impl AttributeName) -> bool {
        self.0.state().has(name.as_name())
    }

    /// Returns the names of all attributes, in the order in which they are stored.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.0.state().names()
    }

    /// Returns whether the session has no attributes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys().is_empty()
    }

    /// Returns whether this request changed an attribute or the id of the session, or ended it.
    #[must_use]
    pub fn is_modified(&self) -> bool {
        self.0.state().is_modified()
    }

    /// Sets an attribute.
    ///
    /// Numbers are written as JavaScript writes them, because an Express service may read them:
    /// `1.0` as `1`. Setting an attribute to its current value is not a change.
    ///
    /// ```
    /// # use axum::{Router, body::Body, http::Request, routing::get};
    /// # use tower::ServiceExt as _;
    /// # use tower_express_session::{Error, MemoryStore, Session, SessionLayer};
    /// use tower_express_session::ErrorKind;
    ///
    /// async fn visit(session: Session) -> Result<(), Error> {
    ///     session.insert("price", &1.5)?;
    ///
    ///     let error = session.insert("id", "mine").unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::ReservedName);
    ///     let error = session.insert("big", &u64::MAX).unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::Encode);
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build().unwrap();
    /// # let app: Router = Router::new().route("/", get(visit)).layer(layer);
    /// # assert!(app.oneshot(Request::new(Body::empty())).await.unwrap().status() == 200);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReservedName`](crate::ErrorKind::ReservedName) for `cookie` and for names that
    /// Node would drop, such as `id`; [`ErrorKind::Encode`](crate::ErrorKind::Encode) if the value
    /// cannot be written as JSON, or contains an integer beyond 2^53 that JavaScript would round
    /// (store it as a string); [`ErrorKind::Answered`](crate::ErrorKind::Answered) after the
    /// response has started, as for every change.
    pub fn insert<V: Serialize + ?Sized>(
        &self,
        key: impl Accepts<V>,
        value: &V,
    ) -> Result<(), Error> {
        let json = active::encode(value)?;
        self.0.change(|attributes| attributes.set(key.as_name().as_bytes(), json))
    }

    /// Returns an attribute and removes it, for a message that is shown once.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn page(session: Session) -> Result<String, Error> {
    ///     Ok(session.take("flash")?.unwrap_or_else(|| "nothing new".to_owned()))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if it is not a `T`, in which case it is not
    /// removed; [`ErrorKind::Answered`](crate::ErrorKind::Answered).
    pub fn take<T: DeserializeOwned>(&self, key: impl AttributeKey<T>) -> Result<Option<T>, Error> {
        self.0.change(|attributes| {
            let name = key.as_name().as_bytes();
            let value = attributes.get(name).map(active::decode).transpose()?;
            attributes.remove(name);
            Ok(value)
        })
    }

    /// Removes an attribute. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Answered`](crate::ErrorKind::Answered).
    pub fn remove(&self, name: impl AttributeName) -> Result<bool, Error> {
        self.0.change(|attributes| Ok(attributes.remove(name.as_name().as_bytes())))
    }

    /// Removes all attributes. The session keeps its id and its cookie.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Answered`](crate::ErrorKind::Answered).
    pub fn clear(&self) -> Result<(), Error> {
        self.0.change(|attributes| {
            attributes.clear();
            Ok(())
        })
    }

    /// Changes one attribute of the stored session in one atomic step and returns the new value.
    ///
    /// `change` receives the attribute as it is stored and returns the new value. If another
    /// request has changed the session in the meantime, `change` is called again with the new
    /// stored value, so no change is lost. The session is stored at once, together with all earlier
    /// changes of this request.
    ///
    /// It needs one round trip if no other request writes the session at the same time. An Express
    /// service writes without comparing, so it can still overwrite the change.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn add_to_cart(session: Session) -> Result<String, Error> {
    ///     let items = session.update("items", |items: Option<u32>| items.unwrap_or(0) + 1).await?;
    ///     Ok(format!("{items} in your cart"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), [`insert`](Self::insert) and [`save`](Self::save). After an error the
    /// change is not in the session.
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

    /// Returns when the session expires in the store if it is not used again; `None` for a session
    /// that is not stored yet.
    ///
    /// This is the time as it was when the session was read or written last. A request that uses the
    /// session may move it on afterwards.
    ///
    /// ```
    /// # use tower_express_session::Session;
    /// fn seconds_left(session: &Session) -> Option<u64> {
    ///     let left = session.expires_at()?.duration_since(std::time::SystemTime::now());
    ///     Some(left.ok()?.as_secs())
    /// }
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        let ms = self.0.state().expires_ms()?;
        UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(ms / 1000.0).ok()?)
    }

    /// Sets the lifetime of the cookie, which starts now and restarts on each later use. With
    /// `None` the cookie lasts until the browser is closed. In Express this is
    /// `req.session.cookie.maxAge = ms`.
    ///
    /// As in express-session this alone does not count as a change of the session: without another
    /// change, only the time to live in the store changes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cookie`](crate::ErrorKind::Cookie) for more than 400 days, the maximum of
    /// browsers, outside the strict mode; [`ErrorKind::Answered`](crate::ErrorKind::Answered).
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// use std::time::Duration;
    ///
    /// async fn login(session: Session) -> Result<(), Error> {
    ///     session.log_in("al", &[]).await?;
    ///     // "Remember me" was ticked.
    ///     session.set_max_age(Some(Duration::from_secs(30 * 86_400)))
    /// }
    /// ```
    pub fn set_max_age(&self, max_age: Option<Duration>) -> Result<(), Error> {
        let value = max_age.map_or(JsValue::Null, |age| JsValue::Number(age.as_millis() as f64));
        self.0.change_cookie("maxAge", value)
    }

    /// Stores the session now instead of at the end of the request. This is seldom needed, because
    /// no response is sent before its session is stored.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn start_job(session: Session) -> Result<(), Error> {
    ///     session.insert("job", "running")?;
    ///     session.save().await?; // the worker finds the attribute in the store
    ///     // queue.send(session.id()).await
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) if the session ended elsewhere: nothing was
    /// stored, and for this request the session has ended, too.
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if other writers kept changing it.
    /// Errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have stored the session.
    pub async fn save(&self) -> Result<(), Error> {
        self.0.save_with(&mut |_| Ok(())).await
    }

    /// Reads the session from the store again, bypassing any cache. Changes of this request that
    /// were not saved are lost.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn result(session: Session) -> Result<String, Error> {
    ///     while session.get::<String>("job")?.as_deref() == Some("running") {
    ///         tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    ///         session.reload().await?;
    ///     }
    ///     Ok("done".to_owned())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) if the store has no such session;
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt); errors of the store. After an error the
    /// session is unchanged.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped changes nothing.
    pub async fn reload(&self) -> Result<(), Error> {
        self.0.reload().await
    }

    /// Returns the stored session for work that outlives the request, such as a WebSocket.
    /// [Save](Self::save) the session first if this request created it.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload).
    ///
    /// # Cancel safety
    ///
    /// As [`reload`](Self::reload).
    pub async fn detach(&self) -> Result<DetachedSession, Error> {
        let id = self.0.live_id()?;
        ActiveSession::load(self.0.context().clone(), id).await.map(DetachedSession)
    }

    /// Returns the session in the terms of express-session, for programs that need this view.
    #[must_use]
    pub fn raw(&self) -> RawSession<'_> {
        RawSession(&self.0)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
