//! The two servers of a comparison.

use std::time::Duration;

use testkit::{Client, ExpressProbes, Program, RedisServer};

use super::ProgramSettings;

const LISTENING: &str = "listening on ";

/// The options with which our store for Express behaves like connect-redis.
const LIKE_CONNECT_REDIS: &str = r#"{"touchAfter":0,"ignoreCorrupt":false,"timeout":10000}"#;

/// The kind of server on one side.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Express,
    /// Express with the store of `packages/express-session-store` in place of connect-redis. It touches on each request,
    /// and a corrupt value is an error.
    ExpressWithOurStore,
    /// Express, started with other settings than those of the program.
    ExpressWith(ProgramSettings),
    /// The session crate's example `probe`.
    Ours,
}

/// The processes that all pairs share.
pub(crate) struct SharedServers {
    redis: RedisServer,
    express: ExpressProbes,
}

/// One server with its own Redis database.
pub(crate) struct Side {
    pub(crate) client: Client,
    pub(crate) redis: redis::Connection,
    pub(crate) settings: ProgramSettings,
    /// Stops the server when it is dropped. Express ends with the shared servers.
    _program: Option<Program>,
}

impl SharedServers {
    pub(crate) fn start() -> SharedServers {
        SharedServers { redis: RedisServer::start(), express: ExpressProbes::start() }
    }

    /// Starts a server of each kind, on databases `2 * slot` and `2 * slot + 1`.
    pub(crate) fn sides(
        &self,
        slot: u8,
        kinds: &[Kind; 2],
        settings: &ProgramSettings,
    ) -> [Side; 2] {
        let [first, second] = kinds;
        [self.side(2 * slot, first, settings), self.side(2 * slot + 1, second, settings)]
    }

    fn side(&self, database: u8, kind: &Kind, settings: &ProgramSettings) -> Side {
        let started_with = match kind {
            Kind::ExpressWith(other) => other,
            Kind::Express | Kind::ExpressWithOurStore | Kind::Ours => settings,
        };
        let store = self.redis.url_db(database);
        let ttl = started_with.ttl.map(|ttl| ttl.to_string());
        let mut env = vec![("STORE", store.as_str()), ("OPTIONS", started_with.options.as_str())];
        env.extend(started_with.prefix.as_deref().map(|prefix| ("PREFIX", prefix)));
        env.extend(ttl.as_deref().map(|ttl| ("TTL", ttl)));
        let (program, url) = match kind {
            Kind::Express | Kind::ExpressWith(_) => (None, self.express.probe(&env)),
            Kind::ExpressWithOurStore => {
                env.extend([
                    ("MODULE", "merging-session-store"),
                    ("STORE_OPTIONS", LIKE_CONNECT_REDIS),
                ]);
                (None, self.express.probe(&env))
            }
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
