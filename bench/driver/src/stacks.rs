//! The instructions of call stacks, and their picture as a flame graph.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use inferno::flamegraph::{self, Options};

/// The instructions of each call stack: the functions separated by semicolons, the innermost one
/// last.
#[derive(Debug, Default, PartialEq)]
pub struct Stacks(HashMap<String, u64>);

impl Stacks {
    /// Reads the output of callgrind, in which a function is named with its callers:
    /// `inner'middle'outer`. A name is written once and then abbreviated by its number. The line
    /// after `calls=` has the instructions of the called function, which are counted there.
    pub fn read(text: &str) -> Result<Self> {
        let mut names = HashMap::new();
        let mut stacks = Self::default();
        let (mut stack, mut is_call) = (String::new(), false);
        for line in text.lines() {
            if let Some(function) = line.strip_prefix("fn=").or(line.strip_prefix("cfn=")) {
                let (number, name) =
                    function.split_once(')').context("a function has no number")?;
                if !name.is_empty() {
                    names.insert(number.to_owned(), callers_first(name.trim()));
                }
                if line.starts_with("fn=") {
                    stack.clone_from(names.get(number).context("a function has no name")?);
                }
            } else if line.starts_with("calls=") {
                is_call = true;
            } else if line
                .starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
                && !std::mem::take(&mut is_call)
            {
                let count = line.split(' ').nth(1).context("a line has no count")?;
                *stacks.0.entry(stack.clone()).or_default() += count.parse::<u64>()?;
            }
        }
        Ok(stacks)
    }

    /// Returns these stacks without the instructions of a shorter run.
    pub fn without(mut self, shorter: &Self) -> Self {
        for (stack, count) in &mut self.0 {
            *count = count.saturating_sub(shorter.0.get(stack).copied().unwrap_or_default());
        }
        self.0.retain(|_, count| *count > 0);
        self
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Draws the flame graph. The counts are divided by the number of requests.
    pub fn draw(&self, title: &str, requests: u64, file: &Path) -> Result<()> {
        let lines: Vec<String> =
            self.0.iter().map(|(stack, count)| format!("{stack} {}", count / requests)).collect();
        let mut options = Options::default();
        title.clone_into(&mut options.title);
        "instructions of a request".clone_into(&mut options.count_name);
        let file =
            File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), file)?;
        Ok(())
    }
}

fn callers_first(name: &str) -> String {
    let functions = name.rsplit('\'').map(|function| {
        let function = format!("{:#}", rustc_demangle::demangle(function));
        // A space separates the stack from its count.
        function.replace(';', ",")
    });
    functions.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "events: Ir\nfn=(1) main\n10 5\ncfn=(2) inner'main\ncalls=2 7\n* 70\n+1 4\n\
                          fn=(2)\n7 60\n-1 10\ntotals: 79\n";

    #[test]
    fn each_instruction_counts_in_its_own_stack() {
        let stacks = Stacks::read(OUTPUT).unwrap();
        let expected = [("main".to_owned(), 9), ("main;inner".to_owned(), 70)];
        assert_eq!(stacks, Stacks(expected.into()));
        assert_eq!(stacks.total(), 79);
    }

    #[test]
    fn the_shorter_run_is_subtracted() {
        let shorter = Stacks([("main".to_owned(), 9), ("main;inner".to_owned(), 30)].into());
        let rest = Stacks::read(OUTPUT).unwrap().without(&shorter);
        assert_eq!(rest, Stacks([("main;inner".to_owned(), 40)].into()));
    }
}
