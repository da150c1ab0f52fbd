//! The settings. A flag wins over the environment, the environment over the configuration file, and
//! the file over the default.

mod common;
mod encryption;
mod file;
mod lifetimes;
mod network;
mod networks;
mod secret;
mod secret_file;
mod store_url;
mod values;

pub use common::{Common, LogFormat, SERVICE_OPTIONS};
pub use encryption::SessionEncryption;
pub use file::{rule_of, with_file_defaults};
pub use lifetimes::{LifetimeSettings, Lifetimes, Profile};
pub use network::{Network, ProxyHeaders};
pub use networks::{Networks, Origins};
pub use secret::{MIN_SECRET_BYTES, SessionSecret};
pub use secret_file::line as secret_line;
pub use store_url::{RedisUrl, StoreUrl, secret_path};
pub use values::{
    KeyPrefix, MAX_INTEGER, integer, listen_address, positive_time, shown_time, switch, time,
};
