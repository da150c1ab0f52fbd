//! Writes waypoints for maps (GPX 1.1): the point, the time, the name of the location and the
//! rating.

use std::io::{Result, Write};

use quick_xml::Writer;
use quick_xml::events::BytesText;

use super::{ExportedCheckin, printable, rated};
use crate::domain::Coordinates;

const BEGINNING: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <gpx version=\"1.1\" creator=\"checkin\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n";

const END: &str = "</gpx>\n";

pub(super) fn begin(out: &mut impl Write) -> Result<()> {
    out.write_all(BEGINNING.as_bytes())
}

pub(super) fn write(out: &mut impl Write, visit: &ExportedCheckin<'_>) -> Result<()> {
    let Some(location) = visit.location else {
        return Ok(());
    };
    let coordinates = location.coordinates;
    let mut writer = Writer::new(&mut *out);
    writer
        .create_element("wpt")
        .with_attribute(("lat", coordinates.latitude().to_string().as_str()))
        .with_attribute(("lon", longitude(coordinates).to_string().as_str()))
        // The schema requires this order.
        .write_inner_content(|writer| {
            if let Some(time) = super::rfc3339(visit.checkin.time_ms) {
                element(writer, "time", &time)?;
            }
            element(writer, "name", &printable(&location.name))?;
            if let Some(comment) = &visit.checkin.comment {
                element(writer, "cmt", &printable(comment.as_str()))?;
            }
            element(writer, "desc", &rated(&visit.checkin))?;
            element(writer, "type", location.category.as_str())
        })?;
    out.write_all(b"\n")
}

pub(super) fn end(out: &mut impl Write) -> Result<()> {
    out.write_all(END.as_bytes())
}

/// The schema excludes 180 degrees east, which is the same as 180 degrees west.
fn longitude(coordinates: Coordinates) -> f64 {
    let longitude = coordinates.longitude();
    if longitude >= 180.0 { -180.0 } else { longitude }
}

fn element(writer: &mut Writer<impl Write>, name: &str, text: &str) -> Result<()> {
    writer.create_element(name).write_text_content(BytesText::new(text)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::written;
    use super::*;

    #[test]
    fn each_check_in_at_a_known_location_is_a_waypoint() {
        let expected = format!(
            "{BEGINNING}<wpt lat=\"37.8044\" lon=\"-122.2711\"><time>2021-01-02T15:41:25.397Z</time>\
             <name>Bits &amp; &lt;Bobs&gt;</name><cmt>=&quot;1&quot;</cmt><desc>5 stars, private</desc><type>cafe</type></wpt>\n{END}"
        );
        assert_eq!(written(Format::Gpx, "Bits\u{7} & <Bobs>"), expected);
    }
}
