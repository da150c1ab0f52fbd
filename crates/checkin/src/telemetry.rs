//! Sets up the log.

use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::io;

use anstream::{AutoStream, ColorChoice};
use futures_util::future::Either;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Json, Writer};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Common, LogFormat};
use crate::traces::current_trace;

/// The target of the log lines about security events, by which programs tell them from all others. Text lines
/// do not show it.
pub(crate) const SECURITY: &str = "security";

/// The version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The stream for log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, as usual for services in containers.
    Stdout,
    /// Standard error, because standard output is for the results of the command.
    Stderr,
}

/// Sends log lines to one of the standard streams. As JSON, each line has the version of the program and
/// its service: the one that runs in this task ([`in_service`]), or else that of the process.
///
/// # Panics
///
/// If it is called twice.
pub fn init(config: &Common, stream: Stream, process: &'static str) {
    let level = LevelFilter::from_level(config.log_level);
    // A command reports an outage itself, as its error.
    let outages = if stream == Stream::Stdout { level } else { LevelFilter::OFF };
    // Libraries log only warnings and errors, whatever our own level is.
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("checkin", level)
        .with_target(SECURITY, level)
        .with_target("tower_express_session", level)
        .with_target("redis_link", level)
        .with_target("sqlite_writer", level)
        // Its errors contain what clients sent.
        .with_target("webauthn_rs", LevelFilter::OFF)
        .with_target("outage_log", outages);
    let (writer, color) = match stream {
        Stream::Stdout => (BoxMakeWriter::new(io::stdout), AutoStream::choice(&io::stdout())),
        Stream::Stderr => (BoxMakeWriter::new(io::stderr), AutoStream::choice(&io::stderr())),
    };
    // If the reader of the stream has gone, errors about that cannot be written, either.
    let lines = fmt::layer().log_internal_errors(false).with_target(false).with_writer(writer);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(color != ColorChoice::Never).boxed(),
        LogFormat::Json => {
            let lines = lines.with_ansi(false).json();
            lines.event_format(Attributed { lines: json_lines(), process }).boxed()
        }
    };
    let plain = (config.log_format == LogFormat::Text).then_some(PlainFields);
    tracing_subscriber::registry().with(filter).with(plain).with(lines).init();
}

tokio::task_local! {
    /// The service that the task works for, if the process has several.
    static SERVICE: &'static str;
}

/// Runs a future whose log lines are those of a service.
///
/// # Cancel safety
///
/// That of the future.
pub fn in_service<T>(
    service: &'static str,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    SERVICE.scope(service, future)
}

/// Calls a function whose log lines are those of a service.
pub fn for_service<T>(service: &'static str, call: impl FnOnce() -> T) -> T {
    SERVICE.sync_scope(service, call)
}

/// Returns the service that the caller's task works for, if the process has several.
pub(crate) fn current_service() -> Option<&'static str> {
    SERVICE.try_with(|service| *service).ok()
}

/// Returns a future whose log lines are those of the service that calls this, for a task of its own.
pub(crate) fn in_current_service<F: Future>(
    future: F,
) -> Either<impl Future<Output = F::Output>, F> {
    match current_service() {
        Some(service) => Either::Left(in_service(service, future)),
        None => Either::Right(future),
    }
}

fn json_lines() -> Format<Json> {
    fmt::format().json().flatten_event(true).with_target(false)
}

/// Writes JSON lines that begin with their service, the version of the program, and the id of the trace
/// if there is one.
struct Attributed {
    lines: Format<Json>,
    process: &'static str,
}

impl<S, N> FormatEvent<S, N> for Attributed
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        let service = current_service().unwrap_or(self.process);
        let rest = line.strip_prefix('{').ok_or(std::fmt::Error)?;
        write!(writer, r#"{{"service":"{service}","version":"{VERSION}","#)?;
        if let Some(trace) = current_trace() {
            write!(writer, r#""trace_id":"{trace}","#)?;
        }
        writer.write_str(rest)
    }
}

/// Writes the fields of a span as text without styles, before the formatter of lines does it with
/// styles. Each request has a span, which few lines show, and styles cost more than the rest of it.
struct PlainFields;

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for PlainFields {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut text = Plain(String::with_capacity(128));
        attributes.record(&mut text);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(FormattedFields::<DefaultFields>::new(text.0));
        }
    }
}

/// Fields as `name="text" name=1`.
struct Plain(String);

impl Visit for Plain {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_shown_as_it_is = |byte| matches!(byte, b' '..=b'~' if byte != b'"' && byte != b'\\');
        if !value.bytes().all(is_shown_as_it_is) {
            return self.record_debug(field, &value);
        }
        let space = if self.0.is_empty() { "" } else { " " };
        for part in [space, field.name(), "=\"", value, "\""] {
            self.0.push_str(part);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = write!(self.0, "{space}{}={value:?}", field.name());
    }
}

/// Returns an error and its causes on one line. A cause that the line already contains is not
/// repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line += ": ";
            line += &text;
        }
        cause = error.source();
    }
    line
}
