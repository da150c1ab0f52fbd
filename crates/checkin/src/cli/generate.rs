//! The command `checkin generate`.

use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;

use super::one_shot::on_store;
use super::say;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::{Common, integer, positive_time};
use crate::demo;
use crate::domain::{LocationId, User};
use crate::generate::{self, HttpClient, LoggedIn, Pace, Plan, Sender, log_in_all, log_out_all};
use crate::passwords;
use crate::signals::Stop;
use crate::storage::Locations;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin generate --rate 50 --duration 10s
  checkin generate --users 100 --url http://127.0.0.1:8082 --auth-url http://127.0.0.1:8083";

/// The maximum number of locations that check-ins are drawn from, those with the lowest ids. More
/// locations would hardly change their popularity.
const MAX_PLACES: usize = 100_000;

/// The number of locations that are read at once.
const PAGE: usize = 1000;

/// The time between two updates of the progress line.
const REDRAW: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(super) struct Options {
    /// Check-ins per second
    #[arg(
        long,
        env = "CHECKIN_GENERATE_RATE",
        value_name = "NUMBER",
        default_value_t = 100,
        value_parser = integer::<u32>(1..=100_000)
    )]
    rate: u32,

    /// How long to send check-ins
    #[arg(
        long,
        env = "CHECKIN_GENERATE_DURATION",
        value_name = "TIME",
        default_value = "10s",
        value_parser = positive_time
    )]
    duration: Duration,

    /// Number of users that check in, one after the other: the users of the store with the lowest ids
    #[arg(
        long,
        env = "CHECKIN_GENERATE_USERS",
        value_name = "NUMBER",
        default_value_t = 10,
        value_parser = integer::<u32>(1..=100_000)
    )]
    users: u32,

    /// The address of the check-in receiver
    #[arg(
        long,
        env = "CHECKIN_GENERATE_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8082",
        value_parser = service_url
    )]
    url: Url,

    /// The address of the authentication service
    #[arg(
        long,
        env = "CHECKIN_GENERATE_AUTH_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8083",
        value_parser = service_url
    )]
    auth_url: Url,

    /// The password of these users. Without it, the password of the demo users
    #[arg(
        long,
        env = "CHECKIN_GENERATE_PASSWORD",
        hide_env_values = true,
        hide_default_value = true,
        value_name = "PASSWORD",
        default_value = demo::PASSWORD
    )]
    password: Password,

    /// Seed of the random generator that draws locations and ratings. The same seed and locations
    /// give the same check-ins. Without it, the seed is random
    #[arg(
        long,
        env = "CHECKIN_GENERATE_SEED",
        value_name = "NUMBER",
        value_parser = integer::<u32>(0..=u32::MAX.into())
    )]
    seed: Option<u32>,
}

/// A password that is never shown.
#[derive(Clone)]
struct Password(String);

