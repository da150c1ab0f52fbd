//! The cached responses of the weather service.

use super::*;

pub async fn weather_is_kept_for_its_lifetime(subject: StoreUnderTest) {
    const LONG: Duration = Duration::from_secs(600);
    let storage = &*subject.storage;
    let weather = async |id| storage.weather(location_id(id)).await.unwrap();
    assert_eq!(weather(1).await, None);
    storage.keep_weather(location_id(1), r#"{"sky":"☀"}"#, LONG).await.unwrap();
    storage.keep_weather(location_id(3), "3", SHORT).await.unwrap();
    storage.keep_weather(location_id(3), "4", LONG).await.unwrap();
    storage.keep_weather(location_id(4), "5", Duration::MAX).await.unwrap();
    assert_eq!(weather(1).await.as_deref(), Some(r#"{"sky":"☀"}"#));
    storage.keep_weather(location_id(2), "2", SHORT).await.unwrap();
    assert_eq!(weather(2).await.as_deref(), Some("2"));
    (subject.advance)(SHORT).await;
    assert_eq!(weather(2).await, None);
    assert_eq!(weather(3).await.as_deref(), Some("4"));
    assert_eq!(weather(4).await.as_deref(), Some("5"));
    storage.keep_weather(location_id(3), "6", Duration::ZERO).await.unwrap();
    (subject.advance)(Duration::from_millis(2)).await;
    assert_eq!(weather(3).await, None);
}
