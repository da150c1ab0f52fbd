//! Programs as text: parses tables, and writes a failing program as a table.

use std::fmt;

use super::json_text::elements;
use super::requests::Requests;
use super::{Post, Program, ProgramSettings, Step};

/// Parses a table.
///
/// # Panics
///
/// Panics if the table is not valid; the message shows the line.
pub(crate) fn parse(table: &str) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    let mut headers = Vec::new();
    let mut lines = table.lines().map(str::trim_start);
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "program" {
            let settings = ProgramSettings::new("{}");
            programs.push(Program { title: rest.to_owned(), settings, steps: Vec::new() });
            continue;
        }
        let program = programs.last_mut().unwrap_or_else(|| panic!("no program before: {line}"));
        match word {
            "options" => program.settings.options = ProgramSettings::new(rest).options,
            "prefix" => program.settings.prefix = Some(rest.to_owned()),
            "ttl" => program.settings.ttl = Some(number(rest)),
            "POST" => {
                let post = post(rest, std::mem::take(&mut headers));
                program.steps.push(Step::Requests(Requests::one(post)));
            }
            "parallel" => {
                let posts = posts(lines.by_ref().take_while(|line| *line != "end"));
                program.steps.push(Step::Requests(Requests { gap_ms: number(rest), posts }));
            }
            "redis" => program.steps.push(redis(rest)),
            "wait" => program.steps.push(Step::Wait(number(rest))),
            _ => headers.push(header(line)),
        }
    }
    programs
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

/// Returns the requests of a group, each with the headers above it.
fn posts<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Post> {
    let mut posts = Vec::new();
    let mut headers = Vec::new();
    for line in lines {
        match line.strip_prefix("POST ") {
            Some(rest) => posts.push(post(rest, std::mem::take(&mut headers))),
            None => headers.push(header(line)),
        }
    }
    posts
}

fn post(text: &str, headers: Vec<(String, String)>) -> Post {
    let (place, body) = text.split_at(text.find(" [").expect("POST needs operations"));
    let mut words = place.split(' ').filter(|word| !word.is_empty());
    let path = words.next().expect("POST needs a path").to_owned();
    let jar = words.next().map_or("", |word| word.trim_start_matches('@')).to_owned();
    let operations = elements(body.trim()).into_iter().map(str::to_owned).collect();
    Post { path, jar, headers, operations }
}

fn header(line: &str) -> (String, String) {
    let (word, value) = line.split_once(' ').unwrap_or((line, ""));
    let name = word.strip_suffix(':').unwrap_or_else(|| panic!("not a valid line: {line}"));
    (name.to_owned(), value.to_owned())
}

fn redis(text: &str) -> Step {
    let parts = if text.starts_with("SETBIT") { 4 } else { 3 };
    Step::Redis(text.splitn(parts, ' ').map(str::to_owned).collect())
}

/// Writes the program in the form that [`parse`] reads, so that a failure can be pasted into a
/// table.
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
            Step::Requests(requests) => write!(formatter, "{requests}"),
            Step::Redis(words) => writeln!(formatter, "redis {}", words.join(" ")),
            Step::Wait(ms) => writeln!(formatter, "wait {ms}"),
        }
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [post] = self.posts.as_slice() {
            return write!(formatter, "{post}");
        }
        writeln!(formatter, "parallel {}", self.gap_ms)?;
        self.posts.iter().try_for_each(|post| write!(formatter, "{post}"))?;
        writeln!(formatter, "end")
    }
}

impl fmt::Display for Post {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.headers {
            writeln!(formatter, "{name}: {value}")?;
        }
        let jar = if self.jar.is_empty() { "" } else { " @" };
        let operations = self.operations.join(",");
        writeln!(formatter, "POST {}{jar}{} [{operations}]", self.path, self.jar)
    }
}

#[test]
fn written_programs_can_be_parsed() {
    for program in super::random::programs(1, 100) {
        let text = program.to_string();
        let read: String = parse(&text).iter().map(ToString::to_string).collect();
        assert_eq!(read, text);
    }
}
