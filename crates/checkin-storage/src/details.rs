//! Location details as one JSON text, in the form of an import file.

use serde_json::{Map, Value, json};

use crate::{Result, StorageError};
use checkin_domain::{
    DayHours, DetailsSection, LocationDetails, LocationId, OpeningHours, Social, Website, Weekday,
};

/// Returns the JSON text of `details`.
pub fn to_json(details: &LocationDetails) -> String {
    let socials = details.socials.iter().map(|social| {
        Value::Object(Map::from_iter([(social.network.clone(), json!(social.handle))]))
    });
    let hours = Weekday::ALL.into_iter().filter_map(|day| {
        let hours = details.hours.day(day)?.to_string();
        Some(json!({"day": day.as_str(), "hours": hours}))
    });
    json!({
        "id": details.id.get(),
        "description": details.description,
        "website": details.website.as_ref().map(Website::as_str),
        "phone": details.phone,
        "socials": socials.collect::<Value>(),
        "hours": hours.collect::<Value>(),
    })
    .to_string()
}

/// Reads these sections of the details of the location `id` from their JSON text; the other sections are
/// empty. A field that is optional in an import file is optional here. If a day is not named, its
/// hours are unknown.
///
/// # Errors
///
/// The error names the location and the field, never the value.
pub fn from_json(
    id: LocationId,
    text: &str,
    sections: &[DetailsSection],
) -> Result<LocationDetails> {
    let wrong = |field: &str| {
        StorageError::unreadable(format!(
            "details of location {id}: {field} must be there and valid"
        ))
    };
    let json: Value = serde_json::from_str(text).map_err(|_| wrong("the JSON text"))?;
    let mut details = LocationDetails {
        id,
        description: String::new(),
        website: None,
        phone: None,
        socials: Vec::new(),
        hours: OpeningHours::default(),
    };
    for section in sections {
        match section {
            DetailsSection::Description => {
                let text = json["description"].as_str().ok_or_else(|| wrong("description"))?;
                text.clone_into(&mut details.description);
            }
            DetailsSection::Website => {
                let website = text_of(&json["website"]).map(str::parse).transpose();
                details.website = website.map_err(|_| wrong("website"))?;
            }
            DetailsSection::Phone => details.phone = text_of(&json["phone"]).map(str::to_owned),
            DetailsSection::Socials => details.socials = socials(&json["socials"]),
            DetailsSection::Hours => {
                details.hours = hours(&json["hours"]).ok_or_else(|| wrong("hours"))?;
            }
        }
    }
    Ok(details)
}

/// Returns the text if it is not empty.
fn text_of(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// Reads one object, or a list of objects.
fn socials(value: &Value) -> Vec<Social> {
    let objects = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let entries = objects.iter().filter_map(Value::as_object).flatten();
    entries
        .filter_map(|(network, handle)| {
            let handle = handle.as_str()?.to_owned();
            Some(Social { network: network.clone(), handle })
        })
        .collect()
}

fn hours(value: &Value) -> Option<OpeningHours> {
    let mut days = [const { None }; 7];
    for entry in value.as_array()? {
        let day: Weekday = entry["day"].as_str()?.parse().ok()?;
        let hours: DayHours = entry["hours"].as_str()?.parse().ok()?;
        days[day.index()] = Some(hours);
    }
    OpeningHours::known(days).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> LocationId {
        LocationId::try_from(number).unwrap()
    }

    #[test]
    fn missing_sections_are_empty() {
        let text = r#"{"description":"Coffee.","phone":"","socials":{"a":"b","c":"d"},"hours":[]}"#;
        let details = from_json(id(1), text, &DetailsSection::ALL).unwrap();
        assert_eq!((details.website, details.phone), (None, None));
        assert_eq!(details.socials.len(), 2);
    }

    #[test]
    fn a_section_is_read_if_another_one_cannot_be() {
        let text = r#"{"description":7,"website":"javascript:x","phone":"1","hours":[]}"#;
        let read = |section| from_json(id(1), text, &[section]);
        assert_eq!(read(DetailsSection::Phone).unwrap().phone.as_deref(), Some("1"));
        assert!(read(DetailsSection::Hours).is_ok() && read(DetailsSection::Socials).is_ok());
        assert!(read(DetailsSection::Description).is_err());
        assert!(read(DetailsSection::Website).is_err());
    }

    #[test]
    fn an_error_names_the_location_and_the_field_and_not_the_value() {
        for (text, field) in [
            ("hunter2", "the JSON text"),
            (r#"{"description":7,"hours":[]}"#, "description"),
            (r#"{"description":"","website":"javascript:hunter2","hours":[]}"#, "website"),
            (r#"{"description":"","hours":[{"day":"Monday","hours":"hunter2"}]}"#, "hours"),
        ] {
            let error = from_json(id(7), text, &DetailsSection::ALL).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(cause, format!("details of location 7: {field} must be there and valid"));
        }
    }
}
