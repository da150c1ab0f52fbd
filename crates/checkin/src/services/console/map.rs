//! The map of the places, drawn on the server: land, tiles if there are some, and a point for each place. It is
//! moved by links, and by a script that asks for the same pages.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::answer::Listed;
use super::client::Visitor;
use super::land;
use super::map_view::{HEIGHT, MAX_LATITUDE, MapView, Point, WIDTH, ZOOMS};
use super::page::{Frame, Page};
use super::refusal::Refusal;
use super::routes::Console;
use super::tiles::{self, Tile, Tiles};
use super::views::Place;
use crate::http::FormQuery;

/// The maximum number of lists of a hundred places that a map reads: those that are the nearest to its center.
const LISTS: usize = 3;

/// How far a link moves the map, as a part of it.
const STEP: f64 = 0.5;

/// A map with places.
pub(super) struct Map {
    pub(super) view: MapView,
    pub(super) land: String,
    pub(super) tiles: Vec<Tile>,
    /// What the owner of the tiles wants to be named as.
    pub(super) attribution: Option<String>,
    pub(super) dots: Vec<Dot>,
}

/// A place on a map.
pub(super) struct Dot {
    pub(super) x: i32,
    pub(super) y: i32,
    /// The radius, which grows with the number of check-ins.
    pub(super) radius: u32,
    pub(super) place: Place,
}

impl Map {
    /// Returns the map of a part of the earth, with those of the places that are in it.
    fn new(view: MapView, places: Vec<Place>, tiles: Option<&Tiles>) -> Self {
        let dots = places.into_iter().filter_map(|place| {
            let (x, y) = view.pixel(place.point());
            let is_inside = (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y);
            let radius = 5 + place.num_checkins.checked_ilog2().unwrap_or_default() / 2;
            let (x, y) = (x.round() as i32, y.round() as i32);
            is_inside.then_some(Dot { x, y, radius, place })
        });
        Self {
            dots: dots.collect(),
            land: land::path(&view),
            tiles: tiles.map(|tiles| tiles.of(&view)).unwrap_or_default(),
            attribution: tiles.and_then(|tiles| tiles.attribution.clone()),
            view,
        }
    }

    /// Returns the map of these places; `None` if there are none.
    pub(super) fn of(mut places: Vec<Place>, tiles: Option<&Tiles>) -> Option<Self> {
        places.sort_by_key(|place| place.id);
        places.dedup_by_key(|place| place.id);
        let points: Vec<Point> = places.iter().map(Place::point).collect();
        (!places.is_empty()).then(|| Self::new(MapView::of(&points), places, tiles))
    }
}

#[derive(Template)]
#[template(path = "map.html")]
struct MapPage {
    frame: Frame,
    map: Map,
    /// Where the links lead, with their names and their signs.
    links: Vec<(&'static str, &'static str, String)>,
}

pub(super) async fn show(
    State(console): State<Console>,
    visitor: Visitor,
    FormQuery(query): FormQuery,
) -> Result<Response, Refusal> {
    let frame = Frame::of(&visitor, "map").await?;
    let number = |name: &str, limit: f64| {
        let number: f64 = query.get(name)?.parse().ok()?;
        (-limit..=limit).contains(&number).then_some(number)
    };
    let view = match ["lat", "lng", "zoom"].map(|name| query.contains_key(name)) {
        [false, false, false] => {
            let top: Listed<Place> = visitor.list("/api/locations/bycheckins?limit=100").await?;
            MapView::of(&top.items.iter().map(Place::point).collect::<Vec<_>>())
        }
        _ => {
            let zoom = query.get("zoom").and_then(|zoom| zoom.parse().ok());
            let zoom = zoom.filter(|zoom| ZOOMS.contains(zoom));
            let point = number("lat", MAX_LATITUDE).zip(number("lng", 180.0));
            let view = point.zip(zoom).map(|((latitude, longitude), zoom)| MapView {
                center: Point { latitude, longitude },
                zoom,
            });
            view.ok_or_else(|| {
                visitor.malformed(
                    "lat must be a number from -85 to 85, lng from -180 to 180, and zoom an integer from 1 to 15",
                )
            })?
        }
    };
    let (tiles, links) = (console.tiles.as_deref(), links(&view));
    let map = Map::new(view, places(&visitor, &view).await?, tiles);
    Ok(tiles::allowed(tiles, Page(MapPage { frame, map, links }).into_response()))
}

/// Returns the places around the center of the map.
async fn places(visitor: &Visitor, view: &MapView) -> Result<Vec<Place>, Refusal> {
    let Point { latitude, longitude } = view.center;
    let circle =
        format!("/api/locations/{latitude:.4}/{longitude:.4}/{:.1}?limit=100", view.radius());
    let (mut places, mut path) = (Vec::new(), circle.clone());
    for _ in 0..LISTS {
        let Listed { items, next } = visitor.list(&path).await?;
        places.extend(items);
        let Some(cursor) = next else { break };
        path = format!("{circle}&cursor={cursor}");
    }
    Ok(places)
}

fn links(view: &MapView) -> Vec<(&'static str, &'static str, String)> {
    let moves = [
        ("Zoom in", "+", view.zoomed(1)),
        ("Zoom out", "−", view.zoomed(-1)),
        ("Move left", "←", Some(view.moved(-STEP, 0.0))),
        ("Move right", "→", Some(view.moved(STEP, 0.0))),
        ("Move up", "↑", Some(view.moved(0.0, -STEP))),
        ("Move down", "↓", Some(view.moved(0.0, STEP))),
    ];
    let link = |(name, sign, view): (_, _, Option<MapView>)| Some((name, sign, view?.address()));
    moves.into_iter().filter_map(link).collect()
}
