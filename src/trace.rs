//! What happened to a frame, and when.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::latency::Stamp;

/// The stages in the order in which a frame meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading and decoding the driver's picture.
    Capture,
    /// Finding the face in it.
    Face,
    /// Turning the face into a driving signal.
    Drive,
    /// Making the portrait.
    Generate,
    /// Putting it over its background, with badge.
    Composite,
    /// Handing it to a sink.
    Present,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 6] = [Self::Capture, Self::Face, Self::Drive, Self::Generate, Self::Composite, Self::Present];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Face => "face",
            Self::Drive => "drive",
            Self::Generate => "generate",
            Self::Composite => "composite",
            Self::Present => "present",
        }
    }
}

/// When a stage worked on a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// When the stage took the frame up.
    pub begin: Timestamp,
    /// When it was done.
    pub end: Timestamp,
}

impl Span {
    /// The time the stage worked, waiting not included.
    pub const fn duration(self) -> Duration {
        self.end.since(self.begin)
    }
}

/// The part of [`Stage::Generate`] that another machine had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Away {
    /// From handing the request over to having the picture.
    pub waited: Duration,
    /// What the other machine says that it worked; zero where it does not say.
    pub worked: Duration,
}

impl Away {
    /// What network, protocol and the other machine's queue took: all but the work that it owns up to.
    pub const fn network(&self) -> Duration {
        self.waited.saturating_sub(self.worked)
    }
}

/// The way of one frame through the stages, on the pipeline's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Counts the source's frames from 1; 0 means that no frame was behind the picture.
    pub frame_id: u64,
    /// When the picture was taken: the driver's own buffer time where there is one.
    pub captured: Timestamp,
    /// What the driver's picture itself says, where it carries the in-band code and someone asked for it.
    pub stamp: Option<Stamp>,
    /// What another machine had of it, where that made the picture.
    pub away: Option<Away>,
    spans: [Span; Stage::ALL.len()],
}

impl Trace {
    /// Starts the trace of a frame.
    pub fn new(frame_id: u64, captured: Timestamp) -> Self {
        Self { frame_id, captured, stamp: None, away: None, spans: Default::default() }
    }

    /// Records when `stage` worked.
    pub fn record(&mut self, stage: Stage, begin: Timestamp, end: Timestamp) {
        self.spans[stage as usize] = Span { begin, end };
    }

    /// When `stage` worked; all zero if it has not.
    pub fn span(&self, stage: Stage) -> Span {
        self.spans[stage as usize]
    }

    /// How long the frame waited for `stage` since the one before was done with it; zero if one of them has not worked.
    pub fn wait(&self, stage: Stage) -> Duration {
        let before = Stage::ALL[..stage as usize].iter().rev().map(|&before| self.span(before).end);
        let before = before.into_iter().find(|&end| end != Timestamp::default());
        match (before, self.span(stage).begin) {
            (Some(end), begin) if begin != Timestamp::default() => begin.since(end),
            _ => Duration::ZERO,
        }
    }

    /// How old the picture is at `now`.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.captured)
    }
}
