//! Accounts in SQLite.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Params, Row, params};

use super::standing::{admitting, raise, read_standing, standing, standing_of_existing};
use super::{SqliteStorage, column, private};
use checkin_domain::{Email, MAX_SAFE_INTEGER, Name, PasswordHash, User, UserId};
use checkin_storage::{
    AccountChange, Admitted, Credentials, NewEpoch, NewUser, Registered, Result, Standing, Status,
    Users,
};

pub(super) const COLUMNS: &str =
    "id, first_name, last_name, email, password, num_checkins, last_checkin, last_seen_at";

#[async_trait]
impl Users for SqliteStorage {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        let number = column::number(id.get());
        let read = self.file.look_up(move |connection| by_id(connection, number)).await;
        self.file.reports.logged(format_args!("users {id}"), read)
    }

    async fn user_with_standing(&self, id: UserId) -> Result<Option<(User, Standing)>> {
        let number = column::number(id.get());
        let read = move |connection: &Connection| {
            let sql = format!(
                "SELECT {COLUMNS}, epoch, kept, status, role FROM users
                 LEFT JOIN account_standings ON user_id = id WHERE id = ?1"
            );
            let both = |row: &Row<'_>| Ok((user(row)?, read_standing(row, 8)?));
            connection.prepare_cached(&sql)?.query_row([number], both).optional()
        };
        let read = self.file.look_up(read).await;
        self.file.reports.logged(format_args!("users {id}"), read)
    }

    async fn user_by_email(&self, email: &Email) -> Result<Option<User>> {
        let keys = email.index_keys();
        let read = move |connection: &Connection| {
            of_first(&keys, |key| one(connection, "email_canonical = ?1", [key]))
        };
        let read = self.file.look_up(read).await;
        self.file.reports.logged("a user, by email", read)
    }

    async fn register(&self, new: NewUser) -> Result<Registered> {
        self.file.write(move |connection| register(connection, new)).await
    }

    async fn name(&self, id: UserId) -> Result<Option<Name>> {
        let read = self.file.look_up(move |connection| name(connection, id)).await;
        self.file.reports.logged(format_args!("users {id}"), read)
    }

    async fn names(&self, ids: &[UserId]) -> Result<HashMap<UserId, Name>> {
        let ids: HashSet<UserId> = ids.iter().copied().collect();
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let mut names = HashMap::new();
            for &id in &ids {
                let read = name(connection, id).transpose();
                let label = || format!("users {id}");
                let name = read.map(|read| column::readable(&reports, label, read)).transpose()?;
                names.extend(name.flatten().map(|name| (id, name)));
            }
            Ok(names)
        };
        self.file.look_up(read).await
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>> {
        let number = column::number(id.get());
        let read = move |connection: &Connection| account(connection, "id = ?1", [number]);
        let read = self.file.look_up(read).await;
        self.file.reports.logged(format_args!("users {id}"), read)
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>> {
        let keys = email.index_keys();
        let read = move |connection: &Connection| {
            of_first(&keys, |key| account(connection, "email_canonical = ?1", [key]))
        };
        let read = self.file.look_up(read).await;
        self.file.reports.logged("a user, by email", read)
    }

    async fn standing(&self, id: UserId) -> Result<Standing> {
        let number = column::number(id.get());
        self.file.look_up(move |connection| standing(connection, number)).await
    }

    async fn raise_epoch(&self, id: UserId, by: Option<&Admitted>) -> Result<Option<NewEpoch>> {
        let (number, by) = (column::number(id.get()), by.cloned());
        let write = move |connection: &Connection| {
            let now = admitting(connection, number, by.as_ref())?;
            let Some(now) = now else { return Ok(None) };
            let kept = by.and_then(|by| by.handle);
            raise(connection, number, &Standing { kept, ..now }).map(Some)
        };
        self.file.write(write).await
    }

    async fn change_password(
        &self,
        id: UserId,
        by: Option<&Admitted>,
        new: &PasswordHash,
    ) -> Result<Option<NewEpoch>> {
        let (number, by, new) = (column::number(id.get()), by.cloned(), new.clone());
        let write = move |connection: &Connection| {
            let now = admitting(connection, number, by.as_ref())?;
            let Some(now) = now.filter(|now| now.status != Status::Deleted) else {
                return Ok(None);
            };
            let sql = "UPDATE accounts SET password = ?2 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute(params![number, new.as_str()])?;
            raise(connection, number, &Standing { kept: None, ..now }).map(Some)
        };
        self.file.write(write).await
    }

    async fn renew_password(
        &self,
        id: UserId,
        expected: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        let (number, expected, new) = (column::number(id.get()), expected.clone(), new.clone());
        let write = move |connection: &Connection| {
            let sql = "UPDATE accounts SET password = ?3 WHERE id = ?1 AND password = ?2";
            let words = params![number, expected.as_str(), new.as_str()];
            Ok(standing(connection, number)?.is_active()
                && connection.prepare_cached(sql)?.execute(words)? == 1)
        };
        self.file.write(write).await
    }

    async fn change_account(
        &self,
        id: UserId,
        by: Option<&Admitted>,
        change: AccountChange,
    ) -> Result<Option<NewEpoch>> {
        let (number, by) = (column::number(id.get()), by.cloned());
        let write = move |connection: &Connection| {
            let now = admitting(connection, number, by.as_ref())?;
            let Some(now) = now.filter(|now| now.status != Status::Deleted) else {
                return Ok(None);
            };
            let new = match change {
                AccountChange::Status(status) => Standing { status, ..now.clone() },
                AccountChange::Role(role) => Standing { role, ..now.clone() },
            };
            match new == now {
                true => Ok(None),
                false => raise(connection, number, &Standing { kept: None, ..new }).map(Some),
            }
        };
        self.file.write(write).await
    }

    async fn erase(&self, id: UserId) -> Result<bool> {
        self.file.write(move |connection| erase(connection, id)).await
    }

    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>> {
        let after = after.map_or(0, |id| column::number(id.get()));
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let sql = format!("SELECT {COLUMNS} FROM users WHERE id > ?1 ORDER BY id");
            let mut statement = connection.prepare_cached(&sql)?;
            column::readable_rows(&reports, "users", &mut statement, [after], limit, user)
        };
        self.file.read(read).await
    }
}