impl FromStr for Password {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        passwords::plausible(text.to_owned()).map(Self)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

pub(super) fn service_url(text: &str) -> Result<Url, String> {
    let rule = || "must be http://HOST:PORT or https://HOST, optionally with a path".to_owned();
    let url: Url = text.parse().map_err(|_| rule())?;
    let plain = url.username().is_empty() && url.password().is_none();
    let short = url.query().is_none() && url.fragment().is_none();
    let web = matches!(url.scheme(), "http" | "https");
    if web && plain && short { Ok(url) } else { Err(rule()) }
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let read =
        async |app: &App| Ok((users(app, options.users).await?, places(&*app.storage).await?));
    let (users, places) = on_store(config, read).await?;
    let stop = Stop::on_signal(Duration::ZERO)?.stopped;
    let (seed, run) = drawn(options.seed)?;
    let location_count = places.len();
    let Some(plan) = Plan::new(seed, users.len(), places) else {
        bail!("the store must contain locations: load some with checkin load");
    };
    let receiver = client(&options.url, "--url").await?;
    let auth = client(&options.auth_url, "--auth-url").await?;
    let LoggedIn { sessions, failure } = log_in(&auth, &options, &users, &stop).await;
    let sent = match failure {
        Some((user, error)) => Err(anyhow::Error::new(error).context(format!(
            "cannot log in user {user}; --password must be the password of these users"
        ))),
        None if sessions.len() < users.len() => Err(anyhow!("ended before the first check-in")),
        None => {
            let sender = Sender::new(receiver, sessions.clone(), &run);
            let pace = Pace { rate: options.rate, duration: options.duration };
            send(&sender, plan, pace, location_count, seed, stop).await
        }
    };
    // Also after a failure: nothing else would end them.
    let left = log_out_all(&auth, &sessions).await;
    if left > 0 {
        tracing::warn!("{left} sessions could not be ended; they end with their idle timeout");
    }
    sent
}

async fn send(
    sender: &Sender,
    plan: Plan,
    pace: Pace,
    location_count: usize,
    seed: u64,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let count = pace.count();
    say(format_args!(
        "seed {seed}: {count} check-ins of {} users at {location_count} locations, {} a second",
        sender.users(),
        pace.rate,
    ))?;
    let took = tokio::select! {
        took = generate::run(sender, plan, pace, stop.cancelled()) => took,
        () = progress(sender, count) => bail!("the progress line ended"),
    };
    report(sender, took)
}

/// Returns the seed, and a name that no other run has.
fn drawn(seed: Option<u32>) -> anyhow::Result<(u64, String)> {
    let seed = match seed {
        Some(seed) => seed,
        None => getrandom::u32().context("cannot read random numbers")?,
    };
    let run = getrandom::u64().context("cannot read random numbers")?;
    Ok((seed.into(), format!("generate-{run:016x}")))
}

async fn users(app: &App, count: u32) -> anyhow::Result<Vec<User>> {
    let wanted = count as usize;
    let users = app.storage.users_after(None, wanted).await.context("cannot read the users")?;
    if users.len() < wanted {
        bail!("the store has {} users: --users must be at most this number", users.len());
    }
    Ok(users)
}

async fn places(locations: &dyn Locations) -> anyhow::Result<Vec<LocationId>> {
    let mut places = Vec::new();
    while places.len() < MAX_PLACES {
        let page = locations.locations_after(places.last().copied(), PAGE).await;
        let page = page.context("cannot read the locations")?;
        if page.is_empty() {
            break;
        }
        places.extend(page.iter().map(|location| location.id));
    }
    Ok(places)
}

async fn client(url: &Url, flag: &str) -> anyhow::Result<HttpClient> {
    let client = HttpClient::new(url).context("cannot use TLS")?;
    let cannot =
        || format!("cannot reach {url}; start the service, or set another address with {flag}");
    client.reach().await.with_context(cannot)?;
    Ok(client)
}

async fn log_in(
    auth: &HttpClient,
    options: &Options,
    users: &[User],
    stop: &CancellationToken,
) -> LoggedIn {
    let bar = ProgressBar::new(users.len() as u64);
    let stop = stop.clone().cancelled_owned();
    let logged_in = log_in_all(auth, users, &options.password.0, stop, || bar.inc(1)).await;
    bar.finish_and_clear();
    logged_in
}

/// Redraws a progress line until it is dropped; only at a terminal.
async fn progress(sender: &Sender, count: u64) {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}")
        .expect("the template is well-formed");
    let bar = ProgressBar::new(count).with_style(style);
    let (start, mut redraw) = (Instant::now(), tokio::time::interval(REDRAW));
    // Clears the line at the end of the run, which drops this future.
    let _cleared = Cleared(&bar);
    loop {
        redraw.tick().await;
        if bar.is_hidden() {
            return std::future::pending().await;
        }
        let tally = sender.tally();
        bar.set_position(tally.sent());
        bar.set_message(tally.line(start.elapsed()));
    }
}

struct Cleared<'a>(&'a ProgressBar);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn report(sender: &Sender, took: Duration) -> anyhow::Result<ExitCode> {
    let tally = sender.tally();
    say(tally.summary(took))?;
    if tally.met_a_limit() {
        say(
            "the receiver limits the check-ins of a user (its --checkin-rate): use more --users for a higher rate",
        )?;
    }
    match tally.failed() {
        0 => Ok(ExitCode::SUCCESS),
        failed => bail!("{failed} check-ins were not accepted"),
    }
}
