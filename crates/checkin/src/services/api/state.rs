//! The state that the routes share.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{BoxFuture, Shared};

use crate::http::ClientLimits;
use crate::storage::{Directory, History, Locations, Log, Privacy, Users, WeatherCache};
use crate::usecases::accounts::Accounts;
use crate::usecases::feed::Feed;
use crate::usecases::look_ups::LookUps;
use crate::usecases::nearby::NearbyLocations;
use crate::usecases::newcomers::Newcomers;
use crate::usecases::statistics::UserStatistics;
use crate::usecases::weather::WeatherLookup;
use crate::usecases::whereabouts::Whereabouts;

/// The parts of the storage that the service reads.
#[derive(Clone)]
pub struct Stores {
    /// The accounts.
    pub users: Arc<dyn Users>,
    /// The locations.
    pub locations: Arc<dyn Locations>,
    /// The lists of users and locations.
    pub directory: Arc<dyn Directory>,
    /// The histories of users and locations.
    pub history: Arc<dyn History>,
    /// The log of all check-ins.
    pub log: Arc<dyn Log>,
    /// What accounts choose about their privacy.
    pub privacy: Arc<dyn Privacy>,
    /// The cache of weather reports.
    pub weather: Arc<dyn WeatherCache>,
}

/// The state of the service.
pub(super) struct Api {
    pub(super) stores: Stores,
    pub(super) accounts: Accounts,
    pub(super) whereabouts: Whereabouts,
    pub(super) newcomers: Newcomers,
    pub(super) look_ups: LookUps,
    pub(super) nearby: NearbyLocations,
    pub(super) statistics: UserStatistics,
    pub(super) weather: WeatherLookup,
    pub(super) feed: Arc<Feed>,
    pub(super) limits: ClientLimits,
    pub(super) stopping: Stopping,
}

/// A future that completes when the process stops.
type Stopping = Shared<BoxFuture<'static, ()>>;

/// Returns the time in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stores")
    }
}
