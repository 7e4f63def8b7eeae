//! The generate thread: drive, generate, composite, and hand a copy to every sink.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::{Control, Ending, MAX_IDENTITIES, MAX_WAIT, Observed};
use crate::clock::Clock;
use crate::composite::{Background, BackgroundKind, CardReason, Compositor, Framing, OutFrame, Shown, View};
use crate::drive::{Driver, DrivingSignal, Motion, Presence};
use crate::error::Result;
use crate::frame::Rgba;
use crate::generate::{Generator, Portrait};
use crate::identity::{DisclosedConsent, Identity};
use crate::latest::{Published, Publisher, Received, Subscriber};
use crate::motion_link::MotionFrame;
use crate::report::LiveFigures;
use crate::trace::{Stage, Trace};

/// When no frame comes for this long, the portrait goes on by itself.
const STALL: Duration = Duration::from_millis(200);
/// Time between two pictures that no frame is behind.
const IDLE_INTERVAL: Duration = Duration::from_millis(33);

/// Turns observations into pictures.
pub(super) struct Portrayer {
    driver: Driver,
    generator: Box<dyn Generator>,
    compositor: Compositor,
    identities: Vec<Arc<Identity>>,
    /// What recordings say of each of them.
    consents: Vec<Arc<DisclosedConsent>>,
    shown: usize,
    /// Who was asked for and is not ready yet.
    wanted: Option<usize>,
    control: Receiver<Control>,
    /// Whether the newest frame wins and time goes on without one; otherwise there is no time but the frames' own.
    is_live: bool,
    is_card_asked: bool,
    was_badged: bool,
    signal: Box<DrivingSignal>,
    portrait: Portrait,
    out: OutFrame,
}

impl Portrayer {
    pub(super) fn new(
        driver: Driver,
        mut generator: Box<dyn Generator>,
        mut compositor: Compositor,
        (identities, shown): (Vec<Arc<Identity>>, usize),
        control: Receiver<Control>,
        size_px: usize,
        is_live: bool,
    ) -> Result<Self> {
        let first = &identities[shown];
        generator.adopt(Arc::clone(first))?;
        compositor.adopt(first)?;
        let (width_px, height_px) = compositor.frame_px();
        let out = OutFrame::blank(width_px, height_px);
        let signal = Box::new(DrivingSignal::rest(&first.shape, first.size_px(), Motion::Relative));
        Ok(Self {
            driver,
            generator,
            compositor,
            shown,
            wanted: None,
            consents: identities.iter().map(|identity| Arc::new(DisclosedConsent::of(identity))).collect(),
            identities,
            control,
            is_live,
            is_card_asked: false,
            was_badged: true,
            signal,
            portrait: Portrait { picture: Rgba::new(size_px, size_px) },
            out,
        })
    }

    /// What the identity that is shown runs on.
    pub(super) fn backend(&self) -> &str {
        self.generator.backend()
    }

    pub(super) fn identity_name(&self) -> String {
        self.identities[self.shown].manifest.name.clone()
    }

    /// Whether every picture carried the visible mark.
    pub(super) fn was_badged(&self) -> bool {
        self.was_badged
    }

    /// Works until either side closes; counts frames that the first sink never saw.
    pub(super) fn run(
        &mut self,
        mut frames: Subscriber<Observed>,
        mut outlets: Vec<Publisher<OutFrame>>,
        mut motion_outlets: Vec<Publisher<MotionFrame>>,
        clock: &dyn Clock,
        ending: &Ending,
        figures: &LiveFigures,
    ) -> Result<u64> {
        let mut observed = Observed::default();
        let mut n_dropped = 0;
        let mut last_frame = clock.now();
        let mut is_stalled = false;
        while !ending.is_asked() {
            if self.obey(ending)?.is_break() {
                break;
            }
            self.switch()?;
            let wait = if is_stalled { IDLE_INTERVAL } else { MAX_WAIT };
            match frames.receive(&mut observed, wait) {
                Received::Fresh => {
                    last_frame = clock.now();
                    is_stalled = false;
                }
                // The next frame is late, but there is one: no picture stands between two of a clip.
                Received::Idle if !self.is_live => continue,
                Received::Idle => {
                    is_stalled = clock.now().since(last_frame) > STALL;
                    if !is_stalled {
                        continue;
                    }
                    observed.is_seen = false;
                    observed.trace = Trace::new(0, clock.now());
                }
                Received::Closed => break,
            }
            self.portray(&observed, clock, !outlets.is_empty())?;
            figures.remember(self.out.shown);
            // Who hides shall be hidden everywhere.
            let face = (observed.is_seen && !self.is_card_asked).then_some(&*observed.face);
            for outlet in &mut motion_outlets {
                let secs = observed.trace.captured.as_secs_f64();
                match outlet.publish_with(|frame| frame.observe(face, secs)) {
                    // Motion is for the newest face: one that was replaced is nothing lost.
                    Published::InTime | Published::Dropped => {}
                    Published::Closed => ending.ask(),
                }
            }
            let mut is_first = true;
            for outlet in &mut outlets {
                n_dropped += u64::from(hand_over(&self.out, outlet, ending, is_first.then_some(figures)));
                is_first = false;
            }
        }
        Ok(n_dropped)
    }

