//! What the routes of the authentication service take, for the document.

use utoipa::ToSchema;

/// An account's address and password.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes a body, which `Login` reads")]
pub(super) struct LoginBody {
    #[schema(
        max_length = 254,
        pattern = r"^[^@\s]+@[^@\s]+$",
        example = "al.appelhof@example.com"
    )]
    email: String,
    #[schema(min_length = 1, max_length = 512, example = "secret123")]
    password: String,
}

/// A new account.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "describes a body, which `NewAccount` reads")]
pub(super) struct NewAccountBody {
    #[schema(min_length = 1, max_length = 100)]
    first_name: String,
    #[schema(min_length = 1, max_length = 100)]
    last_name: String,
    #[schema(max_length = 254, pattern = r"^[^@\s]+@[^@\s]+$", example = "new@example.com")]
    email: String,
    #[schema(min_length = 8, max_length = 512)]
    password: String,
}

/// The password that the account has, and the one that it gets.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "describes a body, which `PasswordChange` reads")]
pub(super) struct PasswordBody {
    #[schema(min_length = 1, max_length = 512)]
    current_password: String,
    #[schema(min_length = 8, max_length = 512)]
    new_password: String,
}
