//! The command `checkin top`.

mod line;
mod screen;
mod source;
mod terminal;

use std::io::{self, ErrorKind, IsTerminal, Write as _};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use self::screen::{Title, draw};
use self::source::Source;
use self::terminal::{Key, Terminal};
use super::generate::service_url;
use super::one_shot::until_signal;
use super::output::json;
use super::{Usage, now_ms};
use crate::config::{Common, integer, positive_time};
use crate::usecases::overview::{Overview, Reading};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin top
  checkin top --metrics http://127.0.0.1:9100 --metrics http://127.0.0.1:9101
  checkin top --json --interval 10s --count 6 > figures.jsonl";

/// The path of the metrics of a port.
const METRICS: &str = "/metrics";

/// The maximum number of ports that are asked at once.
const MAX_PORTS: usize = 64;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The address of a port with /metrics; may be repeated, or contain several, separated by commas. A port of
    /// --metrics-listen shows all services of its process. Default: the ports of `checkin up`,
    /// http://127.0.0.1:8080 to http://127.0.0.1:8083
    #[arg(
        long,
        env = "CHECKIN_METRICS",
        value_name = "URL",
        value_delimiter = ',',
        hide_default_value = true,
        default_value = "http://127.0.0.1:8080,http://127.0.0.1:8081,http://127.0.0.1:8082,http://127.0.0.1:8083",
        value_parser = port
    )]
    metrics: Vec<Url>,

    /// The time between two readings
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = positive_time)]
    interval: Duration,

    /// The number of readings that are shown. Without it, they are shown until Ctrl-C, or q on a terminal
    #[arg(long, value_name = "NUMBER", value_parser = integer::<u64>(1..=u64::MAX))]
    count: Option<u64>,

    /// Prints one JSON object for each reading
    #[arg(long)]
    json: bool,
}

/// Parses the address of a port, and adds the path of the metrics if it has none.
fn port(text: &str) -> Result<Url, String> {
    let mut url = service_url(text)?;
    if url.path() == "/" {
        url.set_path(METRICS);
    }
    Ok(url)
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    if options.metrics.len() > MAX_PORTS {
        let rule = format!("--metrics must have at most {MAX_PORTS} addresses");
        return Err(Usage(rule).into());
    }
    let source = Source::new(config, &options.metrics)?;
    until_signal(async {
        let view = match (options.json, io::stdout().is_terminal()) {
            (false, true) => View::Screen(Box::new(Screen::open(config, options.interval)?)),
            (json, _) => View::Lines { json },
        };
        watch(source, view, &options).await
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// Shows each reading with the rates since the one before, until enough are shown or a key ends it.
async fn watch(mut source: Source, mut view: View, options: &Options) -> anyhow::Result<()> {
    let mut ticks = interval(options.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<Reading> = None;
    let mut left = options.count;
    while left != Some(0) {
        if view.unless_quit(ticks.tick()).await?.is_none() {
            break;
        }
        let Some(after) = view.unless_quit(source.read()).await? else { break };
        if let Some(before) = &before {
            match view.show(Overview::between(before, &after)) {
                Err(error) if has_no_reader(&error) => break,
                shown => shown?,
            }
            left = left.map(|left| left - 1);
        }
        before = Some(after);
    }
    Ok(())
}

/// Returns whether the reader of the lines has gone, as in `checkin top | head`.
fn has_no_reader(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Where the figures are shown.
enum View {
    /// Standard output, with a line for each reading.
    Lines { json: bool },
    /// A terminal.
    Screen(Box<Screen>),
}

impl View {
    fn show(&mut self, overview: Overview) -> anyhow::Result<()> {
        let time = now_ms();
        match self {
            Self::Screen(screen) => screen.show(overview),
            Self::Lines { json: false } => {
                Ok(writeln!(io::stdout(), "{}", line::text(time, &overview))?)
            }
            Self::Lines { json: true } => {
                let shown = Shown { time, overview: &overview };
                Ok(writeln!(io::stdout(), "{}", json(&shown)?)?)
            }
        }
    }

    /// Waits for something, and returns `None` if a key ends the program first.
    async fn unless_quit<T>(&mut self, work: impl Future<Output = T>) -> anyhow::Result<Option<T>> {
        match self {
            Self::Lines { .. } => Ok(Some(work.await)),
            Self::Screen(screen) => screen.unless_quit(work).await,
        }
    }
}

/// A reading as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    /// In milliseconds since 1970.
    time: u64,
    #[serde(flatten)]
    overview: &'a Overview,
}

/// The screen of a terminal, with the figures that it shows.
struct Screen {
    terminal: Terminal,
    title: Title,
    overview: Option<Overview>,
}

impl Screen {
    fn open(config: &Common, interval: Duration) -> anyhow::Result<Self> {
        let title = Title { store: config.store.to_string(), interval };
        let mut screen = Self { terminal: Terminal::open()?, title, overview: None };
        screen.draw()?;
        Ok(screen)
    }

    fn show(&mut self, overview: Overview) -> anyhow::Result<()> {
        self.overview = Some(overview);
        self.draw()
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let Self { terminal, title, overview } = self;
        terminal.draw(|frame| draw(frame, title, now_ms(), overview.as_ref()))
    }

    async fn unless_quit<T>(&mut self, work: impl Future<Output = T>) -> anyhow::Result<Option<T>> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(Some(done)),
                key = self.terminal.key() => match key? {
                    Key::Quit => return Ok(None),
                    Key::Resize => self.draw()?,
                },
            }
        }
    }
}
