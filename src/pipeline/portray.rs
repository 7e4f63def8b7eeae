//! The generate thread: drive, generate, composite, and hand a copy to every sink.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::person::{Person, Readiness};
use super::{Beside, Control, Ending, MAX_IDENTITIES, MAX_WAIT, Observed, Outlet};
use crate::clock::Clock;
use crate::composite::{
    Background, BackgroundKind, BadgeLanguage, BadgePlace, CardReason, CompositeOptions, Compositor, Framing, OutFrame,
    Pair, Shown, View,
};
use crate::demand::Demand;
use crate::drive::{DriveOptions, Presence};
use crate::error::Result;
use crate::generate::Generator;
use crate::identity::{DisclosedConsent, Identity};
use crate::latest::{Published, Publisher, Received, Subscriber};
use crate::motion_link::MotionFrame;
use crate::report::LiveFigures;
use crate::trace::{Stage, Trace};

/// When no frame comes for this long, the portrait goes on by itself.
const STALL: Duration = Duration::from_millis(200);
/// Time between two pictures that no frame is behind.
const IDLE_INTERVAL: Duration = Duration::from_millis(33);

/// Who can be shown, and who is at first.
pub(super) struct Whom {
    pub(super) identities: Vec<Arc<Identity>>,
    pub(super) first: usize,
    pub(super) beside: Option<Beside>,
}

/// Turns observations into pictures.
pub(super) struct Portrayer {
    first: Person,
    beside: Option<Company>,
    identities: Vec<Arc<Identity>>,
    /// What recordings say of each of them.
    consents: Vec<Arc<DisclosedConsent>>,
    control: Receiver<Control>,
    /// Whether the newest frame wins and time goes on without one; otherwise there is no time but the frames' own.
    is_live: bool,
    is_card_asked: bool,
    /// Which camera the driver was seen by last.
    camera: u32,
    was_badged: bool,
}

/// The second person, and what makes one frame of both.
struct Company {
    person: Person,
    pair: Pair,
    out: OutFrame,
}

impl Portrayer {
    pub(super) fn new(
        generator: Box<dyn Generator>,
        Whom { identities, first, beside }: Whom,
        mut drive: DriveOptions,
        mut compositor: Compositor,
        control: Receiver<Control>,
        is_live: bool,
    ) -> Result<Self> {
        // Where somebody else is still there, who left goes on by themselves.
        drive.is_always_shown = beside.is_some();
        let company = match beside {
            None => None,
            Some(Beside { identity, generator }) => {
                let second = identity.min(identities.len() - 1);
                let options = compositor.options().clone();
                let pair = Pair::new(&options, compositor.has_stamp(), [&identities[first], &identities[second]])?;
                compositor = Compositor::unmarked(pair.panel(0, &options))?;
                let panel = Compositor::unmarked(pair.panel(1, &options))?;
                let person = Person::new(generator, panel, drive, &identities, second)?;
                let (width_px, height_px) = pair.frame_px();
                Some(Company { person, pair, out: OutFrame::blank(width_px, height_px) })
            }
        };
        Ok(Self {
            first: Person::new(generator, compositor, drive, &identities, first)?,
            beside: company,
            consents: identities.iter().map(|identity| Arc::new(DisclosedConsent::of(identity))).collect(),
            identities,
            control,
            is_live,
            is_card_asked: false,
            camera: 0,
            was_badged: true,
        })
    }

    /// What the identity that is shown first runs on.
    pub(super) fn backend(&self) -> &str {
        self.first.generator.backend()
    }

    /// Who is shown.
    pub(super) fn identity_names(&self) -> String {
        let name = |person: &Person| self.identities[person.shown].manifest.name.as_str();
        let beside = self.beside.as_ref().map(|company| name(&company.person));
        std::iter::once(name(&self.first)).chain(beside).collect::<Vec<_>>().join(", ")
    }

    /// Whether every picture carried the visible mark.
    pub(super) fn was_badged(&self) -> bool {
        self.was_badged
    }

    fn people(&mut self) -> impl Iterator<Item = &mut Person> {
        std::iter::once(&mut self.first).chain(self.beside.as_mut().map(|company| &mut company.person))
    }

    /// The frame that was made last.
    fn out(&self) -> &OutFrame {
        self.beside.as_ref().map_or(&self.first.out, |company| &company.out)
    }

