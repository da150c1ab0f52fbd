//! The bodies of requests to the service.

use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::proofs::{NewPasskey, PasskeyAnswer};
use crate::domain::{Email, MAX_PASSWORD_BYTES};
use crate::input::{DisplayName, Documented, Given, Input, KnownEmail, body};
use crate::passwords::{self, DEFAULT_MIN_CHARS};
use crate::second_factor::Code;

body! {
    /// The e-mail address and the password of an account.
    pub(super) struct LoginBody {
        email "email": KnownEmail, example "al.appelhof@example.com";
        password "password": GivenPassword, example "secret123";
    }
}

body! {
    /// A new account.
    pub(super) struct NewAccountBody {
        first_name "firstName": DisplayName;
        last_name "lastName": DisplayName;
        email "email": Email, example "new@example.com";
        password "password": NewPassword;
    }
}

body! {
    /// The token of a message, and the password of the registration.
    pub(super) struct ConfirmRegistrationBody {
        /// The token of the link in the message
        token "token": Token;
        /// The password that was sent with the registration
        password "password": GivenPassword;
    }
}

body! {
    /// The current password of the account, and the new one.
    pub(super) struct PasswordBody {
        current "currentPassword": GivenPassword;
        new "newPassword": NewPassword;
        /// A code of the second factor, if the account has one
        code "code": Option<Code>, example "123456";
        /// The answer of a passkey to the last challenge, in place of a code
        passkey "passkey": Option<PasskeyAnswer>;
    }
}

body! {
    /// The e-mail address of an account whose password is forgotten.
    pub(super) struct ForgottenBody {
        email "email": KnownEmail, example "al.appelhof@example.com";
    }
}

body! {
    /// The token of a message, and a new password.
    pub(super) struct ResetBody {
        /// The token of the link in the message
        token "token": Token;
        new "newPassword": NewPassword;
        /// A code of the second factor, if the account has one
        code "code": Option<Code>, example "123456";
        /// The answer of a passkey to the last challenge, in place of a code
        passkey "passkey": Option<PasskeyAnswer>;
    }
}

body! {
    /// The second factor of a pending login.
    pub(super) struct SecondLoginBody {
        /// The token that `POST /login` returned
        pending_login "pendingLogin": Token;
        /// A code of the authenticator app, or a recovery code
        code "code": Option<Code>, example "123456";
        /// The answer of a passkey to the last challenge, in place of a code
        passkey "passkey": Option<PasskeyAnswer>;
    }
}

body! {
    /// A pending login.
    pub(super) struct PendingLoginBody {
        /// The token that `POST /login` returned
        pending_login "pendingLogin": Token;
    }
}

body! {
    /// The token of a message about a forgotten password.
    pub(super) struct ResetTokenBody {
        /// The token of the link in the message
        token "token": Token;
    }
}

body! {
    /// A new passkey, which answers the challenge.
    pub(super) struct NewPasskeyBody {
        /// A name by which you recognize it
        name "name": DisplayName, example "my phone";
        passkey "passkey": NewPasskey;
    }
}

body! {
    /// The current password of the account, before a change of its second factor or its deletion.
    pub(super) struct ConfirmationBody {
        current "currentPassword": GivenPassword;
        /// A code of the second factor, if the account has one
        code "code": Option<Code>, example "123456";
        /// The answer of a passkey to the last challenge, in place of a code
        passkey "passkey": Option<PasskeyAnswer>;
    }
}

body! {
    /// A code of a new authenticator app.
    pub(super) struct TotpCodeBody {
        /// The six digits that the app shows
        code "code": Code, example "123456";
    }
}

/// The token of a pending login or of a message, which may be over.
pub(super) struct Token(pub(super) String);

/// A password to compare.
pub(super) struct GivenPassword(pub(super) String);

/// A password to set. Whether it may be one depends on its owner and on settings, which the use case knows.
pub(super) struct NewPassword(pub(super) String);

impl Input for GivenPassword {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        passwords::plausible(given.text()?.to_owned()).map(Self)
    }
}

impl Input for NewPassword {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        passwords::plausible(given.text()?.to_owned()).map(Self)
    }
}

impl Input for Token {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text().map(|text| Self(text.to_owned()))
    }
}

impl Documented for Token {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::String)
    }
}

impl Input for Code {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text()?.parse().map_err(str::to_owned)
    }
}

impl Documented for Code {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(6)).max_length(Some(64))
    }
}

impl Documented for GivenPassword {
    fn schema() -> ObjectBuilder {
        texts(1)
    }
}

impl Documented for NewPassword {
    fn schema() -> ObjectBuilder {
        texts(DEFAULT_MIN_CHARS)
    }
}

fn texts(min_length: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(min_length))
        .max_length(Some(MAX_PASSWORD_BYTES))
}
