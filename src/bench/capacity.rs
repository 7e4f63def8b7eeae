//! How many people one machine serves: a model of a picture server, played in virtual time.
//!
//! Each user sends 30 frames a second. The server keeps the newest frame of each, takes those that wait as a batch when a
//! worker is free, and hands all pictures of a batch back when the last is made. `bench::load` does the same for real.

use std::collections::VecDeque;

use crate::report::Times;
use std::time::Duration;

/// Pictures that a frame of every user is asked for, a second.
pub const RATE_HZ: f64 = 30.0;
/// Shares of frames that may be replaced by newer ones before they are made.
pub const MOST_DROPPED: f64 = 0.01;

/// How a server works off what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Batches that are worked on at the same time.
    pub n_workers: usize,
    /// Most pictures in a batch.
    pub max_batch: usize,
    /// How long the first of a batch waits for others.
    pub window_secs: f64,
}

/// What a batch costs.
#[derive(Clone, Debug)]
pub enum Cost {
    /// One picture after another, each as long as one that was made at such a moment when all workers were busy.
    Measured(Busy),
    /// So many seconds for a batch, and so many for each picture of it.
    Linear {
        /// For a batch of any size.
        batch_secs: f64,
        /// For each picture.
        picture_secs: f64,
    },
}

/// Pictures that were made one after another: when a machine is slow for a while, it is so for all workers, and for more than
/// one picture.
#[derive(Clone, Debug, Default)]
pub struct Busy {
    /// Of each worker, when a picture began and how long it took, in seconds.
    pub made: Vec<Spans>,
    /// Of each worker, when it was to begin after it had nothing to do, and how much later it did, in seconds: a processor
    /// that slept wakes slowly. Empty where workers were never idle.
    pub woke: Vec<Spans>,
}

/// When something began and how long it took, one after another, in seconds.
pub type Spans = Vec<(f64, f64)>;

impl Busy {
    /// What each picture took, in seconds.
    pub fn pictures(&self) -> impl Iterator<Item = f64> + '_ {
        self.made.iter().flatten().map(|(_, secs)| *secs)
    }

    /// What a worker has measured; one that was never asked for anything works as another.
    fn of(records: &[Spans], worker: usize) -> &[(f64, f64)] {
        let n = records.iter().filter(|record| !record.is_empty()).count().max(1);
        records.iter().filter(|record| !record.is_empty()).nth(worker % n).map_or(&[], Vec::as_slice)
    }
}

/// Which of a record's entries a moment falls on, or comes before; what was measured is gone through again and again.
fn place(record: &[(f64, f64)], at_secs: f64) -> usize {
    let Some(&(last, last_secs)) = record.last() else { return 0 };
    let at_secs = at_secs.rem_euclid((last + last_secs).max(f64::MIN_POSITIVE));
    record.partition_point(|(begin, secs)| begin + secs <= at_secs).min(record.len() - 1)
}

impl Cost {
    /// How long a batch of `n` takes that a worker begins at a moment. `next` is the picture that it makes next, where it was
    /// busy until then: after a slow one comes what came after it, and none is left out for it.
    fn of(&self, n: usize, worker: usize, begin_secs: f64, next: &mut Option<usize>) -> f64 {
        match self {
            Self::Measured(busy) => {
                let made = Busy::of(&busy.made, worker);
                let first = next.unwrap_or_else(|| place(made, begin_secs));
                *next = Some(first + n);
                (first..first + n).map(|i| made.get(i % made.len().max(1)).map_or(0.0, |(_, secs)| *secs)).sum()
            }
            Self::Linear { batch_secs, picture_secs } => batch_secs + n as f64 * picture_secs,
        }
    }

    /// How much later a worker begins that had nothing to do when a batch was due.
    fn wake_secs(&self, worker: usize, due_secs: f64) -> f64 {
        let Self::Measured(busy) = self else { return 0.0 };
        let woke = Busy::of(&busy.woke, worker);
        woke.get(place(woke, due_secs)).map_or(0.0, |(_, secs)| *secs)
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// From a frame's time to its picture's.
    pub age: Times,
    /// Frames that came.
    pub n_offered: u64,
    /// Frames that newer ones replaced.
    pub n_dropped: u64,
}

impl Outcome {
    /// The share of frames that were replaced.
    pub fn dropped(&self) -> f64 {
        self.n_dropped as f64 / self.n_offered.max(1) as f64
    }
}

/// A user's newest frame, waiting.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// The user.
    pub user: usize,
    /// When the place was taken: a newer frame keeps it.
    pub since_secs: f64,
    /// When the frame came.
    pub came_secs: f64,
}

/// Newest frames, in the order in which their users began to wait.
#[derive(Clone, Debug, Default)]
pub struct Line {
    waiting: VecDeque<Waiting>,
}

impl Line {
    /// Puts a frame into its user's place; says whether an older one was there.
    pub fn put(&mut self, user: usize, now_secs: f64) -> bool {
        if let Some(place) = self.waiting.iter_mut().find(|place| place.user == user) {
            place.came_secs = now_secs;
            return true;
        }
        self.waiting.push_back(Waiting { user, since_secs: now_secs, came_secs: now_secs });
        false
    }

