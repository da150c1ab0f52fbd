//! The list of places, and the page of a place, on which people check in.

use askama::Template;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::answer::Listed;
use super::client::{Visitor, add, encoded};
use super::draft::Draft;
use super::notice::Notice;
use super::page::{Frame, Page, sentence};
use super::refusal::Refusal;
use super::views::{DescribedPlace, Place, Visit};
use crate::domain::{Category, StarRating};
use crate::http::{FormBody, FormQuery};

/// Half of the way around the earth, in miles: every place is nearer.
const EVERYWHERE: &str = "12500";

/// The radius of a search near the visitor, in miles.
const NEAR: &str = "10";

#[derive(Template)]
#[template(path = "places.html")]
pub(super) struct Places {
    frame: Frame,
    search: Search,
    heading: String,
    places: Vec<Place>,
    /// The address of the next page.
    next: Option<String>,
}

/// What the visitor looks for.
#[derive(Default)]
struct Search {
    words: Option<String>,
    category: Option<Category>,
    min_stars: Option<String>,
    open_now: bool,
    latitude: Option<String>,
    longitude: Option<String>,
    cursor: Option<String>,
}

impl Search {
    fn of(FormQuery(mut query): FormQuery) -> Self {
        let words = query.remove("q");
        if words.is_some() {
            // A search by name does not know them; the form shows that they do not count.
            for filter in ["category", "minStars", "openNow", "lat", "lng"] {
                query.remove(filter);
            }
        }
        Self {
            words,
            category: query.remove("category").and_then(|text| text.parse().ok()),
            min_stars: query.remove("minStars"),
            open_now: query.contains_key("openNow"),
            latitude: query.remove("lat"),
            longitude: query.remove("lng"),
            cursor: query.remove("cursor"),
        }
    }

    fn is(&self, category: &Category) -> bool {
        self.category == Some(*category)
    }

    fn has_stars(&self, stars: &str) -> bool {
        self.min_stars.as_deref() == Some(stars)
    }

    /// Returns what the form has as a query, without the cursor.
    fn query(&self) -> String {
        let mut query = String::new();
        let stars = self.min_stars.as_deref();
        add(&mut query, "q", self.words.as_deref());
        add(&mut query, "category", self.category.map(Category::as_str));
        add(&mut query, "minStars", stars);
        add(&mut query, "openNow", self.open_now.then_some("true"));
        add(&mut query, "lat", self.latitude.as_deref());
        add(&mut query, "lng", self.longitude.as_deref());
        query
    }

    fn has_filters(&self) -> bool {
        self.min_stars.is_some() || self.open_now
    }
}

pub(super) async fn list(visitor: Visitor, query: FormQuery) -> Result<Page<Places>, Refusal> {
    let frame = Frame::of(&visitor, "places").await?;
    let search = Search::of(query);
    let (heading, mut path) = found(&visitor, &search).await?;
    add(&mut path, "cursor", search.cursor.as_deref());
    let Listed { items: places, next } = visitor.list(&path).await?;
    let next = next.map(|cursor| format!("/places?cursor={cursor}{}", search.query()));
    Ok(Page(Places { frame, search, heading, places, next }))
}

/// Returns the heading of a list and its address in the API. Words are searched in the names; everything else is
/// a circle, around the visitor or around the most popular place.
async fn found(visitor: &Visitor, search: &Search) -> Result<(String, String), Refusal> {
    let category = search.category.map(Category::as_str);
    if let Some(words) = &search.words {
        return Ok((
            format!("Places named “{words}”"),
            format!("/api/locations/search?q={}", encoded(words)),
        ));
    }
    let around = search.latitude.as_deref().zip(search.longitude.as_deref());
    let (heading, latitude, longitude, radius) = match around {
        Some((lat, lng)) => ("Places near you".to_owned(), encoded(lat), encoded(lng), NEAR),
        None if category.is_none() && !search.has_filters() => {
            let path = "/api/locations/bycheckins?period=all";
            return Ok(("Popular places".to_owned(), path.to_owned()));
        }
        None => {
            let top: Listed<Place> = visitor.list("/api/locations/bycheckins?limit=1").await?;
            match top.items.into_iter().next() {
                Some(Place { name, latitude, longitude, .. }) => {
                    let (latitude, longitude) = (latitude.to_string(), longitude.to_string());
                    (format!("Places around {name}"), latitude, longitude, EVERYWHERE)
                }
                None => ("Places".to_owned(), "0".to_owned(), "0".to_owned(), EVERYWHERE),
            }
        }
    };
    let mut path = format!("/api/locations/{latitude}/{longitude}/{radius}?limit=20");
    add(&mut path, "category", category);
    add(&mut path, "minStars", search.min_stars.as_deref());
    add(&mut path, "openNow", search.open_now.then_some("true"));
    Ok((heading, path))
}

