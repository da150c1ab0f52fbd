//! The two servers of a comparison.

use std::time::Duration;

use testkit::{Client, ExpressProbes, Program, RedisServer};

use super::Settings;

const LISTENING: &str = "listening on ";

/// What stands on one side.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Express,
    /// Express, started with other options than the program asks for.
    ExpressWith(Settings),
    /// The session crate's example `probe`.
    Ours,
}

/// What both sides run on.
pub(crate) struct Ground {
    redis: RedisServer,
    express: ExpressProbes,
}

/// One server with a Redis database of its own.
pub(crate) struct Side {
    pub(crate) client: Client,
    pub(crate) redis: redis::Connection,
    pub(crate) settings: Settings,
    /// Held for its `Drop`; Express's ends with the ground.
    _program: Option<Program>,
}

impl Ground {
    pub(crate) fn start() -> Ground {
        Ground { redis: RedisServer::start(), express: ExpressProbes::start() }
    }

    /// Starts a server of each kind, on databases `2 * slot` and `2 * slot + 1`.
    pub(crate) fn sides(&self, slot: u8, kinds: &[Kind; 2], settings: &Settings) -> [Side; 2] {
        let [first, second] = kinds;
        [self.side(2 * slot, first, settings), self.side(2 * slot + 1, second, settings)]
    }

    fn side(&self, database: u8, kind: &Kind, settings: &Settings) -> Side {
        let started_with = match kind {
            Kind::ExpressWith(other) => other,
            Kind::Express | Kind::Ours => settings,
        };
        let store = self.redis.url_db(database);
        let ttl = started_with.ttl.map(|ttl| ttl.to_string());
        let mut env = vec![("STORE", store.as_str()), ("OPTIONS", started_with.options.as_str())];
        env.extend(started_with.prefix.as_deref().map(|prefix| ("PREFIX", prefix)));
        env.extend(ttl.as_deref().map(|ttl| ("TTL", ttl)));
        let (program, url) = match kind {
            Kind::Express | Kind::ExpressWith(_) => (None, self.express.probe(&env)),
            Kind::Ours => ours(&env),
        };
        Side {
            client: Client::new(url),
            redis: self.redis.connection_db(database),
            settings: settings.clone(),
            _program: program,
        }
    }
}

fn ours(env: &[(&str, &str)]) -> (Option<Program>, String) {
    let env = [env, &[("PORT", "0")]].concat();
    let program = Program::start(crate::examples::path("probe"), &[] as &[&str], &env);
    let line = program.wait_for_line(LISTENING, Duration::from_secs(30));
    let url = line.replacen(LISTENING, "http://", 1);
    (Some(program), url)
}
