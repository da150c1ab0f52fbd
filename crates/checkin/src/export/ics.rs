//! Writes events for calendars (iCalendar, RFC 5545): the time, the name of the location and its point, the
//! rating and the comment. An event has no end: a check-in is a moment.

use std::fmt::Write as _;
use std::io::{Error, Result, Write};

use icalendar::{Class, Component as _, Event, EventLike as _};
use jiff::Timestamp;

use super::{ExportedCheckin, printable, rated};

const BEGINNING: &str =
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//checkin//checkin//EN\r\nNAME:Check-ins\r\n";

const END: &str = "END:VCALENDAR\r\n";

pub(super) fn begin(out: &mut impl Write) -> Result<()> {
    out.write_all(BEGINNING.as_bytes())
}

pub(super) fn write(out: &mut impl Write, visit: &ExportedCheckin<'_>) -> Result<()> {
    let ExportedCheckin { checkin, location, .. } = visit;
    // A calendar has no years above 9999.
    let Some(time) = time(checkin.time_ms) else { return Ok(()) };
    let mut event = Event::new();
    // The same check-in is the same event when the file is imported again.
    event.uid(&format!("{}.{}@checkin", checkin.id, checkin.user));
    event.add_property("DTSTAMP", &time).add_property("DTSTART", &time);
    match location {
        Some(location) => {
            let (name, point) = (printable(&location.name), location.coordinates);
            event.summary(&name).location(&name);
            event.add_property("GEO", format!("{};{}", point.latitude(), point.longitude()));
            event.categories([location.category.as_str()]);
        }
        None => drop(event.summary("A place that is gone")),
    }
    let mut description = rated(checkin);
    if let Some(comment) = &checkin.comment {
        write!(description, "\n{}", printable(comment.as_str())).map_err(Error::other)?;
    }
    event.description(&description);
    if checkin.is_private {
        event.class(Class::Private);
    }
    out.write_all(event.try_into_string().map_err(Error::other)?.as_bytes())
}

pub(super) fn end(out: &mut impl Write) -> Result<()> {
    out.write_all(END.as_bytes())
}

fn time(ms: u64) -> Option<String> {
    let time = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(time.strftime("%Y%m%dT%H%M%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::written;
    use super::*;

    #[test]
    fn each_check_in_is_an_event() {
        let events = [
            [
                "CLASS:PRIVATE",
                "DESCRIPTION:5 stars\\, private\\n=\"1\"",
                "DTSTAMP:20210102T154125Z",
                "DTSTART:20210102T154125Z",
                "GEO:37.8044;-122.2711",
                "LOCATION:Bits\\, Bobs\\; both",
                "SUMMARY:Bits\\, Bobs\\; both",
                "UID:1793491200000-0.77@checkin",
                "CATEGORIES:cafe",
            ]
            .as_slice(),
            &[
                "DESCRIPTION:5 stars",
                "DTSTAMP:20210102T154125Z",
                "DTSTART:20210102T154125Z",
                "SUMMARY:A place that is gone",
                "UID:1609602085000-1.77@checkin",
            ],
        ];
        let written = written(Format::Ics, "Bits\u{7}, Bobs; both");
        let events =
            events.map(|lines| format!("BEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\n", lines.join("\r\n")));
        assert_eq!(written, format!("{BEGINNING}{}{END}", events.concat()));
    }
}
