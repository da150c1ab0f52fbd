//! A client of the weather service: OpenWeatherMap's current weather, or a service with the same
//! API.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde_json::Value;

use crate::domain::Coordinates;
use crate::telemetry::chain;

/// The maximum time to connect, which is part of the next limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum time of a whole request, for which a person waits.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of a response, more than a hundred times the usual size.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Sends requests to the weather service.
#[derive(Clone)]
pub struct Upstream {
    client: Client,
    url: Url,
    key: WeatherKey,
}

/// The API key of the weather service. It is never shown.
#[derive(Clone)]
pub struct WeatherKey(String);

/// The weather service cannot be used.
#[derive(Debug)]
pub struct UpstreamError(Box<dyn std::error::Error + Send + Sync>);

/// The reason why there is no weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service cannot be reached, or is too slow.
    Unavailable,
    /// The response does not contain the weather.
    Unknown,
}

impl Upstream {
    /// Creates a client of the weather service at this address.
    ///
    /// # Errors
    ///
    /// If the address is not a URL, or this machine has no root certificates.
    pub fn new(url: &str, key: WeatherKey) -> Result<Self, UpstreamError> {
        let url = Url::parse(url).map_err(|error| UpstreamError(error.into()))?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .build()
            .map_err(|error| UpstreamError(error.into()))?;
        Ok(Self { client, url, key })
    }

    /// Returns the weather at a location as the service describes it: a JSON object.
    pub(crate) async fn weather(&self, place: Coordinates) -> Result<String, Failure> {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("lat", &place.latitude().to_string())
            .append_pair("lon", &place.longitude().to_string())
            .append_pair("units", "imperial")
            .append_pair("appid", &self.key.0);
        let response = self.client.get(url).send().await.map_err(unavailable)?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            tracing::warn!(http.status = status, "the weather service responded with an error");
            return Err(Failure::Unknown);
        }
        let body = read(response).await?;
        match serde_json::from_slice::<Value>(&body) {
            Ok(Value::Object(weather)) => Ok(Value::Object(weather).to_string()),
            _ => {
                tracing::warn!("the response of the weather service is not a JSON object");
                Err(Failure::Unknown)
            }
        }
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            tracing::warn!("the response of the weather service is too long");
            return Err(Failure::Unknown);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unavailable(error: reqwest::Error) -> Failure {
    // The address contains the key.
    let cause = error.without_url();
    tracing::warn!(cause = %chain(&cause), "the weather service cannot be reached");
    Failure::Unavailable
}

impl FromStr for WeatherKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err("must not be empty");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for WeatherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeatherKey")
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the weather service cannot be used")
    }
}

impl std::error::Error for UpstreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}