    /// Carries out what was asked since the last frame.
    fn obey(&mut self, ending: &Ending) -> Result<std::ops::ControlFlow<()>> {
        while let Ok(control) = self.control.try_recv() {
            match control {
                Control::Identity(index) if index < self.identities.len() => self.wanted = Some(index),
                Control::Identity(_) => {}
                Control::Add(identity) => self.add(identity),
                Control::Calibrate => self.driver.calibrate(),
                Control::ToggleMirror => self.compositor.set_mirror(!self.compositor.options().mirror),
                Control::Mirror(mirror) => self.compositor.set_mirror(mirror),
                Control::NextBackground => {
                    let next = self.compositor.options().background.next();
                    self.set_background(next)?;
                }
                Control::Background(background) => self.set_background(background)?,
                Control::Framing(framing) => self.set_framing(framing)?,
                Control::Zoom(zoom) => {
                    let view = self.compositor.options().view;
                    self.compositor.set_view(View { zoom, ..view });
                }
                Control::Offset(x, y) => {
                    let view = self.compositor.options().view;
                    self.compositor.set_view(View { offset: glam::Vec2::new(x, y), ..view });
                }
                Control::BadgePlace(place) => {
                    let language = self.compositor.options().badge_language;
                    self.compositor.set_badge(place, language);
                }
                Control::BadgeLanguage(language) => {
                    let place = self.compositor.options().badge_place;
                    self.compositor.set_badge(place, language);
                }
                Control::ToggleCard => self.is_card_asked = !self.is_card_asked,
                Control::Card(card) => self.is_card_asked = card,
                Control::Strength(part, strength) => self.driver.set_strength(part, strength),
                Control::KeepExpression(kept) => self.driver.set_keep_expression(kept),
                Control::EyeContact(share) => self.driver.set_eye_contact(share),
                Control::Predict(ahead_ms) => self.driver.set_predict_ms(ahead_ms),
                Control::Quit => {
                    ending.ask();
                    return Ok(std::ops::ControlFlow::Break(()));
                }
            }
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    /// Shows the identity that was asked for as soon as that is a matter of one frame; makes the others ready.
    ///
    /// Where no frame may be missed and none is late, it is shown from the next frame on, however long that takes.
    fn switch(&mut self) -> Result<()> {
        if let Some(index) = self.wanted {
            let identity = &self.identities[index];
            let is_ready = !self.is_live || (self.generator.prepare(identity)? & self.compositor.prepare(identity)?);
            if is_ready {
                self.generator.adopt(Arc::clone(identity))?;
                self.compositor.adopt(identity)?;
                self.driver.adopt(Arc::clone(identity))?;
                self.shown = index;
                self.wanted = None;
            }
            return Ok(());
        }
        for identity in &self.identities {
            if !self.generator.prepare(identity)? {
                break;
            }
        }
        Ok(())
    }

    /// Takes one more identity, where there is room and the visible mark is on if it must be.
    fn add(&mut self, identity: Arc<Identity>) {
        let may_go_unmarked = identity.manifest.consent.basis.may_go_unmarked();
        if self.identities.len() < MAX_IDENTITIES && (self.compositor.options().badge || may_go_unmarked) {
            self.consents.push(Arc::new(DisclosedConsent::of(&identity)));
            self.identities.push(identity);
        }
    }

    fn set_background(&mut self, background: Background) -> Result<()> {
        self.compositor.set_background(background, Some(&*self.identities[self.shown]))
    }

    /// The whole photo can be shown only where the identity has it; else the frame stays as it is.
    fn set_framing(&mut self, framing: Framing) -> Result<()> {
        let identity = &*self.identities[self.shown];
        if framing == Framing::Photo && identity.photo.is_none() {
            return Ok(());
        }
        self.compositor.set_framing(framing, identity)
    }

    /// Makes the picture for one observation, where anybody takes one.
    fn portray(&mut self, observed: &Observed, clock: &dyn Clock, has_takers: bool) -> Result<()> {
        let mut trace = observed.trace;
        let mut begin = clock.now();
        let mut done = |trace: &mut Trace, stage: Stage| {
            let end = clock.now();
            trace.record(stage, begin, end);
            begin = end;
        };
        let face = observed.is_seen.then_some(&*observed.face);
        if let Some(latent) = observed.latent.as_deref().filter(|_| observed.is_seen) {
            self.driver.see_latent(latent);
        }
        let presence = self.driver.drive(face, observed.dense.as_deref(), trace.captured, &mut self.signal);
        done(&mut trace, Stage::Drive);
        let reason = if self.is_card_asked {
            Some(CardReason::Paused)
        } else if presence == Presence::Lost {
            Some(if trace.frame_id == 0 { CardReason::NoSignal } else { CardReason::LookingForFace })
        } else {
            None
        };
        match reason {
            _ if !has_takers => {}
            Some(reason) => {
                self.compositor.card(reason, trace, &mut self.out);
                done(&mut trace, Stage::Composite);
            }
            None => {
                self.generator.set_time(trace.captured);
                self.generator.generate(&self.signal, &mut self.portrait)?;
                done(&mut trace, Stage::Generate);
                trace.away = self.generator.away();
                if self.generator.moves_body() {
                    self.compositor.follow(&self.signal);
                }
                self.compositor.watch(&self.signal);
                self.compositor.compose(&self.portrait, trace, &mut self.out)?;
                done(&mut trace, Stage::Composite);
            }
        }
        self.was_badged &= self.compositor.options().badge;
        self.out.trace = trace;
        self.out.shown = self.shown(reason);
        self.out.consent = reason.is_none().then(|| Arc::clone(&self.consents[self.shown]));
        self.out.driver_landmarks = face.map(|face| {
            self.out.driver_aspect = face.frame_size_px.0.max(1) as f32 / face.frame_size_px.1.max(1) as f32;
            let size = glam::Vec2::new(face.frame_size_px.0.max(1) as f32, face.frame_size_px.1.max(1) as f32);
            std::array::from_fn(|i| face.landmarks_px[i].truncate() / size)
        });
        Ok(())
    }

    fn shown(&self, card: Option<CardReason>) -> Shown {
        let options = self.compositor.options();
        Shown {
            identity: self.shown,
            n_identities: self.identities.len(),
            wanted: self.wanted,
            card,
            is_card_asked: self.is_card_asked,
            is_mirrored: options.mirror,
            background: BackgroundKind::from(&options.background),
            strengths: self.driver.strengths(),
            keep_expression: self.driver.keep_expression(),
            eye_contact: self.driver.eye_contact(),
            predict_ms: self.driver.predict_ms(),
            framing: options.framing,
            view: options.view,
            is_badged: options.badge,
            badge_place: options.badge_place,
            badge_language: options.badge_language,
        }
    }
}

/// Gives a sink its copy; says whether an older one was lost.
///
/// A copy costs a tenth of a millisecond, and no sink can then hold up or change another's picture.
fn hand_over(out: &OutFrame, outlet: &mut Publisher<OutFrame>, ending: &Ending, figures: Option<&LiveFigures>) -> bool {
    match outlet.publish_with(|spare| spare.copy_from(out)) {
        Published::InTime => false,
        Published::Dropped => {
            if let Some(figures) = figures {
                figures.count_drop();
            }
            figures.is_some()
        }
        Published::Closed => {
            ending.ask();
            false
        }
    }
}