    /// Works until either side closes; counts frames that the first sink never saw.
    pub(super) fn run(
        &mut self,
        mut frames: Subscriber<Observed>,
        mut outlets: Vec<Outlet>,
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
            if self.obey(ending, figures)?.is_break() {
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
                    observed.first.is_seen = false;
                    if let Some(second) = &mut observed.beside {
                        second.is_seen = false;
                    }
                    observed.trace = Trace::new(0, clock.now());
                }
                Received::Closed => break,
            }
            self.portray(&observed, clock, !outlets.is_empty())?;
            figures.remember(self.out().shown);
            // Who hides shall be hidden everywhere.
            let face = observed.first.face().filter(|_| !self.is_card_asked);
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
                if outlet.wants_frames() {
                    n_dropped += u64::from(hand_over(self.out(), outlet, ending, is_first.then_some(figures)));
                }
                is_first = false;
            }
        }
        Ok(n_dropped)
    }

    /// Carries out what was asked since the last frame.
    fn obey(&mut self, ending: &Ending, figures: &LiveFigures) -> Result<std::ops::ControlFlow<()>> {
        // A run whose recorder or changing camera is not there has nobody to ask.
        let (demand, switch) = (figures.demand(), figures.switch());
        while let Ok(control) = self.control.try_recv() {
            match control {
                Control::Identity(index) if index < self.identities.len() => self.want(index),
                Control::Identity(_) => {}
                Control::Add(identity) => self.add(identity),
                Control::Calibrate => self.people().for_each(|person| person.driver.calibrate()),
                Control::ToggleMirror => self.set_mirror(!self.options().mirror),
                Control::Mirror(mirror) => self.set_mirror(mirror),
                Control::NextBackground => {
                    let next = self.options().background.next();
                    self.set_background(&next)?;
                }
                Control::Background(background) => self.set_background(&background)?,
                Control::Framing(framing) => self.set_framing(framing)?,
                Control::Zoom(zoom) => self.set_view(View { zoom, ..self.options().view }),
                Control::Offset(x, y) => self.set_view(View { offset: glam::Vec2::new(x, y), ..self.options().view }),
                Control::BadgePlace(place) => self.set_badge(place, self.options().badge_language),
                Control::BadgeLanguage(language) => self.set_badge(self.options().badge_place, language),
                Control::ToggleCard => self.is_card_asked = !self.is_card_asked,
                Control::Card(card) => self.is_card_asked = card,
                Control::Strength(part, strength) => {
                    self.people().for_each(|person| person.driver.set_strength(part, strength));
                }
                Control::KeepExpression(kept) => {
                    self.people().for_each(|person| person.driver.set_keep_expression(kept));
                }
                Control::EyeContact(share) => self.people().for_each(|person| person.driver.set_eye_contact(share)),
                Control::Predict(ahead_ms) => self.people().for_each(|person| person.driver.set_predict_ms(ahead_ms)),
                Control::Source(source) => {
                    if let Some(switch) = switch {
                        switch.ask_source(source);
                    }
                }
                Control::CameraFormat(format) => switch.into_iter().for_each(|switch| switch.ask_format(format)),
                Control::Camera(kind, on) => {
                    figures.cameras().filter(|camera| camera.kind() == kind).for_each(|camera| camera.ask(on));
                }
                Control::Record(on) => demand.into_iter().for_each(|demand| demand.record(on)),
                Control::ToggleRecord => demand.into_iter().for_each(Demand::toggle_recording),
                Control::TakePicture => demand.into_iter().for_each(Demand::take_picture),
                Control::Quit => {
                    ending.ask();
                    return Ok(std::ops::ControlFlow::Break(()));
                }
            }
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    /// Asks for the first person to be another one; who is shown beside changes places with them.
    fn want(&mut self, index: usize) {
        if let Some(Company { person, .. }) = &mut self.beside
            && person.wanted.unwrap_or(person.shown) == index
        {
            person.wanted = Some(self.first.wanted.unwrap_or(self.first.shown));
        }
        self.first.wanted = Some(index);
    }

    /// Shows who was asked for as soon as that is a matter of one frame: two who change places do so in the same one.
    ///
    /// Where no frame may be missed and none is late, they are shown from the next frame on, however long that takes.
    fn switch(&mut self) -> Result<()> {
        let Self { first, beside, identities, is_live, .. } = self;
        let mut second = beside.as_mut().map(|company| &mut company.person);
        let mut ready = [first.prepare(identities)?, Readiness::Ready];
        if let Some(second) = &mut second {
            ready[1] = second.prepare(identities)?;
        }
        if ready.contains(&Readiness::Refused) {
            // Of two who change places, one alone would be there twice.
            first.wanted = None;
            if let Some(second) = second {
                second.wanted = None;
            }
            return Ok(());
        }
        let is_asked = first.wanted.is_some() || second.as_ref().is_some_and(|second| second.wanted.is_some());
        if !is_asked || (*is_live && ready.contains(&Readiness::Preparing)) {
            return Ok(());
        }
        if !first.switch(identities)? {
            if let Some(second) = second {
                second.wanted = None;
            }
            return Ok(());
        }
        if let Some(second) = second {
            second.switch(identities)?;
        }
        self.arrange()
    }

    /// Gives two people panels of another size, where another photo or framing asks for it.
    fn arrange(&mut self) -> Result<()> {
        let Some(Company { person, pair, .. }) = &mut self.beside else { return Ok(()) };
        let who = [&*self.identities[self.first.shown], &*self.identities[person.shown]];
        if pair.arrange(self.first.compositor.options().framing, who) {
            for (i, (person, identity)) in [&mut self.first, person].into_iter().zip(who).enumerate() {
                person.compositor.set_panel_px(pair.panel_px(i), identity)?;
            }
        }
        Ok(())
    }

    fn options(&self) -> &CompositeOptions {
        self.first.compositor.options()
    }

    fn is_badged(&self) -> bool {
        self.beside.as_ref().map_or(self.options().badge, |company| company.pair.is_badged())
    }

    /// Takes one more identity, where there is room and the visible mark is on if it must be.
    fn add(&mut self, identity: Arc<Identity>) {
        let may_go_unmarked = identity.manifest.consent.basis.may_go_unmarked();
        if self.identities.len() < MAX_IDENTITIES && (self.is_badged() || may_go_unmarked) {
            self.consents.push(Arc::new(DisclosedConsent::of(&identity)));
            self.identities.push(identity);
        }
    }

    fn set_mirror(&mut self, mirror: bool) {
        self.people().for_each(|person| person.compositor.set_mirror(mirror));
    }

    fn set_view(&mut self, view: View) {
        self.people().for_each(|person| person.compositor.set_view(view));
    }

    fn set_badge(&mut self, place: BadgePlace, language: BadgeLanguage) {
        self.people().for_each(|person| person.compositor.set_badge(place, language));
        if let Some(company) = &mut self.beside {
            company.pair.set_badge(place, language);
        }
    }

    fn set_background(&mut self, background: &Background) -> Result<()> {
        self.each_compositor(|compositor, identity| compositor.set_background(background.clone(), Some(identity)))
    }

    /// The whole photo can be shown only where the identities have it; else what comes after it is shown, so that who
    /// goes through all framings gets past it.
    fn set_framing(&mut self, asked: Framing) -> Result<()> {
        let identities = &self.identities;
        let shown = std::iter::once(&self.first).chain(self.beside.as_ref().map(|company| &company.person));
        let old = shown.map(|person| &identities[person.shown]).find(|identity| identity.photo.is_none());
        let framing = match old {
            Some(old) if asked == Framing::Photo => {
                log::warn!(
                    "the file of \"{}\" holds no whole photo, the picture is filled instead; enroll the photo again",
                    old.manifest.name
                );
                asked.next()
            }
            _ => asked,
        };
        self.each_compositor(|compositor, identity| compositor.set_framing(framing, identity))?;
        self.arrange()
    }

    /// Does something to what makes each person's frame or panel.
    fn each_compositor(&mut self, mut change: impl FnMut(&mut Compositor, &Identity) -> Result<()>) -> Result<()> {
        let Self { first, beside, identities, .. } = self;
        let people = std::iter::once(first).chain(beside.as_mut().map(|company| &mut company.person));
        people.into_iter().try_for_each(|person| change(&mut person.compositor, &identities[person.shown]))
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
        let now = trace.captured;
        if self.camera != observed.camera {
            self.camera = observed.camera;
            self.people().for_each(|person| person.driver.meet_camera(now));
        }
        if let Some(latent) = observed.latent.as_deref().filter(|_| observed.first.is_seen) {
            self.first.driver.see_latent(latent, now);
        }
        let mut is_lost = self.first.drive(&observed.first, now) == Presence::Lost;
        if let (Some(company), Some(seen)) = (&mut self.beside, &observed.beside) {
            is_lost &= company.person.drive(seen, now) == Presence::Lost;
        }
        done(&mut trace, Stage::Drive);
        let reason = if self.is_card_asked {
            Some(CardReason::Paused)
        } else if is_lost {
            Some(if trace.frame_id == 0 { CardReason::NoSignal } else { CardReason::LookingForFace })
        } else {
            None
        };
        match reason {
            _ if !has_takers => {}
            Some(reason) => {
                match &mut self.beside {
                    None => self.first.compositor.card(reason, trace, &mut self.first.out),
                    Some(company) => company.pair.card(reason, trace, &mut company.out),
                }
                done(&mut trace, Stage::Composite);
            }
            None => {
                self.people().try_for_each(|person| person.generate(now))?;
                done(&mut trace, Stage::Generate);
                trace.away = self.people().find_map(|person| person.generator.away());
                self.compose(trace)?;
                done(&mut trace, Stage::Composite);
            }
        }
        self.was_badged &= self.is_badged();
        self.describe(observed, trace, reason);
        Ok(())
    }

    fn compose(&mut self, trace: Trace) -> Result<()> {
        let Self { first, beside, .. } = self;
        let Some(Company { person, pair, out }) = beside else { return first.compose(trace) };
        pair.divide([&mut first.compositor, &mut person.compositor]);
        first.compose(trace)?;
        person.compose(trace)?;
        pair.join([&first.compositor, &person.compositor], [&first.out, &person.out], trace, out);
        Ok(())
    }

    /// Says of the frame what is told along with it.
    fn describe(&mut self, observed: &Observed, trace: Trace, card: Option<CardReason>) {
        let shown = self.shown(card);
        let consent = |person: &Person| card.is_none().then(|| Arc::clone(&self.consents[person.shown]));
        let beside = self.beside.as_ref().map(|company| &company.person);
        let consents = [consent(&self.first), beside.and_then(consent)];
        let out = self.beside.as_mut().map_or(&mut self.first.out, |company| &mut company.out);
        (out.trace, out.shown, out.consents) = (trace, shown, consents);
        let face = observed.first.face().or_else(|| observed.beside.as_ref()?.face());
        out.driver_landmarks = face.map(|face| {
            let (width, height) = face.frame_size_px;
            let size = glam::Vec2::new(width.max(1) as f32, height.max(1) as f32);
            out.driver_aspect = size.x / size.y;
            std::array::from_fn(|i| face.landmarks_px[i].truncate() / size)
        });
    }

    fn shown(&self, card: Option<CardReason>) -> Shown {
        let (options, driver) = (self.options(), &self.first.driver);
        Shown {
            identity: self.first.shown,
            n_identities: self.identities.len(),
            beside: self.beside.as_ref().map(|company| company.person.shown),
            wanted: self.first.wanted,
            card,
            is_card_asked: self.is_card_asked,
            is_mirrored: options.mirror,
            background: BackgroundKind::from(&options.background),
            strengths: driver.strengths(),
            keep_expression: driver.keep_expression(),
            eye_contact: driver.eye_contact(),
            predict_ms: driver.predict_ms(),
            framing: options.framing,
            view: options.view,
            is_badged: self.is_badged(),
            badge_place: options.badge_place,
            badge_language: options.badge_language,
        }
    }
}

/// Gives a sink its copy; says whether an older one was lost.
///
/// A copy costs a tenth of a millisecond, and no sink can then hold up or change another's picture.
fn hand_over(out: &OutFrame, outlet: &mut Outlet, ending: &Ending, figures: Option<&LiveFigures>) -> bool {
    let demand = outlet.demand.as_ref();
    let is_picture_asked = demand.is_some_and(|demand| demand.claim_picture());
    let mut was_picture_asked = false;
    let published = outlet.frames.publish_with(|spare| {
        was_picture_asked = spare.is_picture_asked;
        spare.copy_from(out);
        spare.is_picture_asked = is_picture_asked;
    });
    match published {
        Published::InTime => false,
        Published::Dropped => {
            if let Some(demand) = demand {
                demand.count_loss();
                // The one that nobody has read was the picture that was asked for: another one will be.
                if was_picture_asked {
                    demand.take_picture();
                }
            }
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
