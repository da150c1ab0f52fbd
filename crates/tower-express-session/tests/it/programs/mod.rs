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
//! ```
//!
//! What stands in `<…>` is explained in [`placeholder`].

pub(crate) mod json_text;
pub(crate) mod minimise;
pub(crate) mod observe;
pub(crate) mod pair;
pub(crate) mod placeholder;
pub(crate) mod random;
pub(crate) mod run;

use std::fmt;

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
    Post(Post),
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

impl Post {
    pub(crate) fn body(&self) -> String {
        format!("[{}]", self.operations.join(","))
    }

    /// How long the program itself asks the request to take.
    pub(crate) fn sleep_ms(&self) -> u64 {
        let sleeps = self.operations.iter().filter_map(|text| text.strip_prefix("[\"sleep\","));
        sleeps.filter_map(|text| text.trim_end_matches(']').trim().parse::<u64>().ok()).sum()
    }
}

/// Reads a table.
///
/// # Panics
///
/// Where it makes no sense; the message shows the line.
pub(crate) fn parse(table: &str) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    let mut headers = Vec::new();
    for line in table.lines().map(str::trim_start) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "program" {
            let settings = Settings::new("{}");
            programs.push(Program { title: rest.to_owned(), settings, steps: Vec::new() });
            continue;
        }
        let program = programs.last_mut().unwrap_or_else(|| panic!("no program before: {line}"));
        match word {
            "options" => program.settings.options = Settings::new(rest).options,
            "prefix" => program.settings.prefix = Some(rest.to_owned()),
            "ttl" => program.settings.ttl = Some(rest.parse().expect("a number of seconds")),
            "POST" => program.steps.push(Step::Post(post(rest, std::mem::take(&mut headers)))),
            "redis" => {
                let parts = if rest.starts_with("SETBIT") { 4 } else { 3 };
                let words = rest.splitn(parts, ' ').map(str::to_owned);
                program.steps.push(Step::Redis(words.collect()));
            }
            "wait" => program.steps.push(Step::Wait(rest.parse().expect("milliseconds"))),
            name if name.ends_with(':') => {
                headers.push((name.trim_end_matches(':').to_owned(), rest.to_owned()));
            }
            _ => panic!("not understood: {line}"),
        }
    }
    programs
}

fn post(text: &str, headers: Vec<(String, String)>) -> Post {
    let (place, body) = text.split_at(text.find(" [").expect("POST needs operations"));
    let mut words = place.split(' ').filter(|word| !word.is_empty());
    let path = words.next().expect("POST needs a path").to_owned();
    let jar = words.next().map_or("", |word| word.trim_start_matches('@')).to_owned();
    let operations = json_text::elements(body.trim()).into_iter().map(str::to_owned).collect();
    Post { path, jar, headers, operations }
}

/// In the form that [`parse`] reads, so that a failure can be pasted into a table.
impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "program {}", self.title)?;
        writeln!(formatter, "options {}", self.settings.options)?;
        if let Some(prefix) = &self.settings.prefix {
            writeln!(formatter, "prefix {prefix}")?;
        }
        if let Some(ttl) = self.settings.ttl {
            writeln!(formatter, "ttl {ttl}")?;
        }
        self.steps.iter().try_for_each(|step| write!(formatter, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Post(post) => {
                for (name, value) in &post.headers {
                    writeln!(formatter, "{name}: {value}")?;
                }
                let jar = if post.jar.is_empty() { "" } else { " @" };
                writeln!(formatter, "POST {}{jar}{} {}", post.path, post.jar, post.body())
            }
            Step::Redis(words) => writeln!(formatter, "redis {}", words.join(" ")),
            Step::Wait(ms) => writeln!(formatter, "wait {ms}"),
        }
    }
}
