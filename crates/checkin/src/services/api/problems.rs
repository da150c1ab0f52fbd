//! The errors of the service as problems.

use std::time::Duration;

use axum::http::StatusCode;

use crate::http::Problem;
use crate::usecases::feed::ListenError;
use crate::usecases::newcomers::LookUpError;
use crate::usecases::statistics::StatisticsError;
use crate::usecases::upstream::Failure;
use crate::usecases::weather::WeatherError;

/// The time after which clients may try again when the weather service failed.
const WEATHER_RETRY: Duration = Duration::from_secs(10);

/// The time after which one of a user's computations has probably ended.
const STATISTICS_RETRY: Duration = Duration::from_secs(1);

impl From<ListenError> for Problem {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Full => Self::busy(),
            ListenError::Storage(error) => error.into(),
        }
    }
}

impl From<LookUpError> for Problem {
    fn from(error: LookUpError) -> Self {
        match error {
            LookUpError::TooMany(quota) => Self::too_many(quota),
            LookUpError::Storage(error) => error.into(),
        }
    }
}

impl From<StatisticsError> for Problem {
    fn from(error: StatisticsError) -> Self {
        match error {
            StatisticsError::TooMany => {
                let detail = "too many statistics of this user are being computed; try again later";
                Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(STATISTICS_RETRY)
            }
            StatisticsError::Storage(error) => error.into(),
        }
    }
}

impl From<WeatherError> for Problem {
    fn from(error: WeatherError) -> Self {
        match error {
            WeatherError::UnknownLocation => Self::missing("location"),
            WeatherError::NoKey => {
                let detail = "the weather is unavailable: no key for the weather service is set";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
            WeatherError::Upstream(Failure::Unavailable) => {
                let detail = "the weather service cannot be reached";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(WEATHER_RETRY)
            }
            WeatherError::Upstream(Failure::Unknown) => {
                let detail = "the response of the weather service did not contain the weather";
                Self::new(StatusCode::BAD_GATEWAY, detail).retry_after(WEATHER_RETRY)
            }
            WeatherError::Storage(error) => error.into(),
        }
    }
}
