//! Environment variables that look like settings but are not.

use std::ffi::OsString;

use clap::Command;

/// The prefix of the variables that are settings.
const PREFIX: &str = "CHECKIN_";

/// The lowest similarity (Jaro-Winkler, 0 to 1) at which a name is taken for a misspelt setting.
const LIKENESS: f64 = 0.85;

/// Logs a warning for each variable that looks like a setting but is not. The value is not logged,
/// because it may be a secret.
pub(super) fn warn_of_unknown(
    command: &Command,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) {
    let known = settings(command);
    for (name, value) in variables {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        if is_unknown(&name, &value, &known) {
            match nearest(&name, &known) {
                Some(near) => {
                    tracing::warn!(
                        "{name} is not a setting and has no effect; did you mean {near}?"
                    );
                }
                None => tracing::warn!("{name} is not a setting and has no effect"),
            }
        }
    }
}

/// Returns the variables of a command and of all its subcommands.
fn settings(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_env());
    let own = own.map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(settings)).collect()
}

fn is_unknown(name: &str, value: &str, known: &[String]) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    !known.iter().any(|known| known == name) && !is_service_link(rest, value)
}

/// Returns whether Kubernetes made this variable (the prefix is cut off) for a service called
/// `checkin` or `checkin-…`. A name that ends in `_PORT` could also be a mistake of a person;
/// Kubernetes gives it the value `tcp://…`.
fn is_service_link(rest: &str, value: &str) -> bool {
    let is_address =
        || ["tcp://", "udp://", "sctp://"].iter().any(|start| value.starts_with(start));
    let ends = |end: &str| rest == end || rest.strip_suffix(end).is_some_and(|x| x.ends_with('_'));
    let has_number = |port: &str| {
        let digits = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
        let protocol = port[digits..].trim_start_matches('_').split('_').next();
        digits > 0 && matches!(protocol, Some("TCP" | "UDP" | "SCTP"))
    };
    ends("SERVICE_HOST")
        || ends("SERVICE_PORT")
        || rest.starts_with("SERVICE_PORT_")
        || rest.contains("_SERVICE_PORT_")
        || rest == "PORT"
        || (rest.ends_with("_PORT") && is_address())
        || rest.match_indices("PORT_").any(|(at, port)| {
            (at == 0 || rest[..at].ends_with('_')) && has_number(&rest[at + port.len()..])
        })
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let alike = |known: &'a String| {
        let (a, b) = (name.trim_start_matches(PREFIX), known.trim_start_matches(PREFIX));
        (strsim::jaro_winkler(a, b), known.as_str())
    };
    let best = known.iter().map(alike).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(likeness, _)| *likeness >= LIKENESS).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        ["CHECKIN_STORE", "CHECKIN_LISTEN", "CHECKIN_SESSION_SECRET"].map(str::to_owned).to_vec()
    }

    #[test]
    fn variables_of_kubernetes_are_not_reported() {
        for (name, value) in [
            ("CHECKIN_STORE", "sqlite:a"),
            ("CHECKIN_SERVICE_HOST", "10.0.0.1"),
            ("CHECKIN_SERVICE_PORT", "8080"),
            ("CHECKIN_SERVICE_PORT_HTTP", "8080"),
            ("CHECKIN_SERVICE_PORT_HTTP_ADMIN", "8081"),
            ("CHECKIN_PORT", "tcp://10.0.0.1:8080"),
            ("CHECKIN_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("CHECKIN_PORT_8080_TCP_PROTO", "tcp"),
            ("CHECKIN_PORT_8080_TCP_PORT", "8080"),
            ("CHECKIN_PORT_53_UDP_ADDR", "10.0.0.1"),
            ("CHECKIN_PORT_9_SCTP", "sctp://10.0.0.1:9"),
            ("CHECKIN_AUTH_SERVICE_HOST", "10.0.0.1"),
            ("CHECKIN_READ_API_SERVICE_PORT_HTTP", "8081"),
            ("CHECKIN_AUTH_PORT", "tcp://10.0.0.1:8083"),
            ("CHECKIN_AUTH_PORT_8083_TCP_ADDR", "10.0.0.1"),
            ("PATH", "/bin"),
            ("CHECKINS", "1"),
        ] {
            assert!(!is_unknown(name, value, &known()), "{name}");
        }
    }

    #[test]
    fn unknown_variables_are_reported() {
        for (name, value) in [
            ("CHECKIN_STOER", "sqlite:a"),
            ("CHECKIN_AUTH_PORT", "8083"),
            ("CHECKIN_SERVICE", "x"),
            ("CHECKIN_PORT_HTTP", "8080"),
            ("CHECKIN_REPORT_1_TCP", "x"),
            ("CHECKIN_", ""),
            ("CHECKIN_store", "x"),
        ] {
            assert!(is_unknown(name, value, &known()), "{name}");
        }
    }

    #[test]
    fn typing_errors_get_a_suggestion() {
        for (name, near) in [
            ("CHECKIN_STOER", Some("CHECKIN_STORE")),
            ("CHECKIN_SESSION_SECRETS", Some("CHECKIN_SESSION_SECRET")),
            ("CHECKIN_LISTN", Some("CHECKIN_LISTEN")),
            ("CHECKIN_COLOUR", None),
        ] {
            assert_eq!(nearest(name, &known()), near, "{name}");
        }
    }
}
