//! Reads what another process shows at `/metrics`, and compares two readings.
//!
//! It reads the text format as our own services write it: no timestamps, one sample a line. The crates that
//! parse it bring a second date library or a licence that this project does not accept.

use std::fmt;

/// The values of `/metrics` at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

/// One value, with its name and its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// The labels that a sample must have, with one of these values each.
pub type Wanted<'a> = &'a [(&'a str, &'a [&'a str])];

/// A text is not in Prometheus' format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMetrics;

/// Returns the sum of numbers. Unlike that of the standard library, the sum of nothing is 0 and not -0.
pub fn total(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |sum, number| sum + number)
}

impl Samples {
    /// Parses the text of a response.
    ///
    /// # Errors
    ///
    /// If it is not in Prometheus' text format, or contains no sample.
    pub fn parse(text: &str) -> Result<Self, NotMetrics> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples: Option<Vec<Sample>> = lines.map(Sample::parse).collect();
        match samples {
            Some(samples) if !samples.is_empty() => Ok(Self(samples)),
            _ => Err(NotMetrics),
        }
    }

    /// Adds the samples of another port of the same process, without those that are here already.
    pub fn merge(&mut self, other: Self) {
        for sample in other.0 {
            if self.twin(&sample).is_none() {
                self.0.push(sample);
            }
        }
    }

    /// Returns the samples with this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// Returns the sum of the samples with this name and these labels.
    #[must_use]
    pub fn sum(&self, name: &str, wanted: Wanted<'_>) -> f64 {
        total(self.named(name).filter(|sample| sample.has(wanted)).map(|sample| sample.value))
    }

    /// Returns how much the counters with this name and these labels have grown since an earlier reading of
    /// the same process. A counter that became smaller has begun again at 0. A service that the earlier reading did
    /// not contain has no growth.
    #[must_use]
    pub fn growth(&self, earlier: &Self, name: &str, wanted: Wanted<'_>) -> f64 {
        let samples = self.named(name).filter(|sample| sample.has(wanted));
        total(samples.map(|sample| sample.growth(earlier)))
    }

    /// Returns a quantile (0 to 1) of what a histogram has observed since an earlier reading, or `None` if it has
    /// observed nothing. Like Prometheus, it takes the values of a bucket to be spread evenly, and the highest bound
    /// for everything above it.
    #[must_use]
    pub fn quantile(
        &self,
        earlier: &Self,
        quantile: f64,
        name: &str,
        wanted: Wanted<'_>,
    ) -> Option<f64> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.named(&format!("{name}_bucket")).filter(|sample| sample.has(wanted)) {
            let bound: f64 = sample.label("le").parse().ok()?;
            let growth = sample.growth(earlier);
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += growth,
                None => buckets.push((bound, growth)),
            }
        }
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let all = buckets.last().map(|(_, all)| *all).filter(|all| *all > 0.0)?;
        let rank = quantile * all;
        let (mut below, mut counted) = (0.0, 0.0);
        for (bound, growth) in buckets {
            if growth >= rank && bound.is_finite() {
                return Some(
                    below + (bound - below) * (rank - counted) / (growth - counted).max(1.0),
                );
            }
            (below, counted) = (if bound.is_finite() { bound } else { below }, growth);
        }
        Some(below)
    }

    fn has_service(&self, service: &str) -> bool {
        self.0.iter().any(|sample| sample.label("service") == service)
    }

    fn twin(&self, of: &Sample) -> Option<&Sample> {
        self.0.iter().find(|sample| sample.name == of.name && sample.labels == of.labels)
    }
}

