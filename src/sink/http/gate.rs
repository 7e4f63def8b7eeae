//! Who may come in: the token, and that a browser asks for this page's own sake, not for another site's.
//!
//! Everything here is arithmetic on a request's head, without network or files.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::hex::hex;

/// The shortest token that may be chosen, in characters. One that is made has 32.
const MIN_TOKEN_CHARS: usize = 16;
/// The longest.
const MAX_TOKEN_CHARS: usize = 128;
/// Wrong tokens that are answered a second; more are told to slow down.
const WRONG_TOKENS_HZ: f64 = 5.0;

/// How a request showed that it may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// By the token itself, in its address or as `Authorization: Bearer`.
    Token,
    /// By the cookie of an earlier visit.
    Cookie,
    /// By the token of the picture, which opens [`VIEWS`] and nothing else.
    ViewToken,
    /// By its cookie.
    ViewCookie,
}

/// What who may see the picture is given.
const VIEWS: [&str; 7] = ["/view", "/view.js", "/style.css", "/icon.svg", "/stream", "/frame.jpg", "/frame.png"];

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) why: &'static str,
}

const fn refused(status: StatusCode, why: &'static str) -> Refusal {
    Refusal { status, why }
}

/// Checks the head of every request.
pub(super) struct Gate {
    local: SocketAddr,
    token: String,
    token_digest: [u8; 32],
    cookie_name: String,
    cookie: String,
    cookie_digest: [u8; 32],
    /// The same for who may see the picture and nothing else.
    view_token: String,
    view_token_digest: [u8; 32],
    view_cookie_name: String,
    view_cookie: String,
    view_cookie_digest: [u8; 32],
    /// Tells this run from the next at the same address.
    run: String,
    wrong: Mutex<Bucket>,
}

impl Gate {
    /// Guards the server at `local` by `token`, or by one that is made here.
    pub(super) fn new(local: SocketAddr, token: Option<String>) -> Result<Self> {
        let token = match token {
            Some(token) => checked_token(token)?,
            None => hex(&random::<16>()?),
        };
        // Not the token itself: who reads the browser's cookies learns nothing that could be typed elsewhere.
        let cookie_of = |token: &str| hex(&Sha256::digest(format!("cookie of {token}")));
        // The same in each run with the same token: OBS keeps its address.
        let view_token = hex(&Sha256::digest(format!("view of {token}")))[..32].to_owned();
        let (cookie, view_cookie) = (cookie_of(&token), cookie_of(&view_token));
        Ok(Self {
            local,
            token_digest: Sha256::digest(&token).into(),
            // Browsers keep one jar for all ports of a machine: two runs must not take each other's.
            cookie_name: format!("effigy_{}", local.port()),
            cookie_digest: Sha256::digest(&cookie).into(),
            cookie,
            view_token_digest: Sha256::digest(&view_token).into(),
            view_token,
            view_cookie_name: format!("effigy_view_{}", local.port()),
            view_cookie_digest: Sha256::digest(&view_cookie).into(),
            view_cookie,
            token,
            run: hex(&random::<8>()?),
            wrong: Mutex::new(Bucket::new(WRONG_TOKENS_HZ, 10.0)),
        })
    }

    /// The token, for the address that is printed.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Tells this run from the next at the same address.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// The value of `Set-Cookie` for who came by a token; `None` for who has one.
    pub(super) fn set_cookie(&self, entry: Entry) -> Option<String> {
        let (name, value) = match entry {
            Entry::Token => (&self.cookie_name, &self.cookie),
            Entry::ViewToken => (&self.view_cookie_name, &self.view_cookie),
            Entry::Cookie | Entry::ViewCookie => return None,
        };
        Some(format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict"))
    }

    /// The address of `path` with its token, as this machine reaches it.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}?token={}", self.host(), self.token)
    }

    /// The address of the picture alone, with a token that opens nothing else.
    pub(super) fn view_url(&self) -> String {
        format!("http://{}/view?token={}", self.host(), self.view_token)
    }

    fn host(&self) -> SocketAddr {
        let ip = match self.local.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(ip, self.local.port())
    }

