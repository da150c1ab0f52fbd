//! The figures of a run that a reader needs first: ours beside the best peer.

use crate::load::Load;
use crate::measure::{Measured, ProgramRounds, Round};
use crate::report::{median, ratio};
use crate::streams::Streams;
use crate::workload::Workload;

/// The number of connections of the summary and of the chart.
pub const CONNECTIONS: usize = 32;

/// A line of the summary. The best of the peers is the one beside ours.
struct Line {
    what: &'static str,
    ours: &'static str,
    peers: &'static [&'static str],
    figure: Figure,
}

enum Figure {
    /// Processor time of the server for a request in µs.
    Cpu,
    RequestsPerSecond,
    /// The 99.9th percentile of the latency at the fixed rate in ms.
    Latency,
}

const TOUCHING: &[&str] =
    &["axum + tower-sessions, always saving", "salvo-express-session", "actix-session", "Express"];

const PEERS: &[&str] =
    &["axum + tower-sessions", "salvo-express-session", "actix-session", "Express"];

const LINES: &[(Workload, Line)] = &[
    (
        Workload::Read,
        Line {
            what: "authenticated read, session layer alone, cached",
            ours: "axum + tower-express-session, cached",
            peers: PEERS,
            figure: Figure::Cpu,
        },
    ),
    (
        Workload::Read,
        Line {
            what: "… not cached",
            ours: "axum + tower-express-session",
            peers: PEERS,
            figure: Figure::Cpu,
        },
    ),
    (
        Workload::Read,
        Line {
            what: "… not cached, each request touches the session",
            ours: "axum + tower-express-session, always touching",
            peers: TOUCHING,
            figure: Figure::Cpu,
        },
    ),
    (
        Workload::Read,
        Line {
            what: "`GET /session` of the service",
            ours: "checkin auth",
            peers: PEERS,
            figure: Figure::Cpu,
        },
    ),
    (
        Workload::Read,
        Line {
            what: "authenticated read in Express, our store beside connect-redis",
            ours: "Express, merging-session-store",
            peers: &["Express"],
            figure: Figure::Cpu,
        },
    ),
    (
        Workload::Checkin,
        Line {
            what: "check-in with all its checks; the peers check nothing",
            ours: "checkin receiver, duplicates looked for",
            peers: PEERS,
            figure: Figure::Cpu,
        },
    ),
    (
        Workload::Checkin,
        Line {
            what: "… at the fixed rate",
            ours: "checkin receiver, duplicates looked for",
            peers: PEERS,
            figure: Figure::Latency,
        },
    ),
    (
        Workload::Read,
        Line {
            what: "embedded store: `GET /session`",
            ours: "checkin auth",
            peers: &["axum + rusqlite, one transaction each"],
            figure: Figure::RequestsPerSecond,
        },
    ),
    (
        Workload::Checkin,
        Line {
            what: "embedded store: check-ins, each synced to the disk",
            ours: "checkin receiver",
            peers: &["axum + rusqlite, one transaction each"],
            figure: Figure::RequestsPerSecond,
        },
    ),
];

/// Formats the summary. Lines whose programs were not measured are left out.
pub fn table(measured: &[&Measured], streams: Option<&Streams>) -> String {
    let mut text = "| what | ours | best peer | ratio |\n|---|---:|---:|---:|\n".to_owned();
    text.extend(LINES.iter().filter_map(|(workload, line)| line.format(*workload, measured)));
    if let Some(Streams { streams, kib_each, delivery_ms, .. }) = streams {
        let middle = median(delivery_ms.iter().copied());
        text += &format!(
            "| memory of each of {streams} open event streams | {kib_each:.1} KiB | | |\n"
        );
        text += &format!("| a check-in has arrived on all of them | {middle:.0} ms | | |\n");
    }
    text
}

impl Line {
    fn format(&self, workload: Workload, measured: &[&Measured]) -> Option<String> {
        let (ours, peers) = measured
            .iter()
            .filter(|measured| self.is_in(workload, measured))
            .find_map(|measured| {
                let named =
                    |name: &str| measured.programs.iter().find(move |program| program.name == name);
                let peers: Vec<_> = self.peers.iter().filter_map(|name| named(name)).collect();
                Some((named(self.ours)?, peers)).filter(|(_, peers)| !peers.is_empty())
            })?;
        let value = |program: &ProgramRounds| median(program.rounds.iter().map(self.figure()));
        let by_value = |a: &&&ProgramRounds, b: &&&ProgramRounds| value(a).total_cmp(&value(b));
        let best = match self.figure {
            Figure::RequestsPerSecond => peers.iter().max_by(by_value),
            Figure::Cpu | Figure::Latency => peers.iter().min_by(by_value),
        }?;
        let ratio = ratio(ours, best, self.figure());
        let (what, unit, name) = (self.what, self.unit(), best.name);
        let digits = if matches!(self.figure, Figure::Latency) { 2 } else { 1 };
        let [ours, best] = [value(ours), value(best)].map(|value| match self.figure {
            Figure::RequestsPerSecond => format!("{value:.0}"),
            _ => format!("{value:.digits$}"),
        });
        Some(format!("| {what} | {ours} {unit} | {best} {unit}, {name} | **{ratio:.2}** |\n"))
    }

    fn is_in(&self, workload: Workload, measured: &Measured) -> bool {
        let load_fits = match self.figure {
            Figure::Latency => matches!(measured.load, Load::Rate(_)),
            _ => measured.load == Load::Connections(CONNECTIONS),
        };
        measured.workload == workload && load_fits
    }

    fn figure(&self) -> fn(&Round) -> f64 {
        match self.figure {
            Figure::Cpu => |round| round.server_cpu_us_per_request,
            Figure::RequestsPerSecond => |round| round.requests_per_second,
            Figure::Latency => |round| round.p999_us / 1e3,
        }
    }

    fn unit(&self) -> &'static str {
        match self.figure {
            Figure::Cpu => "µs of the server's processor",
            Figure::RequestsPerSecond => "/s",
            Figure::Latency => "ms, 99.9 % within",
        }
    }
}