impl Sample {
    /// Returns the value of a label, or an empty text.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        let label = self.labels.iter().find(|(known, _)| known == name);
        label.map_or("", |(_, value)| value)
    }

    fn has(&self, wanted: Wanted<'_>) -> bool {
        wanted.iter().all(|(label, values)| values.contains(&self.label(label)))
    }

    fn growth(&self, earlier: &Samples) -> f64 {
        match earlier.twin(self) {
            Some(before) if before.value <= self.value => self.value - before.value,
            // It has begun again, or is the first one with these labels.
            Some(_) => self.value,
            None if earlier.has_service(self.label("service")) => self.value,
            None => 0.0,
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at(end);
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let value = value.trim().parse().ok()?;
        (!name.is_empty() && name.chars().all(is_name)).then(|| Self {
            name: name.to_owned(),
            labels,
            value,
        })
    }
}

/// Parses labels behind their opening brace, and returns them with what stands behind the closing one.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, c) => value.push(c),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &quoted[end + 1..];
    }
}

impl fmt::Display for NotMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response is not in Prometheus' text format")
    }
}

impl std::error::Error for NotMetrics {}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(text: &str) -> Samples {
        Samples::parse(text).unwrap()
    }

    #[test]
    fn texts_are_parsed() {
        let read = samples(
            "# HELP a Help.\n# TYPE a counter\na_total{x=\"1\",y=\"a \\\"b\\\" {c}, \\\\d\\n\"} 2\na_total{} 3\nb 4.5e3\n\
             c_bucket{le=\"+Inf\"} 7\n",
        );
        assert_eq!(read.0.len(), 4);
        assert_eq!(read.named("a_total").next().unwrap().label("y"), "a \"b\" {c}, \\d\n");
        assert_eq!(read.sum("a_total", &[]), 5.0);
        assert_eq!(read.sum("a_total", &[("x", &["1", "2"])]), 2.0);
        assert_eq!(read.sum("b", &[]), 4500.0);
        assert_eq!(read.sum("absent", &[]).to_string(), "0");
        for wrong in
            ["", "# nothing\n", "<!doctype html>\n", "a{b=\"c} 1\n", "a{b} 1", "a x", "a", " 1"]
        {
            assert_eq!(Samples::parse(wrong), Err(NotMetrics), "{wrong:?}");
        }
    }

    #[test]
    fn counters_grow() {
        let before = samples("a_total{x=\"1\"} 10\na_total{x=\"2\"} 10");
        for (after, wanted, growth) in [
            ("a_total{x=\"1\"} 13\na_total{x=\"2\"} 11", &[][..], 4.0),
            ("a_total{x=\"1\"} 13\na_total{x=\"2\"} 11", &[("x", &["2"][..])][..], 1.0),
            // The process began again.
            ("a_total{x=\"1\"} 3", &[], 3.0),
            // A label value that was not there before.
            ("a_total{x=\"1\"} 10\na_total{x=\"3\"} 2", &[], 2.0),
            ("b_total 1", &[], 0.0),
            // A port of the same process that has not answered before.
            ("a_total{service=\"auth\"} 9", &[], 0.0),
        ] {
            assert_eq!(samples(after).growth(&before, "a_total", wanted), growth, "{after}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_growth() {
        let text = |a: u64, b: u64, c: u64| {
            samples(&format!(
                "h_bucket{{le=\"1\"}} {a}\nh_bucket{{le=\"2\"}} {b}\nh_bucket{{le=\"+Inf\"}} {c}"
            ))
        };
        let before = text(10, 10, 10);
        for (after, quantile, expected) in [
            (text(10, 10, 10), 0.5, None),
            (text(20, 20, 20), 0.5, Some(0.5)),
            (text(10, 20, 20), 0.5, Some(1.5)),
            (text(15, 20, 20), 0.99, Some(1.98)),
            // Above the highest bound.
            (text(10, 10, 20), 0.5, Some(2.0)),
        ] {
            assert_eq!(after.quantile(&before, quantile, "h", &[]), expected, "{after:?}");
        }
    }

    #[test]
    fn ports_of_one_process_are_merged() {
        let mut read = samples("a 1\nb{x=\"1\"} 2");
        read.merge(samples("a 1\nb{x=\"2\"} 3"));
        assert_eq!(read, samples("a 1\nb{x=\"1\"} 2\nb{x=\"2\"} 3"));
    }
}
