//! Writes an object with the list `checkins`, which can be imported. Each check-in is on a line of
//! its own.

use std::io::{Result, Write};

use serde::Serialize;

use super::ExportedCheckin;
use crate::domain::Comment;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    time: String,
    user_id: u64,
    location_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    location_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude: Option<f64>,
    star_rating: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(rename = "private", skip_serializing_if = "std::ops::Not::not")]
    is_private: bool,
}

pub(super) fn begin(out: &mut impl Write) -> Result<()> {
    out.write_all(b"{\"checkins\":[")
}

pub(super) fn write(
    out: &mut impl Write,
    separator: &str,
    visit: &ExportedCheckin<'_>,
) -> Result<()> {
    let ExportedCheckin { id, checkin, location } = visit;
    let record = Record {
        id: id.map(|id| id.to_string()),
        time: super::time(checkin.time_ms),
        user_id: checkin.user.get(),
        location_id: checkin.location.get(),
        location_name: location.map(|location| location.name.as_str()),
        longitude: location.map(|location| location.coordinates.longitude()),
        latitude: location.map(|location| location.coordinates.latitude()),
        star_rating: checkin.stars.get(),
        comment: checkin.comment.as_ref().map(Comment::as_str),
        is_private: checkin.is_private,
    };
    writeln!(out, "{separator}")?;
    serde_json::to_writer(out, &record).map_err(Into::into)
}

pub(super) fn end(out: &mut impl Write) -> Result<()> {
    out.write_all(b"\n]}\n")
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::written;

    #[test]
    fn each_check_in_is_an_object_on_a_line() {
        assert_eq!(
            written(Format::Json, "Zoë's \"Two\""),
            r#"{"checkins":[
{"id":"1793491200000-0","time":"2021-01-02T15:41:25.397Z","userId":77,"locationId":2,"locationName":"Zoë's \"Two\"","longitude":-122.2711,"latitude":37.8044,"starRating":5,"comment":"=\"1\"","private":true},
{"id":"1609602085000-1","time":"2021-01-02T15:41:25Z","userId":77,"locationId":2,"starRating":5}
]}
"#
        );
    }
}
