//! The command `checkin users`.

use std::io::{self, BufRead, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use futures_util::future::join_all;
use serde::Serialize;

use super::account::AccountArgument;
use super::account_changes::{complete, say_ended, set_role, set_status};
use super::one_shot::{on_new_store, on_store};
use super::password_rules::PasswordRules;
use super::table::{List, Listed};
use super::{say, second_factor};
use crate::app::App;
use crate::config::Common;
use crate::domain::{Email, LocationId, PasswordHash, User, text};
use crate::passwords::{self, Owner, PasswordPolicy};
use crate::storage::{
    AccountChange, Budget, EventKind, NewUser, Registered, Role, Standing, Status,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin users add al@example.com --first-name Al --last-name Appelhof
  checkin users list
  checkin users passwd al@example.com
  checkin users disable 77";

const ADD_EXAMPLES: &str = "\
Examples:
  checkin users add al@example.com --first-name Al --last-name Appelhof
  checkin users add al@example.com --first-name Al --last-name Appelhof --role operator
  checkin users add al@example.com --first-name Al --last-name Appelhof --password-stdin < password.txt";

const PASSWD_EXAMPLES: &str = "\
Examples:
  checkin users passwd al@example.com
  checkin users passwd 77 --password-stdin < password.txt";

const ROLE_EXAMPLES: &str = "\
Examples:
  checkin users role al@example.com operator
  checkin users role 77 user";

const DISABLE_EXAMPLES: &str = "\
Examples:
  checkin users disable al@example.com
  checkin users disable 77";

const ENABLE_EXAMPLES: &str = "\
Examples:
  checkin users enable al@example.com
  checkin users enable 77";

const DELETE_EXAMPLES: &str = "\
Examples:
  checkin users delete al@example.com
  checkin users delete 77";

const LIST_EXAMPLES: &str = "\
Examples:
  checkin users list
  checkin users list --json";

/// The number of accounts that are read at once.
const PAGE: usize = 500;

/// The maximum length of a line that is read as a password. It is longer than any password that is
/// accepted.
const MAX_LINE_BYTES: u64 = 16 * 1024;

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Adds an account, with the next free id
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The e-mail address to log in with. It must not belong to an existing account
        #[arg(value_name = "EMAIL", value_parser = email)]
        email: Email,

        /// The first name
        #[arg(long, value_name = "NAME", value_parser = name)]
        first_name: String,

        /// The last name
        #[arg(long, value_name = "NAME", value_parser = name)]
        last_name: String,

        /// The role: user, or operator, which may also end the sessions of other accounts, disable them and
        /// enable them
        #[arg(long, value_name = "ROLE", default_value_t)]
        role: Role,

        #[command(flatten)]
        source: PasswordSource,
    },
    /// Sets a new password, ends all sessions of the account, and forgets wrong passwords
    #[command(after_help = PASSWD_EXAMPLES)]
    Passwd {
        /// The id or the e-mail address of the account
        #[arg(value_name = "ID|EMAIL")]
        account: AccountArgument,

        #[command(flatten)]
        source: PasswordSource,
    },
    /// Shows or removes the second factor of an account
    #[command(after_help = second_factor::EXAMPLES)]
    SecondFactor {
        #[command(subcommand)]
        action: second_factor::Action,
    },
    /// Changes the role of an account and ends all of its sessions
    #[command(after_help = ROLE_EXAMPLES)]
    Role {
        /// The id or the e-mail address of the account
        #[arg(value_name = "ID|EMAIL")]
        account: AccountArgument,

        /// The role: user, or operator, which may also end the sessions of other accounts, disable them and
        /// enable them
        #[arg(value_name = "ROLE")]
        role: Role,
    },
    /// Disables an account and ends all of its sessions. Nobody can log in to it until it is enabled
    #[command(after_help = DISABLE_EXAMPLES)]
    Disable {
        /// The id or the e-mail address of the account
        #[arg(value_name = "ID|EMAIL")]
        account: AccountArgument,
    },
    /// Enables an account that was disabled
    #[command(after_help = ENABLE_EXAMPLES)]
    Enable {
        /// The id or the e-mail address of the account
        #[arg(value_name = "ID|EMAIL")]
        account: AccountArgument,
    },
    /// Deletes an account for good: ends all of its sessions, deletes its check-ins and their share of the
    /// figures, and erases its name, its address, its password and its role
    #[command(after_help = DELETE_EXAMPLES)]
    Delete {
        /// The id or the e-mail address of the account
        #[arg(value_name = "ID|EMAIL")]
        account: AccountArgument,
    },
    /// Lists all accounts, in the order of their ids
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Prints one JSON object per line
        #[arg(long)]
        json: bool,
    },
}

/// The source of a new password. It is never an argument, because all users of the machine can see
/// arguments.
#[derive(Args, Clone, Copy, Debug)]
struct PasswordSource {
    /// Reads the password from the first line of standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,

    #[command(flatten)]
    rules: PasswordRules,
}

fn email(text: &str) -> Result<Email, String> {
    text.parse::<Email>().map_err(|rule| rule.to_string())
}