fn erase(connection: &Connection, id: UserId) -> rusqlite::Result<bool> {
    let number = column::number(id.get());
    let now = standing_of_existing(connection, number)?;
    if now.is_none_or(|now| now.status != Status::Deleted) {
        return Ok(false);
    }
    let NewUser { first_name, last_name, email, password } = NewUser::erased(id);
    // Without an @, the form in which addresses are compared is that of no address.
    let sql = "UPDATE accounts SET first_name = ?2, last_name = ?3, email = ?4,
                   email_canonical = 'deleted-' || id, password = ?5 WHERE id = ?1";
    let words = params![number, first_name, last_name, email.as_str(), password.as_str()];
    connection.prepare_cached(sql)?.execute(words)?;
    let sql = "UPDATE account_standings SET kept = NULL, role = NULL WHERE user_id = ?1";
    connection.prepare_cached(sql)?.execute([number])?;
    for table in ["second_factors", "account_privacy"] {
        let sql = format!("DELETE FROM {table} WHERE user_id = ?1");
        connection.prepare_cached(&sql)?.execute([number])?;
    }
    let sql = "UPDATE checkins SET comment = NULL WHERE user_id = ?1 AND comment IS NOT NULL";
    connection.prepare_cached(sql)?.execute([number])?;
    private::erase(connection, number)?;
    Ok(true)
}

fn register(connection: &Connection, new: NewUser) -> rusqlite::Result<Registered> {
    if owner_of(connection, &new.email)?.is_some() {
        return Ok(Registered::EmailTaken);
    }
    let user = User {
        id: free_id(connection)?,
        first_name: new.first_name,
        last_name: new.last_name,
        email: new.email,
        password: new.password,
        num_checkins: 0,
        last_checkin: None,
        last_seen_at: None,
    };
    insert(connection, &user)?;
    Ok(Registered::Opened(user))
}

/// Returns the id after the highest one, or the highest free one if another program has used up the ids.
fn free_id(connection: &Connection) -> rusqlite::Result<UserId> {
    let next = "SELECT coalesce(max(id), 0) + 1 FROM accounts WHERE id <= ?1";
    let free = "SELECT id - 1 FROM accounts AS taken WHERE id <= ?1
                AND NOT EXISTS (SELECT 1 FROM accounts WHERE id = taken.id - 1)
                ORDER BY id DESC LIMIT 1";
    let most = column::number(MAX_SAFE_INTEGER);
    let next: i64 = connection.prepare_cached(next)?.query_row([most], |row| row.get(0))?;
    let sql = format!("SELECT iif({next} <= ?1, {next}, ({free}))");
    connection.query_row(&sql, [most], |row| column::id(row, 0))
}

