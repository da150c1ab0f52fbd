//! Pictures of the map from a server of tiles, if one is configured.

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Response;
use reqwest::Url;

use super::map_view::{HEIGHT, MapView, TILE, WIDTH};
use super::page::POLICY;

/// What stands in an address for the zoom, and for the column and the row of a tile.
const PLACES: [&str; 3] = ["{z}", "{x}", "{y}"];

/// The address of a server's tiles, such as `https://tiles.example.org/{z}/{x}/{y}.png`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TilesUrl {
    address: String,
    origin: String,
}

/// A server of tiles.
#[derive(Clone, Debug)]
pub struct Tiles {
    /// The addresses of the tiles.
    pub url: TilesUrl,
    /// What stands below each map, as the owner of the tiles asks for it.
    pub attribution: Option<String>,
}

/// A tile on a map.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) address: String,
    pub(super) x: i64,
    pub(super) y: i64,
}

/// A text is not the address of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTiles;

impl fmt::Display for NotTiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "must be an address that begins with https:// or http:// and a host name, with {z}, {x} and {y} in its \
             path or query and without a user, such as https://tiles.example.org/{z}/{x}/{y}.png",
        )
    }
}

impl std::error::Error for NotTiles {}

impl FromStr for TilesUrl {
    type Err = NotTiles;

    fn from_str(text: &str) -> Result<Self, NotTiles> {
        let filled = PLACES.iter().try_fold(text.to_owned(), |text, place| {
            text.contains(place).then(|| text.replace(place, "0"))
        });
        let filled = filled.filter(|filled| !filled.contains(['{', '}'])).ok_or(NotTiles)?;
        let url = Url::parse(&filled).map_err(|_| NotTiles)?;
        let origin = url.origin().ascii_serialization();
        // The policy of the pages names the origin, so all tiles have the same one. A policy has no IPv6 addresses.
        let before = text.split('{').next().and_then(|before| Url::parse(before).ok());
        let has_one_origin = before.is_some_and(|before| before.origin() == url.origin());
        let host = url.host_str().unwrap_or_default();
        let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let is_web = matches!(url.scheme(), "https" | "http");
        match is_web && has_one_origin && is_name && is_plain {
            true => Ok(Self { address: text.to_owned(), origin }),
            false => Err(NotTiles),
        }
    }
}

impl Tiles {
    /// Returns the tiles of a map, from its upper left corner on.
    pub(super) fn of(&self, view: &MapView) -> Vec<Tile> {
        let (left, top) = view.corner();
        let all = 1_i64 << view.zoom;
        let range = |start: i64, length: f64| {
            let end = (start + length as i64 - 1).div_euclid(TILE as i64);
            start.div_euclid(TILE as i64).max(0)..=end.min(all - 1)
        };
        let tile = |column: i64, row: i64| {
            let numbers = [view.zoom.into(), column, row].map(|number: i64| number.to_string());
            let address = PLACES
                .iter()
                .zip(&numbers)
                .fold(self.url.address.clone(), |text, (place, number)| {
                    text.replace(place, number)
                });
            Tile { address, x: column * TILE as i64 - left, y: row * TILE as i64 - top }
        };
        let columns = |row| range(left, WIDTH).map(move |column| tile(column, row));
        range(top, HEIGHT).flat_map(columns).collect()
    }
}

/// Lets a page load the tiles, if there are some: pictures of this site and of their origin.
pub(super) fn allowed(tiles: Option<&Tiles>, mut page: Response) -> Response {
    if let Some(tiles) = tiles {
        let pictures = format!("img-src 'self' {}", tiles.url.origin);
        let policy = HeaderValue::try_from(POLICY.replace("img-src 'self'", &pictures));
        let policy = policy.expect("an origin with a host name has visible ASCII characters only");
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::super::map_view::Point;
    use super::*;

    #[test]
    fn all_tiles_have_one_origin() {
        for (text, origin) in [
            ("https://tiles.example.org/{z}/{x}/{y}.png", "https://tiles.example.org"),
            ("HTTPS://Tiles.Example.org:443/{z}/{x}/{y}.png?key=a", "https://tiles.example.org"),
            ("http://127.0.0.1:8090/t?y={y}&x={x}&z={z}", "http://127.0.0.1:8090"),
        ] {
            let url: TilesUrl = text.parse().unwrap();
            assert_eq!((url.origin.as_str(), url.address.as_str()), (origin, text));
        }
        for text in [
            "",
            "https://tiles.example.org/{z}/{x}.png",
            "https://tiles.example.org/{z}/{x}/{y}/{s}.png",
            "https://{z}.example.org/{x}/{y}.png",
            "https://tiles{z}.example.org/{x}/{y}.png",
            "https://tiles.example.org{z}/{x}/{y}.png",
            "https://tiles.example.org:8{z}/{x}/{y}.png",
            "https://a:b@tiles.example.org/{z}/{x}/{y}.png",
            "https://tiles.example.org/#{z}/{x}/{y}.png",
            "https://tiles.example.org;script-src/{z}/{x}/{y}.png",
            "https://[::1]/{z}/{x}/{y}.png",
            "ftp://tiles.example.org/{z}/{x}/{y}.png",
            "data:{z}{x}{y}",
            "//tiles.example.org/{z}/{x}/{y}.png",
        ] {
            assert_eq!(text.parse::<TilesUrl>(), Err(NotTiles), "{text}");
        }
    }

    #[test]
    fn the_tiles_cover_the_map() {
        let url = "https://tiles.example.org/{z}/{x}/{y}.png".parse().unwrap();
        let tiles = Tiles { url, attribution: None };
        let of = |latitude, longitude, zoom| {
            tiles.of(&MapView { center: Point { latitude, longitude }, zoom })
        };
        // The whole earth, which is smaller than the picture.
        let earth = of(0.0, 0.0, 1);
        let addresses: Vec<_> = earth.iter().map(|tile| (&*tile.address, tile.x, tile.y)).collect();
        assert_eq!(
            addresses,
            [
                ("https://tiles.example.org/1/0/0.png", 224, 24),
                ("https://tiles.example.org/1/1/0.png", 480, 24),
                ("https://tiles.example.org/1/0/1.png", 224, 280),
                ("https://tiles.example.org/1/1/1.png", 480, 280),
            ]
        );
        let bay = of(37.8, -122.3, 9);
        let all = |holds: fn(&Tile) -> bool| bay.iter().any(holds);
        assert!(all(|tile| tile.x <= 0 && tile.y <= 0), "{bay:?}");
        assert!(all(|tile| tile.x + 256 >= 960 && tile.y + 256 >= 560), "{bay:?}");
        assert!(bay.iter().all(|tile| tile.x > -256 && tile.x < 960), "{bay:?}");
        assert!(bay.iter().all(|tile| tile.y > -256 && tile.y < 560), "{bay:?}");
        // The map of OpenStreetMap has San Francisco Bay there.
        assert!(bay.iter().any(|tile| tile.address.ends_with("/9/82/197.png")), "{bay:?}");
        assert!((12..=20).contains(&bay.len()), "{}", bay.len());
        // Nothing lies beyond the ends of the earth.
        assert!(of(85.0, 180.0, 3).iter().all(|tile| !tile.address.contains("/8/")));
    }
}
