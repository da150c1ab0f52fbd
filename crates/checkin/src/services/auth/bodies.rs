//! The bodies of requests to the service.

use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::domain::{Email, MAX_PASSWORD_BYTES};
use crate::input::{DisplayName, Documented, Given, Input, KnownEmail, body};
use crate::passwords::{self, DEFAULT_MIN_CHARS};

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
    /// The current password of the account, and the new one.
    pub(super) struct PasswordBody {
        current "currentPassword": GivenPassword;
        new "newPassword": NewPassword;
    }
}

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
