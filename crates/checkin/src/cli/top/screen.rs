//! The screen of `checkin top`.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table};

use super::line::{age, mebibytes, milliseconds, number, percent, ranges, sessions};
use crate::config::shown_time;
use crate::usecases::overview::{Overview, PartitionFigures, ProcessFigures, ServiceFigures};

/// The widths of the first two columns, with which all columns fit into 80.
const SERVICE: Constraint = Constraint::Length(9);
const ADDRESS: Constraint = Constraint::Min(16);

/// The maximum number of partitions that are shown.
const MAX_PARTITIONS: usize = 8;

/// What stands in the first line.
pub(super) struct Title {
    /// The address of the store.
    pub(super) store: String,
    /// The time between two readings.
    pub(super) interval: Duration,
}

/// Draws an overview, or that there is none yet.
pub(super) fn draw(frame: &mut Frame<'_>, title: &Title, now_ms: u64, overview: Option<&Overview>) {
    let [top, rest] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(frame.area());
    frame.render_widget(heading(title, now_ms), top);
    let Some(overview) = overview else {
        frame.render_widget(Paragraph::new("\nReading …"), rest);
        return;
    };
    let table = |rows: usize| length(rows + 2);
    let areas = Layout::vertical([
        length(4),
        table(overview.services.len()),
        length(overview.unanswered.len()),
        table(overview.partitions.len().min(MAX_PARTITIONS)),
        table(overview.processors.len()),
        Constraint::Fill(1),
    ]);
    let [first, second, third, fourth, fifth, _] = areas.areas(rest);
    frame.render_widget(summary(overview), first);
    frame.render_widget(services(overview, now_ms), second);
    frame.render_widget(unanswered(overview), third);
    frame.render_widget(log(&overview.partitions), fourth);
    frame.render_widget(processors(overview), fifth);
}

fn length(rows: usize) -> Constraint {
    Constraint::Length(u16::try_from(rows).unwrap_or(u16::MAX))
}

fn heading(title: &Title, now_ms: u64) -> Line<'static> {
    let time = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = time.map(|time| time.strftime("%H:%M:%S UTC").to_string()).unwrap_or_default();
    let interval = shown_time(title.interval);
    Line::from(vec![
        "checkin top".bold(),
        format!("  {time}  every {interval}  q quits  {}", title.store).into(),
    ])
}

fn summary(overview: &Overview) -> Paragraph<'static> {
    let store = &overview.store;
    let is_late = overview.oldest_waiting_seconds() > 60.0;
    let health = match &store.error {
        None => figure("store", milliseconds(store.ping_ms), false),
        Some(error) => figure("store", error.clone(), true),
    };
    Paragraph::new(vec![
        Line::from(
            [
                figure("check-ins/s", number(overview.checkins_per_second), false),
                figure("applied/s", number(overview.applied_per_second), false),
                figure("waiting", overview.waiting().to_string(), is_late),
                figure("oldest", age(overview.oldest_waiting_seconds()), is_late),
                figure(
                    "dead letters",
                    overview.dead_letters().to_string(),
                    overview.dead_letters() > 0,
                ),
            ]
            .concat(),
        ),
        Line::from(
            [
                figure("logins/s", number(overview.logins_per_second), false),
                figure("failed/s", number(overview.failed_logins_per_second), false),
                figure("throttled/s", number(overview.throttled_per_second), false),
                figure("sessions", sessions(overview.sessions), false),
                figure("cache hits", percent(overview.cache_hit_rate), false),
            ]
            .concat(),
        ),
        Line::from(
            [
                health,
                figure("requests/s", number(store.requests_per_second), false),
                figure("p99", milliseconds(store.p99_ms), false),
                figure(
                    "failures/s",
                    number(store.failures_per_second),
                    store.failures_per_second > 0.0,
                ),
            ]
            .concat(),
        ),
    ])
}

/// Returns a name and its value, which is red if somebody should look at it.
fn figure(name: &'static str, value: String, is_bad: bool) -> Vec<Span<'static>> {
    vec![format!("{name} ").dim(), Span::styled(value, alarm(is_bad).bold()), "  ".into()]
}

fn services(overview: &Overview, now_ms: u64) -> Table<'static> {
    let rows = overview.services.iter().map(|service| service_row(service, now_ms));
    let header = ["service", "address", "req/s", "5xx/s", "p99", "open", "cpu", "memory", "up for"];
    let rest = [6, 5, 8, 4, 5, 8, 11].map(Constraint::Length);
    let widths = [SERVICE, ADDRESS].into_iter().chain(rest);
    table("Services", rows, widths, header)
}

fn service_row(service: &ServiceFigures, now_ms: u64) -> Row<'static> {
    let of_process = |show: &dyn Fn(&ProcessFigures) -> String| {
        service.process.as_ref().map(show).unwrap_or_default()
    };
    let row = Row::new([
        service.service.clone(),
        host(&service.address),
        number(service.requests_per_second),
        number(service.errors_per_second),
        milliseconds(service.p99_ms),
        format!("{:.0}", service.in_flight),
        of_process(&|process| percent(Some(process.cpu))),
        of_process(&|process| mebibytes(process.memory_bytes)),
        of_process(&|process| age(now_ms as f64 / 1000.0 - process.started_seconds)),
    ]);
    row.style(alarm(service.errors_per_second > 0.0))
}

/// Returns the ports without an answer, below the services.
fn unanswered(overview: &Overview) -> Table<'static> {
    let rows = overview.unanswered.iter().map(|port| {
        let row = Row::new(["no answer".to_owned(), host(&port.address), port.reason.clone()]);
        row.style(alarm(true))
    });
    Table::new(rows, [SERVICE, ADDRESS, Constraint::Fill(3)])
}

