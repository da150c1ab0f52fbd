//! The two formats of `/metrics`, and the choice between them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

use super::media_type::MediaType;

/// The format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus text 0.0.4, which all readers of metrics accept.
    Text,
    /// OpenMetrics 1.0.0, for clients that ask for it.
    OpenMetrics,
}

impl Format {
    /// Returns the format that `Accept` asks for: OpenMetrics if it is named and preferred at least
    /// as much as text, otherwise text.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let ranges: Vec<_> = lines.flat_map(MediaType::list).collect();
        let named = quality(&ranges, &["application/openmetrics-text"], "1.0.0");
        let text = quality(&ranges, &["text/plain", "text/*", "*/*"], "0.0.4");
        if named > 0.0 && named >= text { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes all metrics in this format. A metric of several registries is written once, with the
    /// values of all of them.
    ///
    /// # Errors
    ///
    /// If a metric cannot be written.
    pub(super) fn write(self, registries: &[Arc<Registry>]) -> Result<String, fmt::Error> {
        let mut text = String::new();
        for registry in registries {
            encode_registry(&mut text, registry)?;
        }
        let mut text = by_metric(&text);
        encode_eof(&mut text)?;
        Ok(match self {
            Self::Text => to_text(&text),
            Self::OpenMetrics => text,
        })
    }
}

/// Puts the values of each metric together, which both formats require, behind one description.
fn by_metric(text: &str) -> String {
    let mut metrics: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut current = 0;
    for line in text.split_inclusive('\n') {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap_or_default();
            let known = metrics.iter().position(|(metric, _)| *metric == name);
            current = known.unwrap_or(metrics.len());
            if known.is_none() {
                metrics.push((name, Vec::new()));
            }
        }
        if let Some((_, lines)) = metrics.get_mut(current)
            && !(line.starts_with('#') && lines.contains(&line))
        {
            lines.push(line);
        }
    }
    metrics.into_iter().flat_map(|(_, lines)| lines).collect()
}

/// Returns how much a client prefers a media type of this version: the `q` of the most specific
/// range that matches. `names` begin with the most specific one.
fn quality(ranges: &[MediaType], names: &[&str], version: &str) -> f32 {
    let fits = |range: &&MediaType| range.parameter("version").all(|given| given == version);
    let found = names.iter().find_map(|name| {
        let named = ranges.iter().filter(|range| range.essence == *name).filter(fits);
        named.map(q).max_by(f32::total_cmp)
    });
    found.unwrap_or(0.0)
}

fn q(range: &MediaType) -> f32 {
    let given = range.parameter("q").next().map_or(Ok(1.0), str::parse);
    given.ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0)
}

/// Converts OpenMetrics to Prometheus text 0.0.4: a counter has the same name in `HELP` and `TYPE`
/// as in its samples, units have no line, and there is no end marker.
fn to_text(open_metrics: &str) -> String {
    // `HELP` comes before `TYPE`, so the counters must be known first.
    let counters: HashSet<&str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => continue,
            (Some("#"), Some(kind @ ("HELP" | "TYPE")), Some(name), Some(rest))
                if counters.contains(name) =>
            {
                text += &format!("# {kind} {name}_total {rest}");
            }
            _ => text += line,
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::registry::Unit;

    use super::*;

    #[test]
    fn text_is_the_default_format() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, expected) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("application/*", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            ("text/plain; version=0.0.4; charset=utf-8", Format::Text),
            ("application/json", Format::Text),
            ("nonsense", Format::Text),
            (prometheus_2, Format::OpenMetrics),
            (prometheus_3, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text ; Version=\"1.0.0\"", Format::OpenMetrics),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", Format::OpenMetrics),
            ("application/openmetrics-text, text/plain", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.5, text/plain", Format::Text),
            ("application/openmetrics-text;q=0.5, */*;q=0.9", Format::Text),
            ("application/openmetrics-text;q=0.5, text/plain;q=0.1, */*", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=2", Format::Text),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Format::of(&headers), expected, "{accept}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(Format::of(&headers), Format::Text);
        headers.append(ACCEPT, "text/plain;q=0.3".parse().unwrap());
        headers.append(ACCEPT, "application/openmetrics-text".parse().unwrap());
        assert_eq!(Format::of(&headers), Format::OpenMetrics, "several lines are one list");
    }

    /// Returns a registry with a counter and a gauge.
    fn registry(service: &'static str) -> Arc<Registry> {
        let mut registry = Registry::with_labels([("service".into(), service.into())].into_iter());
        registry.register("sent", "What was sent", Counter::<u64>::default());
        registry.register_with_unit("waits", "Time", Unit::Seconds, Gauge::<i64>::default());
        Arc::new(registry)
    }

    #[test]
    fn both_formats_name_counters_correctly() {
        let registries = [registry("a")];
        let open_metrics = Format::OpenMetrics.write(&registries).unwrap();
        assert!(open_metrics.starts_with(
            "# HELP sent What was sent.\n# TYPE sent counter\nsent_total{service=\"a\"} 0\n"
        ));
        assert!(open_metrics.ends_with("# EOF\n"));
        let text = "# HELP sent_total What was sent.\n# TYPE sent_total counter\n\
            sent_total{service=\"a\"} 0\n\
            # HELP waits_seconds Time.\n# TYPE waits_seconds gauge\nwaits_seconds{service=\"a\"} 0\n";
        assert_eq!(Format::Text.write(&registries).unwrap(), text);
    }

    #[test]
    fn a_metric_of_several_registries_is_written_once() {
        let registries = [registry("a"), registry("b")];
        let open_metrics = "# HELP sent What was sent.\n# TYPE sent counter\n\
            sent_total{service=\"a\"} 0\nsent_total{service=\"b\"} 0\n\
            # HELP waits_seconds Time.\n# TYPE waits_seconds gauge\n# UNIT waits_seconds seconds\n\
            waits_seconds{service=\"a\"} 0\nwaits_seconds{service=\"b\"} 0\n# EOF\n";
        assert_eq!(Format::OpenMetrics.write(&registries).unwrap(), open_metrics);
    }
}
