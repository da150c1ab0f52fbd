//! Login, logout and renewal: the session gets a new id, or ends.

use bytes::Bytes;
use serde::Serialize;

use crate::active;
use crate::error::Error;
use crate::key::AttributeName;
use crate::session::Session;

impl Session {
    /// Logs an account in: ends the session that the request began with and continues under a new
    /// id, with the account and with the attributes that `keep` names, as texts or as
    /// [`Key`](crate::Key)s.
    ///
    /// The account is stored in the attribute that
    /// [`account_sessions`](crate::SessionLayerBuilder::account_sessions) names; by default `user`.
    ///
    /// Call it at every login. If the id stayed the same, an attacker who had planted the cookie of
    /// their own session in the visitor's browser would be logged in together with the visitor
    /// (session fixation).
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn login(session: Session) -> Result<&'static str, Error> {
    ///     // The password was right.
    ///     session.log_in("al@example.com", &[&"cart"]).await?;
    ///     session.insert("flash", "welcome back")?;
    ///     Ok("OK")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); errors of the store. After an error the session is unchanged.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have ended the old session, so that its cookie is no longer
    /// valid.
    pub async fn log_in(
        &self,
        account: &(impl Serialize + ?Sized),
        keep: &[&dyn AttributeName],
    ) -> Result<(), Error> {
        let account = active::encode(account)?;
        self.log_in_with(account, keep, None).await
    }

    /// Logs an account in, as [`log_in`](Self::log_in) does, and also stores the session's
    /// [`epoch`](Self::epoch), a number that never changes and is not an attribute.
    ///
    /// Use it to revoke an account's sessions reliably. Give the account a counter, and raise the
    /// counter in the same transaction that changes the password. A login reads the counter
    /// together with the password's hash and passes it to this method. Reject a session whose epoch
    /// is lower than the counter: it was opened with an old password, even if it was stored after
    /// the change.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// # struct Account { name: String, epoch: u64 }
    /// async fn login(session: Session, account: Account) -> Result<(), Error> {
    ///     session.log_in_at_epoch(&account.name, &[], account.epoch).await
    /// }
    ///
    /// fn is_revoked(session: &Session, account: &Account) -> bool {
    ///     session.epoch().is_some_and(|epoch| epoch < account.epoch)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`log_in`](Self::log_in).
    ///
    /// # Cancel safety
    ///
    /// As [`log_in`](Self::log_in).
    pub async fn log_in_at_epoch(
        &self,
        account: &(impl Serialize + ?Sized),
        keep: &[&dyn AttributeName],
        epoch: u64,
    ) -> Result<(), Error> {
        let account = active::encode(account)?;
        self.log_in_with(account, keep, Some(epoch)).await
    }

    async fn log_in_with(
        &self,
        account: Bytes,
        keep: &[&dyn AttributeName],
        epoch: Option<u64>,
    ) -> Result<(), Error> {
        let mut attributes = Vec::new();
        {
            let state = self.0.state();
            let record = state.record()?;
            for name in keep {
                let name = name.as_name();
                let value = record.attributes.raw(name.as_bytes()).cloned();
                attributes.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        attributes.push((self.0.context().options().account_attribute.clone(), account));
        self.0.regenerate(epoch, attributes).await
    }

    /// Logs out: deletes the session from the store. The response clears the cookie.
    ///
    /// Other requests of the same session that are still in progress cannot restore it. In Express
    /// this is `req.session.destroy()`, which does not clear the cookie.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn logout(session: Session) -> Result<&'static str, Error> {
    ///     session.log_out().await?;
    ///     Ok("bye")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`](crate::ErrorKind::NoSession) if it has ended already;
    /// [`ErrorKind::Answered`](crate::ErrorKind::Answered); errors of the store. For this request
    /// the session has ended even if there is an error.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have deleted the stored session.
    pub async fn log_out(&self) -> Result<(), Error> {
        self.0.destroy().await
    }

    /// Gives the session a new id and keeps its data. Use it when a visitor gains rights without a
    /// login, for example after a second factor.
    ///
    /// The session is stored under the new id at once, with the changes that other requests have
    /// stored meanwhile, and the old id is no longer valid. If the session is revoked at the same
    /// time, it ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone) if the session ended elsewhere;
    /// [`ErrorKind::Answered`](crate::ErrorKind::Answered); errors of the store, after which the
    /// session continues under its old id.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have stored the session under a new id that no cookie has, and
    /// may have ended the session under the old id.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn second_factor(session: Session) -> Result<(), Error> {
    ///     session.insert("mfa", &true)?;
    ///     session.renew().await
    /// }
    /// ```
    pub async fn renew(&self) -> Result<(), Error> {
        self.0.renew().await
    }

    /// Returns the epoch that the session was [created with](Self::log_in_at_epoch); `None` if it
    /// has none, like a session that an Express service created.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.0.state().epoch
    }
}
