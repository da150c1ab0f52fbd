//! Formats the results as tables.

use std::fmt::Write;
use std::fs;

use anyhow::Result;

use crate::measure::{Measured, Plan, ProgramRounds, Round};

/// Describes the machine and the settings of the run.
pub fn setting(redis_version: &str, plan: &Plan) -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let system = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let Plan { connections, rounds, round, warm_up } = plan;
    Ok(format!(
        "{model}; Linux {}; Redis {redis_version}; load before the start {load}\n\
         {connections} connections, {rounds} rounds of {} s after {} s of warm-up; medians of the rounds",
        system.trim(),
        round.as_secs(),
        warm_up.as_secs(),
    ))
}

/// Formats the figures of a workload, the ratios of the check-in services to the others, and the
/// Redis commands of each.
pub fn tables(measured: &Measured) -> String {
    let mut text = format!("### {}\n\n", measured.workload);
    figures(&mut text, &measured.programs);
    if let [ours, others @ ..] = &measured.programs[..] {
        ratios(&mut text, ours, others);
    }
    commands(&mut text, &measured.programs);
    text
}

fn figures(text: &mut String, programs: &[ProgramRounds]) {
    text.push_str(
        "| | requests/s | p50 ms | p99 ms | server CPU µs/request (range) | Redis commands/request \
         | Redis CPU µs/request | busy: server, driver + Redis | errors |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for program in programs {
        let of = |figure: fn(&Round) -> f64| median(program.rounds.iter().map(figure));
        let cpu = || program.rounds.iter().map(|round| round.server_cpu_us_per_request);
        let errors: u64 = program.rounds.iter().map(|round| round.errors).sum();
        line(
            text,
            format_args!(
                "| {} | {:.0} | {:.2} | {:.2} | **{:.1}** ({:.1}–{:.1}) | {:.2} | {:.1} | {:.0} %, {:.0} + {:.0} % | {errors} |",
                program.name,
                of(|round| round.requests_per_second),
                of(|round| round.p50_us) / 1e3,
                of(|round| round.p99_us) / 1e3,
                median(cpu()),
                cpu().fold(f64::INFINITY, f64::min),
                cpu().fold(0.0, f64::max),
                of(|round| round.redis_commands_per_request),
                of(|round| round.redis_cpu_us_per_request),
                of(|round| round.server_cpu_share) * 100.0,
                of(|round| round.driver_cpu_share) * 100.0,
                of(|round| round.redis_cpu_share) * 100.0,
            ),
        );
    }
}

fn ratios(text: &mut String, ours: &ProgramRounds, others: &[ProgramRounds]) {
    line(text, format_args!("\n| {} ÷ … | requests/s | p50 | p99 | server CPU |", ours.name));
    text.push_str("|---|---|---|---|---|\n");
    for other in others {
        // The ratio is computed within each round, so that both sides ran under the same
        // conditions.
        let of = |figure: fn(&Round) -> f64| {
            let rounds = ours.rounds.iter().zip(&other.rounds);
            median(rounds.map(|(ours, other)| figure(ours) / figure(other)))
        };
        line(
            text,
            format_args!(
                "| {} | {:.2} | {:.2} | {:.2} | {:.2} |",
                other.name,
                of(|round| round.requests_per_second),
                of(|round| round.p50_us),
                of(|round| round.p99_us),
                of(|round| round.server_cpu_us_per_request),
            ),
        );
    }
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

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string does not fail");
}

/// Returns the middle value, or the mean of the two middle values.
fn median(values: impl Iterator<Item = f64>) -> f64 {
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