    /// Lets a request in or says why not.
    pub(super) fn admit(&self, parts: &Parts) -> std::result::Result<Entry, Refusal> {
        let host = self.check_host(parts)?;
        let has_origin = check_origin(&parts.headers, host)?;
        let entry = self.check_token(parts)?;
        let is_look = matches!(parts.method, Method::GET | Method::HEAD) && VIEWS.contains(&parts.uri.path());
        if matches!(entry, Entry::ViewToken | Entry::ViewCookie) && !is_look {
            const WHY: &str =
                "this token shows the picture and opens nothing else; effigy prints another for the control page";
            return Err(refused(StatusCode::FORBIDDEN, WHY));
        }
        if matches!(entry, Entry::Cookie | Entry::ViewCookie) {
            // Pages from other ports of this machine count as the same site: their pictures and forms carry the cookie.
            let site = only(&parts.headers, &HeaderName::from_static("sec-fetch-site"))?;
            if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
                return Err(refused(StatusCode::FORBIDDEN, "another site asked for this"));
            }
            let changes = !matches!(parts.method, Method::GET | Method::HEAD);
            if (changes || parts.headers.contains_key(header::UPGRADE)) && !has_origin {
                return Err(refused(StatusCode::FORBIDDEN, "a browser says where a request comes from (Origin)"));
            }
        }
        Ok(entry)
    }

    /// The host that was asked for must be this server under a name that no other site can have.
    fn check_host<'a>(&self, parts: &'a Parts) -> std::result::Result<&'a str, Refusal> {
        const WHY: &str = "this server answers to its own address only, such as 127.0.0.1 with its port";
        let refusal = refused(StatusCode::MISDIRECTED_REQUEST, WHY);
        let host = only(&parts.headers, &header::HOST)?.ok_or(refusal)?;
        if parts.uri.authority().is_some_and(|authority| authority.as_str() != host) {
            return Err(refusal);
        }
        let (name, port) = split_host(host).ok_or(refusal)?;
        let is_loopback_only = self.local.ip().is_loopback();
        // A numeric address cannot be pointed elsewhere by a name server, which is how a foreign site would get in.
        let is_ours = match name {
            HostName::Localhost => true,
            HostName::Address(ip) => !is_loopback_only || ip.is_loopback(),
        };
        if is_ours && port == self.local.port() { Ok(host) } else { Err(refusal) }
    }

    fn check_token(&self, parts: &Parts) -> std::result::Result<Entry, Refusal> {
        const WHY: &str = "open the address that effigy printed when it started, with its token";
        if let Some(token) = token_of(parts)? {
            if same(&self.token_digest, token) {
                return Ok(Entry::Token);
            }
            if same(&self.view_token_digest, token) {
                return Ok(Entry::ViewToken);
            }
            let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(if wrong.take(Instant::now()) {
                refused(StatusCode::UNAUTHORIZED, WHY)
            } else {
                refused(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait a second")
            });
        }
        let cookies = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut entry = Err(refused(StatusCode::UNAUTHORIZED, WHY));
        for (name, value) in pairs {
            if name == self.cookie_name && same(&self.cookie_digest, value) {
                return Ok(Entry::Cookie);
            }
            if name == self.view_cookie_name && same(&self.view_cookie_digest, value) {
                entry = Ok(Entry::ViewCookie);
            }
        }
        entry
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .or_error(ErrorKind::Internal, || "the system gives no random numbers for a token".to_owned())?;
    Ok(bytes)
}

/// A token that was chosen must be hard to guess and fit into an address.
fn checked_token(token: String) -> Result<String> {
    let is_fit = (MIN_TOKEN_CHARS..=MAX_TOKEN_CHARS).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_fit.then_some(token).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            format!("a token has {MIN_TOKEN_CHARS} to {MAX_TOKEN_CHARS} letters, digits, - and _ (EFFIGY_HTTP_TOKEN)"),
        )
    })
}

/// Compares digests, so that the time taken says nothing about how much was right.
fn same(digest: &[u8; 32], candidate: &str) -> bool {
    let found: [u8; 32] = Sha256::digest(candidate).into();
    let differs = digest.iter().zip(&found).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differs) == 0
}

/// The token that a request brings: in its address, or in its head.
fn token_of(parts: &Parts) -> std::result::Result<Option<&str>, Refusal> {
    let query = parts.uri.query().unwrap_or_default();
    let from_query = query.split('&').find_map(|pair| pair.strip_prefix("token="));
    let from_head = only(&parts.headers, &header::AUTHORIZATION)?.and_then(|value| value.strip_prefix("Bearer "));
    Ok(from_query.or(from_head))
}

/// A browser's word on which page asks: none, or this server's own. Says whether there was one.
fn check_origin(headers: &HeaderMap, host: &str) -> std::result::Result<bool, Refusal> {
    match only(headers, &header::ORIGIN)? {
        None => Ok(false),
        Some(origin) if origin.strip_prefix("http://") == Some(host) => Ok(true),
        Some(_) => Err(refused(StatusCode::FORBIDDEN, "another site asked for this")),
    }
}

/// The value of a header that may come once only.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> std::result::Result<Option<&'a str>, Refusal> {
    const BAD: Refusal = refused(StatusCode::BAD_REQUEST, "the request's head makes no sense");
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| BAD),
        (Some(_), Some(_)) => Err(BAD),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostName {
    Localhost,
    Address(IpAddr),
}

/// Name and port of a `Host` header; `None` for any name but `localhost`.
fn split_host(host: &str) -> Option<(HostName, u16)> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            (
                HostName::Address(IpAddr::V6(ip.parse().ok()?)),
                port.strip_prefix(':').or(port.is_empty().then_some("80"))?,
            )
        }
        None => {
            let (name, port) = host.split_once(':').unwrap_or((host, "80"));
            let name = match name {
                "localhost" => HostName::Localhost,
                _ => HostName::Address(IpAddr::V4(name.parse().ok()?)),
            };
            (name, port)
        }
    };
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    Some((name, is_number.then(|| port.parse().ok()).flatten()?))
}

/// So many a second and no more, with a few saved up.
#[derive(Debug)]
pub(super) struct Bucket {
    rate_hz: f64,
    most: f64,
    left: f64,
    at: Option<Instant>,
}

impl Bucket {
    /// `rate_hz` in the long run, `most` at once.
    pub(super) fn new(rate_hz: f64, most: f64) -> Self {
        Self { rate_hz, most, left: most, at: None }
    }

    /// Takes one, if there is one at `now`.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let elapsed_secs = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.left = (self.left + elapsed_secs * self.rate_hz).min(self.most);
        let is_there = self.left >= 1.0;
        self.left -= f64::from(u8::from(is_there));
        is_there
    }
}