#[derive(Template)]
#[template(path = "place.html")]
pub(super) struct PlacePage {
    frame: Frame,
    place: DescribedPlace,
    /// The latest visitors; `None` if nobody is logged in, or if a new account has looked at too many lists.
    visits: Option<Vec<Visit>>,
    /// Why a check-in was refused.
    failure: Option<String>,
    /// What was typed for the check-in that was refused.
    draft: Draft,
}

impl PlacePage {
    async fn of(visitor: &Visitor, id: &str) -> Result<Self, Refusal> {
        let id = encoded(id);
        let frame = Frame::of(visitor, "places").await?;
        let place = visitor.get(&format!("/api/location/{id}?withDetails=true")).await?;
        let visits = match frame.user {
            Some(_) => visitor.side_list(&format!("/api/location/{id}/visitors?limit=10")).await?,
            None => None,
        };
        Ok(Self { frame, place, visits, failure: None, draft: Draft::default() })
    }
}

pub(super) async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Refusal> {
    let page = PlacePage::of(&visitor, &id).await?;
    let Some(draft) = Draft::of(&visitor).filter(|_| page.frame.user.is_some()) else {
        return Ok(Page(page).into_response());
    };
    // The visitor had to log in before.
    let failure = Some("You have not checked in yet. Please choose the stars again.".to_owned());
    let page = Page(PlacePage { failure, draft, ..page }).into_response();
    Ok(Draft::forget(&visitor, &id, page))
}

/// Checks in at the place.
pub(super) async fn check_in(
    visitor: Visitor,
    Path(id): Path<String>,
    FormBody(form): FormBody,
) -> Result<Response, Refusal> {
    let integer = |text: Option<&String>| text.and_then(|text| text.parse::<u64>().ok());
    let stars = integer(form.get("starRating"));
    // The field has several lines, so that the Enter key does not give a rating. A comment has one.
    let words = form.get("comment").map_or("", String::as_str).split_whitespace();
    let draft = Draft {
        comment: words.collect::<Vec<_>>().join(" "),
        is_private: form.contains_key("private"),
    };
    let user = match visitor.own_account().await {
        Ok(account) => account.id,
        Err(refusal) => return Ok(refused(&visitor, &id, refusal, draft).await),
    };
    let checkin = json!({
        "userId": user, "locationId": integer(Some(&id)), "starRating": stars,
        "comment": Some(&draft.comment).filter(|comment| !comment.is_empty()),
        "private": draft.is_private,
    });
    match visitor.send(Method::POST, "/api/checkin", Some(&checkin)).await {
        Ok(answer) => {
            let page = format!("/places/{}", encoded(&id));
            let stars = stars.and_then(|stars| StarRating::try_from(stars).ok());
            let notice = stars.map(Notice::CheckedIn);
            Ok(match notice {
                Some(notice) => answer.redirect_with(&page, notice),
                None => answer.redirect(&page),
            })
        }
        Err(refusal) => Ok(refused(&visitor, &id, refusal, draft).await),
    }
}

/// Shows the page again, and why a check-in was refused. Who is not logged in comes to the login, and finds what was
/// typed on the page afterwards.
async fn refused(visitor: &Visitor, id: &str, refusal: Refusal, draft: Draft) -> Response {
    if refusal.status == StatusCode::UNAUTHORIZED {
        return draft.keep(visitor, id, refusal.into_response());
    }
    let failure = match refusal.status {
        StatusCode::UNPROCESSABLE_ENTITY => {
            "You have checked in here with these stars a moment ago.".to_owned()
        }
        _ => match refusal.rule("comment") {
            Some(rule) => format!("The comment {rule}."),
            None => format!("{}.", sentence(&refusal.detail)),
        },
    };
    match PlacePage::of(visitor, id).await {
        Ok(page) => {
            let page = PlacePage { failure: Some(failure), draft, ..page };
            (refusal.status, Page(page)).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}
