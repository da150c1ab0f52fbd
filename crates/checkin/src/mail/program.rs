//! The program of the deployment that sends a message, such as `sendmail -t`.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// The beginning of the names of our settings in the environment. The program does not get them: they may be
/// secrets.
const OWN_VARIABLES: &str = "CHECKIN_";

/// A program and its arguments, without a shell.
#[derive(Clone)]
pub struct MailCommand {
    program: String,
    arguments: Vec<String>,
}

impl MailCommand {
    /// Checks that the program is a file that can be executed, where a run would look for it.
    pub(super) fn check(&self) -> io::Result<()> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut files = match self.program.contains('/') {
            true => vec![PathBuf::from(&self.program)],
            false => env::split_paths(&path).map(|place| place.join(&self.program)).collect(),
        };
        files.retain(|file| file.is_file());
        let rule = match files.iter().any(|file| access(file, Access::EXEC_OK).is_ok()) {
            true => return Ok(()),
            false if files.is_empty() => "must be a program that exists",
            false => "must be a program that this user may execute",
        };
        Err(io::Error::other(rule))
    }

    pub(super) async fn run(&self, message: &[u8]) -> io::Result<()> {
        let is_own = |name: &OsStr| name.to_string_lossy().starts_with(OWN_VARIABLES);
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(env::vars_os().filter(|(name, _)| !is_own(name)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()?;
        let group = Group::of(&child);
        if let Some(mut input) = child.stdin.take() {
            input.write_all(message).await?;
            input.shutdown().await?;
        }
        let status = child.wait().await?;
        group.has_ended();
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("the program ended with {status}"))),
        }
    }
}

/// The processes of a run: the program and all that it starts. They are killed with it, because the program
/// itself may be a shell that only waits for another one.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)))
    }

    /// Leaves the processes alone that the program has left behind: it may deliver in the background.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that all of them have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl FromStr for MailCommand {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or("must be a program, such as /usr/sbin/sendmail -t")?;
        Ok(Self { program, arguments: words.collect() })
    }
}

/// The arguments may contain a password.
impl fmt::Debug for MailCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MailCommand").field(&self.program).finish()
    }
}
