//! A session as an Express service sees it, for programs that need this view:
//! [`Session::raw`](crate::Session::raw).

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::active::ActiveSession;
pub use crate::cookie::Cookie;
use crate::cookie::JsValue;
use crate::error::{Error, ErrorKind};
use crate::js;
pub use crate::options::Unset;
use crate::state::Ending;
use crate::timestamp::{self, now_ms};

/// A session in the terms of express-session: JSON texts, names as JavaScript has them, single
/// attributes of the cookie, and the methods of express-session that a Rust service does not need.
///
/// [`Session::raw`](crate::Session::raw) returns it. A service that does not share sessions with
/// Express does not need it.
///
/// Names are bytes here: UTF-8 text, or WTF-8 for a name that holds lone surrogates, which JavaScript
/// permits.
///
/// ```
/// use tower_express_session::{Error, Session};
///
/// async fn as_json(session: Session) -> Result<String, Error> {
///     session.raw().insert_json("passport", r#"{"user":7}"#)?;
///     session.raw().to_json()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RawSession<'a>(pub(crate) &'a ActiveSession);

impl RawSession<'_> {
    /// Returns an attribute as the stored JSON text; `None` if the session has no attribute with
    /// this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// fn passport(session: &Session) -> Result<Option<String>, Error> {
    ///     // Passport stores an object: {"user":7}
    ///     session.raw().get_json("passport")
    /// }
    /// ```
    pub fn get_json(&self, name: impl AsRef<[u8]>) -> Result<Option<String>, Error> {
        Ok(self.0.state().record()?.attributes.get(name.as_ref()).map(str::to_owned))
    }

    /// Returns all attributes as one JSON object, without the cookie.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn to_json(&self) -> Result<String, Error> {
        Ok(self.0.state().record()?.attributes.to_object())
    }

    /// Sets an attribute to a JSON text, normalised as JavaScript would do: a number becomes a
    /// double.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if the text is not JSON; otherwise as
    /// [`Session::insert`](crate::Session::insert).
    pub fn insert_json(&self, name: impl AsRef<[u8]>, json: &str) -> Result<(), Error> {
        let json = parse(json)?;
        let json = Bytes::from(js::normalise(json.get()).json.into_owned());
        self.0.change(|attributes| attributes.set(name.as_ref(), json))
    }

    /// Removes an attribute: `delete req.session[name]`. Returns whether the attribute existed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`]; [`ErrorKind::Answered`].
    pub fn remove(&self, name: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.0.change(|attributes| Ok(attributes.remove(name.as_ref())))
    }

    /// Returns the session's current cookie: `req.session.cookie`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn cookie(&self) -> Result<Cookie, Error> {
        Ok(Cookie::clone(&self.0.state().record()?.cookie))
    }

    /// Returns the session's cookie as JSON, as it would be stored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn cookie_json(&self) -> Result<String, Error> {
        let mut json = Vec::new();
        self.0.state().record()?.cookie.write_json(&mut json);
        Ok(String::from_utf8(json).expect("the cookie's JSON is UTF-8"))
    }

    /// Sets one member of the cookie, `req.session.cookie[name] = value`. The value is JSON; a text for
    /// `expires` is read as a date.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if the text is not JSON; [`ErrorKind::Cookie`] if express-session's
    /// setter would throw, as for a `maxAge` that is not a number, and, outside the strict mode, if
    /// no browser would accept the cookie (so set `secure` before a value that requires it);
    /// [`ErrorKind::NoSession`]; [`ErrorKind::Answered`].
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// fn guard(session: &Session) -> Result<(), Error> {
    ///     session.raw().set_cookie_field("sameSite", r#""strict""#)?;
    ///     session.raw().set_cookie_field("priority", r#""high""#)
    /// }
    /// ```
    pub fn set_cookie_field(&self, name: &str, json: &str) -> Result<(), Error> {
        let value = match JsValue::from_json(parse(json)?.get()) {
            JsValue::Text(text) if name == "expires" => {
                JsValue::Date(timestamp::parse(&text).unwrap_or(f64::NAN))
            }
            value => value,
        };
        self.0.change_cookie(name, value)
    }

    /// Restarts the cookie's lifetime: `req.session.touch()`. The layer does so itself at the end
    /// of each request. The store is not called.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`]; [`ErrorKind::Answered`]; [`ErrorKind::Cookie`] if the stored lifetime
    /// is not a number.
    pub fn touch(&self) -> Result<(), Error> {
        self.0.state().record_mut()?.touch(now_ms())
    }

    /// Ends the session and continues with a new, empty one under a new id:
    /// `req.session.regenerate()`. For a login use [`Session::log_in`](crate::Session::log_in). To
    /// keep the data under a new id use [`Session::renew`](crate::Session::renew).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`]; [`ErrorKind::Answered`]; errors of the store, after which the
    /// session is unchanged. (In strict mode there is a new session even after an error, as in
    /// Express.)
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have deleted the old session.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn start_over(session: &Session) -> Result<(), Error> {
    ///     session.raw().regenerate().await?;
    ///     session.insert("flash", "a new session")
    /// }
    /// ```
    pub async fn regenerate(&self) -> Result<(), Error> {
        self.0.regenerate(None, Vec::new()).await
    }

    /// Detaches the session from the request: `req.session = null`. The layer's option
    /// [`unset`](crate::SessionLayerBuilder::unset) decides what happens to the stored session. The
    /// browser's cookie is cleared. After the response has started, this method has no effect.
    ///
    /// ```
    /// # use tower_express_session::Session;
    /// fn detach(session: &Session) {
    ///     session.raw().unset();
    ///     assert!(session.is_empty());
    /// }
    /// ```
    pub fn unset(&self) {
        let mut state = self.0.state();
        if state.check_open().is_ok() && state.record.take().is_some() {
            state.ending = Ending::Unset;
        }
    }
}

fn parse(json: &str) -> Result<&RawValue, Error> {
    serde_json::from_str(json).map_err(|cause| Error::new(ErrorKind::Encode, cause))
}
