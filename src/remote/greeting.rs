//! Meeting a server: connecting, what its model takes, the identity, and whether its pictures are ours.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::composite::badge_corner;
use crate::generate::cpu::settle::psnr_db;
use crate::generate::neural::Introduction;

use super::address::{Address, Protocol};
use super::described::{Described, Reply};
use super::dial::Dialer;
use super::failure::{Failure, late};
use super::grpc::Grpc;
use super::pace::Pace;
use super::payload::{self, Portrait};
use super::rest::Rest;
use super::service::Service;

/// Bounds on connecting, on a question, and on a picture that comes with an identity of 12 MB.
const CONNECTING: Duration = Duration::from_secs(2);
const ASKING: Duration = Duration::from_secs(5);
const TELLING: Duration = Duration::from_secs(15);
/// Pictures by which the server's time is measured, in each of two ways.
const N_TRIED: usize = 4;
/// How close the server's picture has to be to this machine's: a model of 8 bits is 41 dB close, other weights are below 25.
const LEAST_PSNR_DB: f64 = 32.0;
/// Compressing has to save so much of the time.
const SAVED: f64 = 0.9;

/// A server that makes our pictures.
pub(super) struct Line {
    pub(super) service: Service,
    pub(super) server: Described,
    /// Whether requests are compressed: as it was faster.
    pub(super) is_zipped: bool,
    pub(super) pace: Pace,
    /// A request's bytes without the identity, or with it where the server keeps none.
    pub(super) n_bytes: usize,
    /// What the server said that it worked for the last picture tried.
    pub(super) worked: Duration,
    /// Whether its model draws the visible mark by itself.
    pub(super) draws_mark: bool,
}

/// Gives up after a time.
pub(super) async fn within<T>(
    bound: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(bound, work).await.unwrap_or_else(|_| Err(late(what, bound)))
}

/// Connects and asks for the model.
pub(super) async fn connect(
    address: &Address,
    dialer: &Dialer,
    token: Option<&str>,
) -> Result<(Service, Described), Failure> {
    let opening = async {
        Ok(match address.protocol {
            Protocol::Grpc => Service::Grpc(Box::new(Grpc::open(address, dialer, token).await?)),
            Protocol::Http => Service::Rest(Rest::open(address, dialer, token).await?),
        })
    };
    let mut service = within(CONNECTING, "connecting", opening).await?;
    let described = within(ASKING, "its word about the model", service.describe()).await?;
    Ok((service, described))
}

/// Tells a server of an identity, compares its picture with this machine's, and measures what is faster.
pub(super) async fn greet(
    (mut service, server): (Service, Described),
    portrait: &Portrait,
    whom: &Introduction,
) -> Result<Line, Failure> {
    server.check(&payload::names(&whom.example))?;
    let telling = portrait.ask(&whom.example, &server, false)?;
    let first = within(TELLING, "its first picture", service.infer(&telling, false)).await?;
    let draws_mark = compare(&first, whom)?;
    let asking = portrait.ask(&whom.example, &server, true)?;
    let mut tried = [Pace::default(), Pace::default()];
    let mut worked = Duration::ZERO;
    let mut n_forgotten = 0;
    for i in 0..2 * N_TRIED {
        let way = i % 2;
        let begin = Instant::now();
        let reply = within(ASKING, "its picture", service.infer(&asking, way == 1)).await;
        match reply {
            Ok(reply) => worked = reply.worked,
            // Compressed requests are for those who know them.
            Err(Failure::Refused(_)) if way == 1 => {
                tried[1] = Pace::default();
                tried[1].record(ASKING);
                continue;
            }
            // One of several processes there that was not told yet. They are asked in turn: telling once more each time reaches
            // every one in the end, where one telling for each question could always reach the same.
            Err(Failure::Forgotten) => {
                n_forgotten = N_TRIED.min(n_forgotten + 1);
                for _ in 0..n_forgotten {
                    within(TELLING, "its picture", service.infer(&telling, false)).await?;
                }
                continue;
            }
            Err(failure) => return Err(failure),
        }
        tried[way].record(begin.elapsed());
    }
    if tried[0].is_empty() {
        return Err(Failure::Silent("it forgets the identity as often as it is told of it".to_owned()));
    }
    let is_zipped = !tried[1].is_empty() && tried[1].usual().as_secs_f64() < SAVED * tried[0].usual().as_secs_f64();
    let [plain, zipped] = tried;
    let pace = if is_zipped { zipped } else { plain };
    Ok(Line { service, server, is_zipped, pace, n_bytes: asking.n_bytes(), worked, draws_mark })
}

/// Checks that the picture is the one that is made here; says whether it bears a mark of its own.
fn compare(reply: &Reply, whom: &Introduction) -> Result<bool, Failure> {
    let size = whom.picture.width_px();
    if reply.picture.len() != whom.picture.data().len() {
        let message = format!(
            "its picture has {} bytes, expected {} of {size} x {size} pixels; export the model for this size",
            reply.picture.len(),
            whom.picture.data().len()
        );
        return Err(Failure::Refused(message));
    }
    let (rows, columns, _) = badge_corner(size);
    let is_mark = |i: usize| i / size >= size - rows && i % size >= size - columns;
    let part = |bytes: &[u8], of_mark: bool| -> Vec<u8> {
        let pixels = bytes.as_chunks::<4>().0.iter().enumerate();
        pixels.filter(|(i, _)| is_mark(*i) == of_mark).flat_map(|(_, pixel)| *pixel).collect()
    };
    let close = |of_mark: bool| psnr_db(&part(&reply.picture, of_mark), &part(whom.picture.data(), of_mark));
    let psnr_db = close(false);
    if psnr_db < LEAST_PSNR_DB {
        let message = format!(
            "its picture is {psnr_db:.1} dB close to the one made here, expected {LEAST_PSNR_DB}: its model is of other weights or \
             of another version; export it anew"
        );
        return Err(Failure::Refused(message));
    }
    Ok(close(true) < LEAST_PSNR_DB)
}
