//! Programs of requests, run against two servers that must not be told apart.
//!
//! `*.txt` holds them as tables. A program is a paragraph:
//!
//! ```text
//! program its title
//! options {"resave":false}             OPTIONS; a secret is added where it has none
//! prefix app:                          PREFIX, if it is to be given
//! ttl 60                               TTL, if it is to be given
//! Cookie: connect.sid=<raw:1>          headers of the next POST; this one stands in for the jar
//! POST /path @jar [["get","a"]]        the jar may be left out
//! redis SET <key:1> {"cookie":{}}      a command, run directly on both sides; the last argument
//!                                      is the rest of the line
//! wait 1500                            in milliseconds
//! parallel 20                          the requests from here to `end` are under way together,
//! POST / [["sleep",40],["save"]]       each starts 20 ms after the one before
//! POST / [["destroy"]]
//! end
//! ```
//!
//! No two requests of a group may act at the same moment (see [`requests`]): a group of two whose
//! sleeps are even multiples of its gap never does, nor one of three with multiples of three. Each
//! sends the cookies that its jar held before the group; the jars take what the answers set when
//! all are there, in the answers' order.
//!
//! What stands in `<…>` is explained in [`placeholder`].

pub(crate) mod compare;
pub(crate) mod json_text;
pub(crate) mod minimise;
pub(crate) mod observe;
pub(crate) mod pair;
pub(crate) mod placeholder;
pub(crate) mod player;
pub(crate) mod random;
mod random_post;
pub(crate) mod requests;
pub(crate) mod run;
pub(crate) mod table;

use requests::Requests;
pub(crate) use table::parse;

/// A secret for the programs that do not care; with it the id `0123456789abcdef` has a signature
/// with a `+` in it.
pub(crate) const SECRET: &str = "keyboard cat";

/// How the two servers are started. Programs that agree in this share them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Settings {
    /// JSON, kept as text since the order of the cookie's options matters.
    pub(crate) options: String,
    pub(crate) prefix: Option<String>,
    pub(crate) ttl: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) title: String,
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Requests(Requests),
    Redis(Vec<String>),
    Wait(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) jar: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Each one as JSON text: serde_json would not take a lone surrogate.
    pub(crate) operations: Vec<String>,
}

impl Step {
    pub(crate) fn is_parallel(&self) -> bool {
        matches!(self, Step::Requests(requests) if requests.posts.len() > 1)
    }
}

impl Settings {
    pub(crate) fn new(options: &str) -> Settings {
        let options = match options.strip_prefix('{') {
            Some(rest) if !options.contains("\"secret\"") => {
                let comma = if rest.trim() == "}" { "" } else { "," };
                format!("{{\"secret\":\"{SECRET}\"{comma}{rest}")
            }
            _ => options.to_owned(),
        };
        Settings { options, prefix: None, ttl: None }
    }

    pub(crate) fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or("sess:")
    }

    pub(crate) fn cookie_name(&self) -> String {
        self.option("name").as_str().unwrap_or("connect.sid").to_owned()
    }

    /// The secret that signs.
    pub(crate) fn secret(&self) -> String {
        let secret = self.option("secret");
        let first = secret.get(0).unwrap_or(&secret);
        first.as_str().expect("a secret is a string").to_owned()
    }

    fn option(&self, name: &str) -> serde_json::Value {
        let options: serde_json::Value =
            serde_json::from_str(&self.options).expect("options are JSON");
        options[name].clone()
    }
}
