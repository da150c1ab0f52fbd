//! Formats the results as tables.

use std::fs;

use anyhow::Result;

use crate::load::Load;
use crate::measure::{Measured, Plan, ProgramRounds, Round};
use crate::workload::Workload;

/// Describes the machine and the settings of the run.
pub fn setting(redis_version: &str, plan: &Plan) -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let system = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let Plan { rounds, round, warm_up } = plan;
    Ok(format!(
        "{model}; Linux {}; Redis {redis_version}; load before the start {load}\n\
         {rounds} rounds of {} s after {} s of warm-up; medians of the rounds",
        system.trim(),
        round.as_secs(),
        warm_up.as_secs(),
    ))
}

/// Formats the figures of a workload, with the ratios of the first program to the others, and the
/// Redis commands of each.
pub fn tables(measured: &Measured) -> String {
    let mut text = format!("### {}, {}\n\n", measured.workload, measured.load);
    text.push_str(
        "| | requests/s | p50 ms | p99 ms | p99.9 ms | server CPU µs/request (range) \
         | first row ÷ this: requests/s | … server CPU | Redis commands/request | Redis CPU µs/request \
         | busy: server, driver + Redis | errors |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    if let [first, ..] = &measured.programs[..] {
        for program in &measured.programs {
            text.push_str(&figures(first, program));
        }
    }
    commands(&mut text, &measured.programs);
    text
}

/// Formats the loads of a workload side by side.
pub fn matrix(workload: Workload, measured: &[Measured]) -> String {
    let loads = || measured.iter().filter(|measured| measured.workload == workload);
    let Some(first) = loads().next() else { return String::new() };
    let mut heads = vec![format!("{workload}: server CPU µs/request, {}", first.load)];
    for measured in loads() {
        heads.extend(match measured.load {
            Load::Connections(_) => vec![format!("requests/s, {}", measured.load)],
            Load::Rate(_) => {
                vec![format!("{}: p50 ms", measured.load), "p99".to_owned(), "p99.9".to_owned()]
            }
        });
    }
    let mut text = format!("| | {} |\n|---|{}\n", heads.join(" | "), "---:|".repeat(heads.len()));
    for program in &first.programs {
        let of = |program: &ProgramRounds, figure: fn(&Round) -> f64| {
            median(program.rounds.iter().map(figure))
        };
        let cpu = of(program, |round| round.server_cpu_us_per_request);
        let mut row = vec![program.name.to_owned(), format!("{cpu:.1}")];
        for measured in loads() {
            let same = measured.programs.iter().find(|other| other.name == program.name);
            let Some(same) = same else { continue };
            let figures: Vec<fn(&Round) -> f64> = match measured.load {
                Load::Connections(_) => vec![|round| round.requests_per_second],
                Load::Rate(_) => {
                    vec![|round| round.p50_us / 1e3, |round| round.p99_us / 1e3, |round| {
                        round.p999_us / 1e3
                    }]
                }
            };
            row.extend(figures.into_iter().map(|figure| match of(same, figure) {
                value if value < 100.0 => format!("{value:.2}"),
                value => format!("{value:.0}"),
            }));
        }
        text += &format!("| {} |\n", row.join(" | "));
    }
    text
}

fn figures(first: &ProgramRounds, program: &ProgramRounds) -> String {
    let of = |figure: fn(&Round) -> f64| median(program.rounds.iter().map(figure));
    let cpu = || program.rounds.iter().map(|round| round.server_cpu_us_per_request);
    let errors: u64 = program.rounds.iter().map(|round| round.errors).sum();
    format!(
        "| {} | {:.0} | {:.2} | {:.2} | {:.2} | **{:.1}** ({:.1}–{:.1}) | {:.2} | {:.2} | {:.2} | {:.1} \
         | {:.0} %, {:.0} + {:.0} % | {errors} |\n",
        program.name,
        of(|round| round.requests_per_second),
        of(|round| round.p50_us) / 1e3,
        of(|round| round.p99_us) / 1e3,
        of(|round| round.p999_us) / 1e3,
        median(cpu()),
        cpu().fold(f64::INFINITY, f64::min),
        cpu().fold(0.0, f64::max),
        ratio(first, program, |round| round.requests_per_second),
        ratio(first, program, |round| round.server_cpu_us_per_request),
        of(|round| round.redis_commands_per_request),
        of(|round| round.redis_cpu_us_per_request),
        of(|round| round.server_cpu_share) * 100.0,
        of(|round| round.driver_cpu_share) * 100.0,
        of(|round| round.redis_cpu_share) * 100.0,
    )
}

/// Returns the median of the ratios within the rounds, in which both sides ran under the same
/// conditions.
pub fn ratio(ours: &ProgramRounds, other: &ProgramRounds, figure: fn(&Round) -> f64) -> f64 {
    let rounds = ours.rounds.iter().zip(&other.rounds);
    median(rounds.map(|(ours, other)| figure(ours) / figure(other)))
}

fn commands(text: &mut String, programs: &[ProgramRounds]) {
    let asked = programs.iter().filter_map(|program| {
        let commands = &program.rounds.first()?.redis_commands;
        let commands = commands.iter().filter(|(_, per_request)| **per_request >= 0.005);
        let commands: Vec<_> =
            commands.map(|(name, count)| format!("{} {count:.2}", name.to_uppercase())).collect();
        let none = commands.is_empty();
        (!none).then(|| format!("- {}: {}\n", program.name, commands.join(", ")))
    });
    let asked: String = asked.collect();
    if !asked.is_empty() {
        text.push_str("\nRedis commands per request, including those inside scripts:\n\n");
        text.push_str(&asked);
    }
}

/// Returns the middle value, or the mean of the two middle values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}
