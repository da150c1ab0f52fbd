//! The command `checkin export`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::account::AccountArgument;
use super::one_shot::on_store;
use super::output::Output;
use super::progress::Working;
use super::{now_ms, say};
use crate::app::{App, Draft};
use crate::config::Common;
use crate::domain::UserId;
use crate::export::{Format, HistoryReader, Writer};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin export --user al@example.com > checkins.json
  checkin export --user 77 --format gpx > checkins.gpx";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The user whose check-ins are exported
    #[arg(long, value_name = "ID|EMAIL")]
    user: AccountArgument,

    /// The format: json or csv, which `checkin load` reads, gpx, for maps, or ics, for calendars
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: Format,

    /// The file to write. A complete export replaces an existing file, which keeps its permissions; a
    /// new file may be read by its owner only. Without it, the export goes to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    on_store(config, async |app| export(app, &options).await).await
}

async fn export(app: &App, options: &Options) -> anyhow::Result<ExitCode> {
    let user = options.user.find_id(&*app.storage).await.context("--user")?;
    match &options.output {
        None => {
            let out = BufWriter::new(Output);
            // The export itself shows how far it is to a person who reads it.
            let working = (!io::stdout().is_terminal()).then(working);
            write(app, user, options.format, out, working).await?;
        }
        Some(path) => {
            let file = path.display();
            let count = write_file(app, user, options.format, path).await;
            let count = count.with_context(|| format!("cannot write {file}"))?;
            say(format_args!("{count} check-ins written to {file}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn working() -> Working {
    Working::on("exporting")
}

/// Writes the export to a file, which is replaced when the export is complete, if possible. Returns the number of
/// check-ins.
async fn write_file(app: &App, user: UserId, format: Format, path: &Path) -> anyhow::Result<usize> {
    let Some((draft, place)) = draft_of(path)? else {
        let out = BufWriter::new(File::create(path)?);
        return write(app, user, format, out, Some(working())).await;
    };
    let out = BufWriter::new(draft.open()?);
    let count = write(app, user, format, out, Some(working())).await?;
    draft.replace(&place)?;
    Ok(count)
}

/// Returns a draft of the file with this name, and the place at which it will replace the file. Returns `None` if the file must be
/// written directly: a pipe, a device, a link to a missing file, a file with several names or another owner, or a file in a
/// directory that cannot be changed.
fn draft_of(path: &Path) -> io::Result<Option<(Draft, PathBuf)>> {
    let Ok(existing) = fs::metadata(path) else {
        let is_link = fs::symlink_metadata(path).is_ok();
        return if is_link { Ok(None) } else { Ok(Some((Draft::beside(path)?, path.to_owned()))) };
    };
    if !existing.is_file() || existing.nlink() > 1 {
        return Ok(None);
    }
    // A file that is protected against writing is not replaced.
    OpenOptions::new().write(true).open(path)?;
    // A link stays, and the file that it names is replaced.
    let place = fs::canonicalize(path)?;
    let draft = match Draft::beside(&place) {
        Ok(draft) => draft,
        // The error says which draft to remove.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
        Err(_) => return Ok(None),
    };
    let file = draft.open()?;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (existing.uid(), existing.gid()) {
        return Ok(None);
    }
    file.set_permissions(existing.permissions())?;
    Ok(Some((draft, place)))
}

/// Writes the export and returns the number of check-ins.
async fn write(
    app: &App,
    user: UserId,
    format: Format,
    out: impl Write,
    working: Option<Working>,
) -> anyhow::Result<usize> {
    let cannot = "the export was interrupted";
    let mut writer = Writer::new(format, out).context(cannot)?;
    let mut source = HistoryReader::new(app.storage.clone(), app.storage.clone(), user, now_ms());
    let mut count = 0;
    loop {
        let page = source.next_page().await.context("cannot read the history")?;
        if page.is_empty() {
            writer.finish().context(cannot)?;
            return Ok(count);
        }
        count += page.len();
        if let Some(working) = &working {
            working.says(format!("{count} check-ins exported"));
        }
        for checkin in page {
            writer.write(&source.visit(checkin)).context(cannot)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_that_is_left_over_is_named() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["new", "existing"] {
            let file = directory.path().join(name);
            let before = (name == "existing").then(|| fs::write(&file, "before").unwrap());
            let (left_over, _) = draft_of(&file).unwrap().unwrap();
            let error = draft_of(&file).unwrap_err();
            assert!(error.to_string().contains("left over"), "{name}: {error}");
            assert!(error.to_string().contains(&*left_over.path().to_string_lossy()), "{error}");
            assert_eq!(file.exists(), before.is_some(), "{name}");
        }
    }
}
