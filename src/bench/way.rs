//! What a way from source to reader took, and where: the program's own account against what was seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reader::{Legs, Reader};
use super::record::{Circumstances, StageRecord, stage_records};
use super::samples::Sample;
use super::watch::{Ages, Sighting, Watch, WatchFigures};
use crate::report::Times;
use crate::trace::Stage;

/// Version of the keys. It rises when a key changes its meaning or goes.
pub const SCHEMA: u32 = 2;

/// All ways of one bench.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaysRecord {
    /// Where and when.
    #[serde(flatten)]
    pub circumstances: Circumstances,
    /// Size of the picture, in pixels a side.
    pub size_px: usize,
    /// Whether the test pattern's face was followed; otherwise a blank camera led to the card.
    pub follows_face: bool,
    /// The ways, in the order in which they were measured.
    pub ways: Vec<WayFigures>,
}

impl WaysRecord {
    /// Starts a record: the machine, the time, the commit, the load.
    pub fn begin(size_px: usize, follows_face: bool) -> Self {
        Self { circumstances: Circumstances::begin(SCHEMA), size_px, follows_face, ways: Vec::new() }
    }

    /// Notes what is known only at the end.
    pub fn end(&mut self) {
        self.circumstances.end();
    }
}

/// A part of the gap between a sink and a reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LegFigures {
    /// What happens in it.
    pub what: String,
    /// How long it took.
    pub ms: Ages,
}

/// The figures of one way from source to reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WayFigures {
    /// The way's name.
    pub way: String,
    /// Age when the sink had shown the picture, by the frame's trace: the sum of all stages' work and waiting.
    pub near_ms: Ages,
    /// Those stages.
    pub stages: BTreeMap<String, StageRecord>,
    /// What the last of them, presenting, is for this sink.
    pub presenting: String,
    /// What arrived.
    pub far: WatchFigures,
    /// For every frame that arrived: how much later the reader had it than the sink had shown it; negative differences
    /// count as zero. `None` for files.
    pub gap_ms: Option<Ages>,
    /// What the gap consists of, frame by frame: two legs, or one where nothing says when the first ended. Empty where
    /// the reader knows of none.
    pub legs: Vec<LegFigures>,
    /// Frames that the sink showed and that never arrived.
    pub lost_behind_sink: u64,
    /// Frames shown by the sink.
    pub shown: u64,
}

impl WayFigures {
    /// Compares what the sink showed with what arrived.
    pub(super) fn new(way: &str, presenting: &str, shown: &[Sample], watch: &Watch, reader: &dyn Reader) -> Self {
        let (mut near, mut gap) = (Times::default(), Times::default());
        let [mut first_leg, mut last_leg] = [Times::default(), Times::default()];
        let mut lost = 0;
        let arrived = &watch.sightings;
        let id = |sighting: &Sighting| u64::from(sighting.stamp.frame_id);
        // What was shown before the far end was open could not arrive.
        let seen = arrived.first().map_or(0, id)..arrived.last().map_or(0, id);
        let fresh = shown.iter().filter(|sample| sample.trace.frame_id != 0);
        for sample in fresh.clone() {
            near.record(sample.trace.age(sample.shown));
            let is_it = |sighting: &Sighting| u64::from(sighting.stamp.frame_id).cmp(&sample.trace.frame_id);
            match arrived.binary_search_by(is_it) {
                Ok(i) => {
                    let Sighting { at, since, .. } = arrived[i];
                    gap.record(at.since(sample.shown));
                    if let Some(since) = since {
                        // The other side may begin before the sink has noted that it is done.
                        first_leg.record(since.since(sample.shown));
                        last_leg.record(at.since(since.max(sample.shown)));
                    }
                }
                Err(_) => lost += u64::from(seen.contains(&sample.trace.frame_id)),
            }
        }
        let legs = reader.legs().map(|Legs { first, last }| {
            let leg = |what: String, times: &Times| LegFigures { what, ms: Ages::of(times) };
            if last_leg.count() > 0 {
                vec![leg(first.to_owned(), &first_leg), leg(last.to_owned(), &last_leg)]
            } else {
                vec![leg(format!("{first}, and {last}"), &gap)]
            }
        });
        Self {
            way: way.to_owned(),
            near_ms: Ages::of(&near),
            stages: stage_records(fresh),
            presenting: presenting.to_owned(),
            far: watch.figures(reader),
            gap_ms: reader.is_live().then(|| Ages::of(&gap)),
            legs: legs.unwrap_or_default(),
            lost_behind_sink: lost,
            shown: near.count(),
        }
    }

    /// The head of [`WayFigures::row`].
    pub const HEAD: &str = "way                      near p50    p99  of which present | far p50    p90    p99    max | gap p50    p99  of which last leg |  shown  arrived  lost behind sink  without code";

