//! Reads the session id of a request, and the request extensions that an application may add.

use std::borrow::Cow;
use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use http::request::Parts;

use crate::cookie_options::CookieOptions;
use crate::header;
use crate::options::Options;
use crate::signature::Unsigned;

/// The maximum number of cookies with the session's name that are tried. A browser has at most a
/// few, one for each domain and path.
const MAX_COOKIES: usize = 8;

/// A request extension: the request came over TLS.
///
/// Insert it where this process terminates TLS. Behind a proxy use
/// [`proxy`](crate::SessionLayerBuilder::proxy) instead. It corresponds to `req.secure` of Express.
///
/// ```
/// use axum::extract::Request;
/// use tower_express_session::request::SecureTransport;
///
/// /// For `axum::middleware::map_request`, around the session layer.
/// async fn mark_tls(mut request: Request) -> Request {
///     request.extensions_mut().insert(SecureTransport);
///     request
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SecureTransport;

/// A request extension: the address of the client, for lists of an account's sessions.
///
/// The application inserts it, because it knows whether a proxy's headers can be trusted.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::{ConnectInfo, Request};
/// use tower_express_session::request::ClientAddress;
///
/// /// For `axum::middleware::map_request`, around the session layer, without a proxy in front.
/// async fn add_address(mut request: Request) -> Request {
///     let peer = request.extensions().get().map(|ConnectInfo::<SocketAddr>(peer)| peer.ip());
///     if let Some(address) = peer {
///         request.extensions_mut().insert(ClientAddress(address));
///     }
///     request
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The facts of a request that matter for its session.
#[derive(Debug)]
pub(crate) struct RequestFacts {
    /// The validly signed ids of the request, in order. In strict mode at most the id of the first
    /// cookie.
    pub(crate) ids: Vec<Unsigned>,
    /// Whether the id came in the token header instead of a cookie, so that the response uses that
    /// header, too.
    pub(crate) by_token: bool,
    /// Whether the request came over TLS.
    pub(crate) secure: bool,
    /// The cookie of sessions that this request creates, if it is not the same for all requests.
    pub(crate) cookie: Option<CookieOptions>,
    /// The device and the address, for the list of an account's sessions.
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) address: Option<IpAddr>,
}

impl RequestFacts {
    pub(crate) fn read(request: &Parts, options: &Options) -> Self {
        let token = token(&request.headers, options);
        let cookie = options.cookie_of.as_ref().map(|cookie_of| (cookie_of.0)(request));
        Self {
            ids: match &token {
                Some(token) => options.secrets.verify(token).into_iter().collect(),
                None => cookie_ids(&request.headers, options),
            },
            by_token: token.is_some(),
            secure: is_secure(request, options),
            cookie,
            user_agent: request.headers.get(USER_AGENT).cloned(),
            address: request.extensions.get().map(|ClientAddress(address)| *address),
        }
    }
}

/// Returns the signed value in the token header, which is empty if the client has none yet.
fn token<'a>(headers: &'a HeaderMap, options: &Options) -> Option<Cow<'a, str>> {
    let header = options.token_header.as_ref()?;
    let bearer = headers.get(AUTHORIZATION).map(|line| header::latin1(line.as_bytes()));
    let bearer = bearer.and_then(|line| {
        let (scheme, token) = line.split_once(' ')?;
        let is_ours = token.starts_with("s:") || token.starts_with("s%3A");
        (scheme.eq_ignore_ascii_case("bearer") && is_ours).then(|| token.to_owned().into())
    });
    bearer.or_else(|| headers.get(header).map(|line| header::latin1(line.as_bytes())))
}

/// Returns the validly signed ids in the request's cookies.
fn cookie_ids(headers: &HeaderMap, options: &Options) -> Vec<Unsigned> {
    let mut ids: Vec<Unsigned> = Vec::new();
    // HTTP/2 may split the header into several. Node joins them, and so does this crate.
    let mut lines = headers.get_all(COOKIE).iter().map(|line| header::latin1(line.as_bytes()));
    let Some(mut header) = lines.next() else { return ids };
    for line in lines {
        let header = header.to_mut();
        header.push_str("; ");
        header.push_str(&line);
    }
    // In Express the first cookie counts, even an empty or a forged one. Outside the strict mode
    // the later ones are tried, too, because a stale cookie must not lock a visitor out.
    let tried = if options.strict { 1 } else { MAX_COOKIES };
    for value in header::cookie_values(&header, &options.name).take(tried) {
        let verified = options.secrets.verify(value);
        ids.extend(verified.filter(|new| !ids.iter().any(|known| known.id == new.id)));
    }
    ids
}

/// Returns whether the request came over TLS: express-session's `issecure`.
fn is_secure(request: &Parts, options: &Options) -> bool {
    if request.extensions.get::<SecureTransport>().is_some() {
        return true;
    }
    let forwarded = || {
        let header = request.headers.get("x-forwarded-proto")?;
        header.to_str().ok()?.split(',').next()
    };
    options.proxy && forwarded().is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
}