    /// When a batch may begin, if a worker is free; `None` when nobody waits.
    pub fn due_secs(&self, policy: &Policy) -> Option<f64> {
        let first = self.waiting.front()?;
        let at_last_secs = first.since_secs + policy.window_secs;
        let filled_secs = self.waiting.get(policy.max_batch - 1).map_or(f64::INFINITY, |last| last.since_secs);
        Some(at_last_secs.min(filled_secs))
    }

    /// Takes a batch.
    pub fn take(&mut self, policy: &Policy, batch: &mut Vec<Waiting>) {
        batch.clear();
        let n = self.waiting.len().min(policy.max_batch);
        batch.extend(self.waiting.drain(..n));
    }
}

/// When in each interval the users' frames come, 0..1: by chance, the same for the same seed.
pub fn phases(n_users: usize, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    (0..n_users).map(|_| random.uniform()).collect()
}

/// Plays a server for so many seconds. Frames that come in the first half second are not counted.
pub fn play(phases: &[f64], policy: &Policy, cost: &Cost, secs: f64) -> Outcome {
    let mut arrivals: Vec<(f64, usize)> = Vec::new();
    for (user, phase) in phases.iter().enumerate() {
        arrivals.extend((0..(secs * RATE_HZ) as usize).map(|k| ((k as f64 + phase) / RATE_HZ, user)));
    }
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut arrivals = arrivals.into_iter().peekable();
    let (mut line, mut batch, mut outcome) = (Line::default(), Vec::new(), Outcome::default());
    let mut free_secs = vec![0.0_f64; policy.n_workers];
    let mut next = vec![None; policy.n_workers];
    loop {
        let worker = (0..free_secs.len()).min_by(|&a, &b| free_secs[a].total_cmp(&free_secs[b])).unwrap_or(0);
        let begin = line.due_secs(policy).map(|due| {
            let is_idle = due > free_secs[worker];
            if is_idle { due + cost.wake_secs(worker, due) } else { free_secs[worker] }
        });
        match (arrivals.peek(), begin) {
            (Some(&(at, user)), begin) if begin.is_none_or(|begin| at <= begin) => {
                arrivals.next();
                let is_dropped = line.put(user, at);
                if at >= WARM_UP_SECS {
                    outcome.n_offered += 1;
                    outcome.n_dropped += u64::from(is_dropped);
                }
            }
            (_, Some(begin)) => {
                // A batch that was waited for begins when the newest of it is there.
                line.take(policy, &mut batch);
                let begin = batch.iter().fold(begin, |begin, waiting| begin.max(waiting.came_secs));
                if begin > free_secs[worker] {
                    next[worker] = None;
                }
                let end = begin + cost.of(batch.len(), worker, begin, &mut next[worker]);
                free_secs[worker] = end;
                for waiting in batch.iter().filter(|waiting| waiting.came_secs >= WARM_UP_SECS) {
                    outcome.age.record(Duration::from_secs_f64(end - waiting.came_secs));
                }
            }
            _ => return outcome,
        }
    }
}

/// What is not counted at the beginning.
pub const WARM_UP_SECS: f64 = 0.5;