    /// The way as a line of a table.
    pub fn row(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let (far, gap) = (self.far.age_ms, self.gap_ms);
        format!(
            "{:<24} {:>8.1} {:>6.1} {:>17} | {:>7} {:>6} {:>6} {:>6} | {:>7} {:>6} {:>18} | {:>6} {:>8} {:>17} {:>13}",
            self.way,
            self.near_ms.p50,
            self.near_ms.p99,
            number(self.presented().map(|stage| stage.work_p50)),
            number(far.map(|age| age.p50)),
            number(far.map(|age| age.p90)),
            number(far.map(|age| age.p99)),
            number(far.map(|age| age.max)),
            number(gap.map(|age| age.p50)),
            number(gap.map(|age| age.p99)),
            number(self.legs.get(1).map(|leg| leg.ms.p50)),
            self.shown,
            self.far.frames,
            self.lost_behind_sink,
            self.far.unread
        )
    }

    /// Where the time of the way goes, in words, a line each; medians.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}:", self.way)];
        let stages = Stage::ALL.into_iter().filter_map(|stage| {
            let record = self.stages.get(stage.name())?;
            Some(format!("{} {:.1} + {:.1}", stage.name(), record.wait_p50, record.work_p50))
        });
        let stages = stages.collect::<Vec<_>>().join(", ");
        lines.push(format!("  near {:.1} ms, waiting + work of each stage: {stages}", self.near_ms.p50));
        lines.push(format!("    present is: {}", self.presenting));
        match self.gap_ms {
            None => lines.push("  no gap: a file is read when the run has ended; it shows what is missing".to_owned()),
            Some(gap) => {
                lines.push(format!("  gap {:.1} ms (p99 {:.1})", gap.p50, gap.p99));
                for leg in &self.legs {
                    lines.push(format!("    {:.1} ms (p99 {:.1}) {}", leg.ms.p50, leg.ms.p99, leg.what));
                }
            }
        }
        if let Some(reading) = self.far.reading_ms {
            lines.push(format!("  not counted: {:.1} ms to decode the picture and read its code", reading.p50));
        }
        lines
    }

    fn presented(&self) -> Option<&StageRecord> {
        self.stages.get(Stage::Present.name())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::reader::{Arrival, Look};
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::error::Result;
    use crate::frame::Grey;
    use crate::latency::{Origin, Stamp};
    use crate::trace::Trace;

    struct Socket;
    impl Reader for Socket {
        fn name(&self) -> &str {
            "socket"
        }
        fn read(&mut self, _: &mut Grey, _: &dyn Clock) -> Result<Look> {
            Ok(Look::Ended)
        }
        fn legs(&self) -> Option<Legs> {
            Some(Legs { first: "to the first byte", last: "to the last byte" })
        }
    }

    #[test]
    fn the_gap_is_divided_and_the_lost_are_counted() {
        let ms = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
        let mut watch = Watch::default();
        let mut shown = Vec::new();
        // Captured every 100 ms, shown after 20 by a stage of 5, first byte after 23, last after 27; frame 3 is lost,
        // of frame 4 the first byte was there before the sink had noted the end of its work.
        for i in 1..=5_u64 {
            let captured = ms(i * 100);
            let mut trace = Trace::new(i, captured);
            let present = (captured + Duration::from_millis(15), captured + Duration::from_millis(20));
            trace.record(Stage::Present, present.0, present.1);
            shown.push(Sample { trace, shown: present.1 });
            if i != 3 {
                let since = Some(captured + Duration::from_millis(if i == 4 { 18 } else { 23 }));
                let arrival = Arrival { since, at: captured + Duration::from_millis(27) };
                let stamp = Stamp { origin: Origin::Output, frame_id: i as u32, time: captured };
                watch.see(Some(stamp), arrival, Duration::from_millis(9));
            }
        }
        let mut blind = Watch::default();
        for Sighting { stamp, at, reading, .. } in &watch.sightings {
            blind.see(Some(*stamp), Arrival { since: None, at: *at }, *reading);
        }
        let whole = WayFigures::new("http", "making the JPEG", &shown, &blind, &Socket).legs;
        assert_eq!((whole.len(), whole[0].what.as_str()), (1, "to the first byte, and to the last byte"));
        let figures = WayFigures::new("http", "making the JPEG", &shown, &watch, &Socket);
        assert_eq!((figures.shown, figures.far.frames, figures.lost_behind_sink), (5, 4, 1));
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 0.05, "{found}, not {expected}");
        near(figures.near_ms.p50, 20.0);
        near(figures.stages["present"].work_p50, 5.0);
        near(figures.gap_ms.unwrap().p50, 7.0);
        near(figures.far.age_ms.unwrap().p50, 27.0);
        near(whole[0].ms.p50, 7.0);
        near(figures.legs[0].ms.p50, 3.0);
        near(figures.legs[1].ms.p50, 4.0);
        near(figures.legs[1].ms.max, 7.0);
        near(figures.far.reading_ms.unwrap().p50, 9.0);
        assert_eq!(figures.row().matches('|').count(), WayFigures::HEAD.matches('|').count());
        let text = figures.lines().join("\n");
        for part in
            ["present 0.0 + 5.0", "making the JPEG", "3.0 ms (p99 3.0) to the first byte", "not counted: 9.0 ms"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
