//! Programs of requests, which are run against two servers that must behave identically.
//!
//! The files `*.txt` contain them as tables. A program is a paragraph:
//!
//! ```text
//! program its title
//! options {"resave":false}             OPTIONS; a secret is added if there is none
//! prefix app:                          PREFIX; optional
//! ttl 60                               TTL; optional
//! Cookie: connect.sid=<raw:1>          headers of the next POST; this one replaces the jar
//! POST /path @jar [["get","a"]]        the jar is optional
//! redis SET <key:1> {"cookie":{}}      a command, run directly on both sides; the last argument
//!                                      is the rest of the line
//! wait 1500                            in milliseconds
//! parallel 20                          the requests from here to `end` run in parallel; each
//! POST / [["sleep",40],["save"]]       starts 20 ms after the previous one
//! POST / [["destroy"]]
//! end
//! ```
//!
//! No two requests of a group may act at the same time (see [`requests`]). This holds for a group
//! of two whose sleeps are even multiples of the gap, and for a group of three whose sleeps are
//! multiples of three gaps. Each request sends the cookies that its jar had before the group. When
//! all responses have arrived, the jars store their cookies in the order of the responses.
//!
//! The module [`placeholder`] explains the text in `<…>`.

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

/// The default secret of programs. With it the signature of the id `0123456789abcdef` contains a
/// `+`.
pub(crate) const SECRET: &str = "keyboard cat";

/// The settings with which the two servers are started. Programs with the same settings share the
/// servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProgramSettings {
    /// JSON, kept as text because the order of the cookie's options matters.
    pub(crate) options: String,
    pub(crate) prefix: Option<String>,
    pub(crate) ttl: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) title: String,
    pub(crate) settings: ProgramSettings,
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
    /// Each operation as JSON text, because serde_json does not accept lone surrogates.
    pub(crate) operations: Vec<String>,
}

impl Program {
    /// Returns the same program with one request after another.
    pub(crate) fn in_sequence(&self) -> Program {
        let one_by_one = |step: &Step| match step {
            Step::Requests(requests) => {
                let posts = requests.posts.iter().cloned();
                posts.map(|post| Step::Requests(Requests::one(post))).collect()
            }
            step => vec![step.clone()],
        };
        Program { steps: self.steps.iter().flat_map(one_by_one).collect(), ..self.clone() }
    }
}

impl Step {
    pub(crate) fn is_parallel(&self) -> bool {
        matches!(self, Step::Requests(requests) if requests.posts.len() > 1)
    }
}

impl ProgramSettings {
    pub(crate) fn new(options: &str) -> ProgramSettings {
        let options = match options.strip_prefix('{') {
            Some(rest) if !options.contains("\"secret\"") => {
                let comma = if rest.trim() == "}" { "" } else { "," };
                format!("{{\"secret\":\"{SECRET}\"{comma}{rest}")
            }
            _ => options.to_owned(),
        };
        ProgramSettings { options, prefix: None, ttl: None }
    }

    pub(crate) fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or("sess:")
    }

    pub(crate) fn cookie_name(&self) -> String {
        self.option("name").as_str().unwrap_or("connect.sid").to_owned()
    }

    /// Returns the secret that signs.
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