/// Most users whose p99 stays below `most_age_secs` with at most [`MOST_DROPPED`] of the frames lost, however their frames fall: in
/// 19 of 20 draws.
pub fn most_users(policy: &Policy, cost: &Cost, most_age_secs: f64) -> usize {
    const N_DRAWS: u64 = 40;
    let holds = |n: usize| {
        let good = |draw: &u64| {
            let outcome = play(&phases(n, 1000 + draw), policy, cost, 4.0);
            outcome.age.quantile_ms(0.99) < most_age_secs * 1e3 && outcome.dropped() <= MOST_DROPPED
        };
        let n_bad = (0..N_DRAWS).filter(|draw| !good(draw)).take(1 + N_DRAWS as usize / 20).count();
        n_bad <= N_DRAWS as usize / 20
    };
    let mut above = 1;
    while holds(above) && above < 1 << 14 {
        above *= 2;
    }
    let mut most = above / 2;
    while above - most > 1 {
        let middle = usize::midpoint(most, above);
        if holds(middle) {
            most = middle;
        } else {
            above = middle;
        }
    }
    most
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Policy = Policy { n_workers: 1, max_batch: 1, window_secs: 0.0 };

    fn linear(batch_secs: f64, picture_secs: f64) -> Cost {
        Cost::Linear { batch_secs, picture_secs }
    }

    #[test]
    fn one_user_waits_for_the_picture_alone_and_a_window_adds_itself() {
        let outcome = play(&[0.3], &ONE, &linear(0.0, 0.010), 5.0);
        assert!((outcome.age.quantile_ms(0.99) - 10.0).abs() < 0.05 && outcome.dropped() == 0.0);
        let windowed = Policy { max_batch: 4, window_secs: 0.005, ..ONE };
        let outcome = play(&[0.3], &windowed, &linear(0.0, 0.010), 5.0);
        assert!((outcome.age.quantile_ms(0.99) - 15.0).abs() < 0.05);
    }

    #[test]
    fn users_at_the_same_moment_queue_or_share_a_batch() {
        let same = [0.5, 0.5, 0.5];
        let outcome = play(&same, &ONE, &linear(0.001, 0.004), 5.0);
        assert!((outcome.age.quantile_ms(0.99) - 15.0).abs() < 0.05, "three of 5 ms one after another");
        let batched = Policy { max_batch: 3, ..ONE };
        let outcome = play(&same, &batched, &linear(0.001, 0.004), 5.0);
        assert!((outcome.age.quantile_ms(0.01) - 13.0).abs() < 0.05, "all at the end of one batch");
        let two = Policy { n_workers: 2, ..ONE };
        let outcome = play(&same, &two, &linear(0.001, 0.004), 5.0);
        assert!((outcome.age.quantile_ms(0.99) - 10.0).abs() < 0.05, "the third waits for the first");
    }

    #[test]
    fn what_is_too_much_is_dropped_and_the_age_stays_bounded() {
        let outcome = play(&phases(8, 3), &ONE, &linear(0.0, 0.010), 10.0);
        let expected = 1.0 - 100.0 / 240.0;
        assert!((outcome.dropped() - expected).abs() < 0.02, "{}", outcome.dropped());
        // At worst a frame comes right after its user's place was taken up: nobody waits longer than a round.
        assert!(outcome.age.max_ms() < 91.0, "{}", outcome.age.max_ms());
    }

    #[test]
    fn a_machine_that_is_slow_for_a_while_is_so_for_all_workers() {
        let slow = |t: f64| if (2.0..2.5).contains(&t) { 0.030 } else { 0.010 };
        let mut one = Vec::new();
        let mut t = 0.0;
        while t < 4.0 {
            one.push((t, slow(t)));
            t += slow(t);
        }
        let busy = Busy { made: vec![one], ..Busy::default() };
        let secs = |at_secs| busy.made[0][place(&busy.made[0], at_secs)].1;
        assert_eq!([2.2, 6.2, 3.0, 8.0 + 2.3].map(secs), [0.030, 0.030, 0.010, 0.030]);
        // Two users of 33 ms each: an eighth of the time each waits for the other.
        let outcome = play(&[0.0, 0.3], &ONE, &Cost::Measured(busy), 40.0);
        assert!((outcome.age.quantile_ms(0.5) - 10.0).abs() < 0.1, "{}", outcome.age.quantile_ms(0.5));
        assert!(outcome.age.quantile_ms(0.99) > 49.0, "{}", outcome.age.quantile_ms(0.99));
    }

    #[test]
    fn a_slow_picture_is_followed_by_the_one_that_followed_it() {
        // A tenth of a millisecond between one picture and the next; each twentieth is slow.
        let mut made = Vec::new();
        let mut t = 0.0;
        for k in 0..2000 {
            let secs = if k % 20 == 0 { 0.05 } else { 0.01 };
            made.push((t, secs));
            t += secs + 0.0001;
        }
        let cost = Cost::Measured(Busy { made: vec![made], ..Busy::default() });
        let (mut at_secs, mut n_slow, mut next) = (0.0, 0, None);
        for _ in 0..1900 {
            let secs = cost.of(1, 0, at_secs, &mut next);
            n_slow += usize::from(secs > 0.02);
            at_secs += secs;
        }
        assert!((94..=96).contains(&n_slow), "{n_slow} of 1900");
    }

    #[test]
    fn an_idle_worker_wakes_late_and_takes_what_came_meanwhile() {
        // Every picture 4 ms; who was idle begins 3 ms late.
        let made = vec![(0..1000).map(|k| (f64::from(k) * 0.004, 0.004)).collect()];
        let woke = vec![(0..1000).map(|k| (f64::from(k) * 0.004, 0.003)).collect()];
        let cost = Cost::Measured(Busy { made, woke });
        let age_ms = |phases: &[f64], policy: &Policy| play(phases, policy, &cost, 5.0).age.quantile_ms(0.99);
        assert!((age_ms(&[0.1], &ONE) - 7.0).abs() < 0.05);
        // Two come 2 ms apart: the worker that wakes takes both, though another is free.
        let two = Policy { n_workers: 2, max_batch: 2, window_secs: 0.0 };
        assert!((age_ms(&[0.1, 0.16], &two) - 11.0).abs() < 0.05);
        // A batch that fills within its window is due then, and not when its first frame came.
        let waits = Policy { window_secs: 0.02, ..two };
        assert!((age_ms(&[0.1, 0.16], &waits) - 13.0).abs() < 0.05);
    }

    #[test]
    fn the_most_users_are_fewer_than_the_machine_could_make_pictures_for() {
        let cost = linear(0.0, 0.002);
        let policy = Policy { n_workers: 1, max_batch: 8, window_secs: 0.0 };
        let most = most_users(&policy, &cost, 0.046);
        assert!((12..=16).contains(&most), "{most} of 16 that would keep it busy all the time");
        assert!(most_users(&Policy { n_workers: 2, ..policy }, &cost, 0.046) > most);
        assert_eq!(most_users(&policy, &linear(0.0, 0.050), 0.046), 0);
    }
}