/// Returns an address without what is the same for most of them.
fn host(address: &str) -> String {
    address.trim_start_matches("http://").to_owned()
}

fn log(partitions: &[PartitionFigures]) -> Table<'static> {
    let mut partitions = partitions.to_vec();
    // Those that need somebody are visible, also if there is no room for all.
    partitions.sort_by_key(|partition| Reverse((partition.lost, partition.waiting)));
    let rows = partitions.into_iter().map(|partition| {
        let row = Row::new([
            partition.partition.to_string(),
            partition.entries.to_string(),
            partition.waiting.to_string(),
            age(partition.oldest_waiting_seconds),
            partition.dead_letters.to_string(),
            partition.lost.to_string(),
        ]);
        row.style(alarm(partition.lost + partition.dead_letters > 0))
    });
    let widths = [9, 12, 10, 14, 12, 8].map(Constraint::Length);
    let header = ["partition", "entries", "waiting", "oldest", "dead letters", "lost"];
    table("Log", rows, widths, header)
}

fn processors(overview: &Overview) -> Table<'static> {
    let rows = overview.processors.iter().map(|processor| {
        let partitions = match processor.held.as_slice() {
            [] => format!("{:.0}", processor.partitions),
            held => ranges(held),
        };
        Row::new([host(&processor.address), partitions, number(processor.applied_per_second)])
    });
    let widths = [ADDRESS, Constraint::Length(30), Constraint::Length(12)];
    table("Processors", rows, widths, ["address", "partitions", "applied/s"])
}

/// Returns the style of a row that somebody should look at, or of another one.
fn alarm(is_bad: bool) -> Style {
    if is_bad { Style::new().fg(Color::Red) } else { Style::new() }
}

fn table<const N: usize>(
    title: &'static str,
    rows: impl IntoIterator<Item = Row<'static>>,
    widths: impl IntoIterator<Item = Constraint>,
    header: [&'static str; N],
) -> Table<'static> {
    let block = Block::new().borders(Borders::TOP).title(title.bold());
    Table::new(rows, widths).header(Row::new(header).dim()).block(block)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Cell;

    use super::*;
    use crate::usecases::overview::tests::reading;

    const BEFORE: &str = "http_requests_in_flight{service=\"receiver\"} 0\n\
        http_requests_total{service=\"receiver\",route=\"/api/checkin\",status=\"202\"} 100\n\
        process_cpu_seconds_total{service=\"up\"} 1\n\
        process_resident_memory_bytes{service=\"up\"} 52428800\n\
        process_start_time_seconds{service=\"up\"} 100\n\
        checkin_partitions{service=\"processor\"} 1\n\
        checkin_partition_held{service=\"processor\",partition=\"0\"} 1\n\
        checkin_partition_held{service=\"processor\",partition=\"1\"} 1\n\
        checkin_partition_held{service=\"processor\",partition=\"5\"} 1\n\
        checkin_applied_total{service=\"processor\"} 90\n\
        checkin_backlog{service=\"processor\",partition=\"0\"} 10\n\
        checkin_dead_letters_waiting{service=\"processor\",partition=\"0\"} 2";

    fn drawn(width: u16, height: u16, overview: Option<&Overview>) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let title =
            Title { store: "sqlite:checkin.db".to_owned(), interval: Duration::from_secs(2) };
        terminal.draw(|frame| draw(frame, &title, 160_000, overview)).unwrap();
        let buffer = terminal.backend().buffer();
        let lines = buffer.content.chunks(usize::from(width).max(1));
        lines.map(|line| line.iter().map(Cell::symbol).collect::<String>()).collect()
    }

    fn overview() -> Overview {
        let start = Instant::now();
        let after = BEFORE
            .replace("} 100\nprocess_cpu", "} 190\nprocess_cpu")
            .replace("total{service=\"up\"} 1", "total{service=\"up\"} 1.5");
        let before =
            reading(start, 0, &[("http://127.0.0.1:8082", BEFORE), ("http://b:1", "refused")]);
        let after =
            reading(start, 2, &[("http://127.0.0.1:8082", &after), ("http://b:1", "refused")]);
        Overview::between(&before, &after)
    }

    #[test]
    fn a_small_terminal_shows_everything() {
        let lines = drawn(80, 24, Some(&overview()));
        let text = lines.join("\n");
        for shown in [
            "checkin top  00:02:40 UTC  every 2s  q quits  sqlite:checkin.db",
            "check-ins/s 45.0",
            "waiting 10",
            "dead letters 2",
            "store not asked",
            "no answer b:1",
            "refused",
            "Processors",
            "0-1,5",
        ] {
            assert!(text.contains(shown), "{shown:?} is missing:\n{text}");
        }
        let line = lines.iter().find(|line| line.starts_with("receiver")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = [
            "receiver",
            "127.0.0.1:8082",
            "45.0",
            "0.0",
            "-",
            "0",
            "25",
            "%",
            "50",
            "MiB",
            "1",
            "min",
            "0",
            "s",
        ];
        assert_eq!(words, expected, "{text}");
    }

    #[test]
    fn every_size_can_be_drawn() {
        let overview = overview();
        for (width, height) in [(0, 0), (1, 1), (20, 5), (80, 10), (250, 100)] {
            drawn(width, height, Some(&overview));
            drawn(width, height, None);
        }
        assert!(drawn(80, 24, None).concat().contains("Reading …"));
    }
}