fn name(text: &str) -> Result<String, String> {
    let checked = text::check_line(text, text::MAX_NAME_CHARS);
    checked.map(|()| text.to_owned()).map_err(|rule| rule.to_string())
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    match options.action {
        Action::Add { email, first_name, last_name, role, source } => {
            let (text, policy) = (source.password()?, source.rules.policy());
            let owner = Owner { first_name: &first_name, last_name: &last_name, email: &email };
            let password = hashed(policy, &text, owner)?;
            let new = NewUser { first_name, last_name, email, password };
            on_new_store(config, async |app| add(app, new, role).await).await
        }
        Action::Passwd { account, source } => {
            let (new, policy) = (source.password()?, source.rules.policy());
            on_store(config, async |app| passwd(app, &account, policy, &new).await).await
        }
        Action::SecondFactor { action } => {
            on_store(config, async |app| second_factor::run(app, action).await).await
        }
        Action::Role { account, role } => {
            on_store(config, async |app| set_role(app, &account, role).await).await
        }
        Action::Disable { account } => status(config, account, Status::Disabled).await,
        Action::Enable { account } => status(config, account, Status::Active).await,
        Action::Delete { account } => status(config, account, Status::Deleted).await,
        Action::List { json } => on_store(config, async |app| list(app, json).await).await,
    }
}

async fn status(
    config: &Common,
    account: AccountArgument,
    status: Status,
) -> anyhow::Result<ExitCode> {
    on_store(config, async |app| set_status(app, &account, status).await).await
}

async fn add(app: &App, new: NewUser, role: Role) -> anyhow::Result<ExitCode> {
    match app.storage.register(new).await.context("cannot add the account")? {
        Registered::Opened(user) => {
            let log = app.operators_log("users add");
            log.record(EventKind::AccountOpened, Some(user.id), None, None).await;
            if role != Role::default() {
                let change =
                    app.storage.change_account(user.id, None, AccountChange::Role(role)).await;
                change.with_context(|| {
                    format!("user {} is added without the role; use checkin users role", user.id)
                })?;
                log.record(EventKind::RoleChanged, Some(user.id), None, Some(role.to_string()))
                    .await;
            }
            say(format_args!("user {} added", user.id))?;
        }
        Registered::EmailTaken => bail!("EMAIL must not belong to an existing account"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Changes the password before it ends the sessions: a session that is opened with the old password
/// in the meantime is refused because of its epoch.
async fn passwd(
    app: &App,
    account: &AccountArgument,
    policy: PasswordPolicy,
    new: &str,
) -> anyhow::Result<ExitCode> {
    let user = account.find(&*app.storage).await?;
    let name = app.storage.name(user.id).await.context("cannot read the account")?;
    let (first_name, last_name) =
        name.as_ref().map_or(("", ""), |name| (name.first.as_str(), name.last.as_str()));
    let new = hashed(policy, new, Owner { first_name, last_name, email: &user.email })?;
    let change = app.storage.change_password(user.id, None, &new);
    let ended = app.end_sessions(&user, change).await.context("cannot change the password")?;
    let log = app.operators_log("users passwd");
    log.record(EventKind::PasswordChanged, Some(user.id), None, None).await;
    // The owner must not have to wait because of what others tried before.
    let forgotten = app.storage.forget_attempts(&Budget::of_account(&user.email)).await;
    forgotten.context(
        "the password is changed, but wrong passwords from before still delay logins; run it again",
    )?;
    say_ended(format_args!("password of user {} changed, ", user.id), &ended)?;
    complete(ended, format_args!("checkin sessions revoke --user {}", user.id))
}

async fn list(app: &App, json: bool) -> anyhow::Result<ExitCode> {
    let (mut list, mut after) = (List::new(json), None);
    loop {
        let page =
            app.storage.users_after(after, PAGE).await.context("cannot read the accounts")?;
        let Some(last) = page.last() else {
            list.finish::<Account<'_>>(None)?;
            return Ok(ExitCode::SUCCESS);
        };
        after = Some(last.id);
        let standings = join_all(page.iter().map(|user| app.storage.standing(user.id))).await;
        for (user, standing) in page.iter().zip(standings) {
            let standing = standing.context("cannot read the accounts")?;
            list.push(&Account::new(user, &standing))?;
        }
    }
}

impl PasswordSource {
    fn password(self) -> anyhow::Result<String> {
        if self.password_stdin { first_line() } else { typed_twice() }
    }
}

/// Returns the hash of a new password.
fn hashed(policy: PasswordPolicy, text: &str, owner: Owner<'_>) -> anyhow::Result<PasswordHash> {
    match policy.check(text, owner) {
        Ok(()) => Ok(passwords::hash(text)),
        Err(rule) => bail!("the password {rule}"),
    }
}

fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    let cannot = "cannot read the password from standard input; it must be UTF-8 text";
    io::stdin().lock().take(MAX_LINE_BYTES).read_line(&mut line).context(cannot)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn typed_twice() -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask for the password; use --password-stdin");
    }
    let ask = |prompt| rpassword::prompt_password(prompt).context("cannot read the password");
    let password = ask("New password: ")?;
    if ask("Repeat the new password: ")? != password {
        bail!("the two passwords must be the same");
    }
    Ok(password)
}

/// An account in a list, without its password.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Account<'a> {
    id: u64,
    first_name: &'a str,
    last_name: &'a str,
    email: &'a str,
    num_checkins: u64,
    last_checkin: Option<u64>,
    last_seen_at: Option<u64>,
    role: &'static str,
    status: &'static str,
}

impl<'a> Account<'a> {
    fn new(user: &'a User, standing: &Standing) -> Self {
        Self {
            id: user.id.get(),
            first_name: &user.first_name,
            last_name: &user.last_name,
            email: user.email.as_str(),
            num_checkins: user.num_checkins,
            last_checkin: user.last_checkin,
            last_seen_at: user.last_seen_at.map(LocationId::get),
            role: standing.role.as_str(),
            status: standing.status.as_str(),
        }
    }
}

impl Listed for Account<'_> {
    const COLUMNS: &'static [&'static str] = &["id", "e-mail", "role", "status", "name"];

    fn cells(&self) -> Vec<String> {
        let name = format!("{} {}", self.first_name, self.last_name);
        vec![self.id.to_string(), self.email.into(), self.role.into(), self.status.into(), name]
    }
}