/// Returns the user who has the address.
pub(super) fn owner_of(connection: &Connection, email: &Email) -> rusqlite::Result<Option<UserId>> {
    let sql = "SELECT id FROM accounts WHERE email_canonical = ?1";
    let owner = |key: &String| {
        connection.prepare_cached(sql)?.query_row([key], |row| column::id(row, 0)).optional()
    };
    of_first(&email.index_keys(), owner)
}

/// Returns what is found for the first of these keys.
fn of_first<T>(
    keys: &[String],
    find: impl Fn(&String) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<T>> {
    keys.iter().find_map(|key| find(key).transpose()).transpose()
}

/// Indexes accounts of earlier versions under the form in which addresses are compared. Where two accounts have the
/// same, the second one stays under its own form.
pub(super) fn index_again(connection: &Connection) -> rusqlite::Result<()> {
    // Other addresses have one form only.
    let sql = "SELECT id, email FROM accounts WHERE email_canonical GLOB '*[^ -~]*' ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let found =
        statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1).ok())))?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let sql = "UPDATE OR IGNORE accounts SET email_canonical = ?2 WHERE id = ?1";
    let mut update = connection.prepare(sql)?;
    for (id, email) in found {
        let email = email.and_then(|email| Email::stored(&email).ok());
        if let Some(email) = email {
            update.execute(params![id, email.canonical()])?;
        }
    }
    Ok(())
}

/// Inserts an account whose address nobody has. Returns false if the id is taken.
pub(super) fn insert(connection: &Connection, user: &User) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO accounts (id, first_name, last_name, email, email_canonical, password,
                                     base_checkins, base_last_checkin, base_last_seen_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
    let (id, last_checkin) = (column::number(user.id.get()), user.last_checkin.map(column::number));
    let num_checkins = column::number(user.num_checkins);
    let last_seen_at = user.last_seen_at.map(|id| column::number(id.get()));
    let inserted = connection.prepare_cached(sql)?.execute(params![
        id,
        user.first_name,
        user.last_name,
        user.email.as_str(),
        user.email.canonical(),
        user.password.as_str(),
        num_checkins,
        last_checkin,
        last_seen_at,
    ])?;
    if inserted == 0 {
        return Ok(false);
    }
    // If another program deleted an earlier account with this id, its epoch is not lowered.
    let sql = "INSERT INTO account_standings (user_id, epoch)
               SELECT ?1, epoch FROM account_standings
               WHERE status = 'deleted' ORDER BY epoch DESC LIMIT 1
               ON CONFLICT (user_id) DO UPDATE SET
                   epoch = max(epoch, excluded.epoch), kept = NULL, status = NULL, role = NULL";
    connection.prepare_cached(sql)?.execute([id])?;
    let sql = "INSERT INTO user_figures (id, num_checkins, last_checkin, last_seen_at)
               VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![
        id,
        num_checkins,
        last_checkin,
        last_seen_at
    ])?;
    Ok(true)
}

pub(super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<User>> {
    one(connection, "id = ?1", [id])
}

fn name(connection: &Connection, id: UserId) -> rusqlite::Result<Option<Name>> {
    let sql = "SELECT first_name, last_name FROM accounts WHERE id = ?1";
    let name = |row: &Row<'_>| Ok(Name { first: row.get(0)?, last: row.get(1)? });
    connection.prepare_cached(sql)?.query_row([column::number(id.get())], name).optional()
}

fn one(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> rusqlite::Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE {condition}");
    connection.prepare_cached(&sql)?.query_row(params, user).optional()
}

fn account(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> rusqlite::Result<Option<Credentials>> {
    let sql = format!(
        "SELECT id, email, password, epoch, kept, status, role FROM accounts
         LEFT JOIN account_standings ON user_id = id WHERE {condition}"
    );
    let account = |row: &Row<'_>| {
        Ok(Credentials {
            id: column::id(row, 0)?,
            email: column::text(row, 1, |text| Email::stored(&text))?,
            // No password matches a value that is not a text.
            password: PasswordHash::stored(row.get::<_, String>(2).unwrap_or_default()),
            standing: read_standing(row, 3)?,
        })
    };
    connection.prepare_cached(&sql)?.query_row(params, account).optional()
}

/// Reads a row of [`COLUMNS`].
pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: column::id(row, 0)?,
        first_name: row.get(1)?,
        last_name: row.get(2)?,
        email: column::text(row, 3, |text| Email::stored(&text))?,
        password: PasswordHash::stored(row.get::<_, String>(4)?),
        num_checkins: column::whole(row, 5)?,
        last_checkin: row.get::<_, Option<i64>>(6)?.and_then(|ms| u64::try_from(ms).ok()),
        last_seen_at: column::optional_id(row, 7)?,
    })
}
