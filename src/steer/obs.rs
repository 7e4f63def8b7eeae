//! OBS's scenes follow the run, and the run follows them, by obs-websocket.
//!
//! What is known without OBS stands here; `link` speaks with it (feature `obs`).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::composite::Shown;
use crate::control::{Control, MAX_IDENTITIES};
use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "obs")]
mod link;
#[cfg(feature = "obs")]
pub use link::ObsLink;

/// Where obs-websocket listens unless its settings say otherwise.
const DEFAULT_PORT: u16 = 4455;
/// OBS says a scene that it was asked for within this time: it does so only when its transition has ended.
#[cfg_attr(not(feature = "obs"), allow(dead_code, reason = "asked by the link alone"))]
const ECHO: Duration = Duration::from_secs(5);

/// Where OBS is: HOST, PORT, or HOST:PORT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObsSpec {
    /// Name or address.
    pub host: String,
    /// Port of obs-websocket.
    pub port: u16,
}

impl Default for ObsSpec {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT }
    }
}

impl FromStr for ObsSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!("no address {text:?}; --obs takes a port (4455), a host (192.168.1.9) or HOST:PORT");
            Error::new(ErrorKind::Config, message)
        };
        let is_host = |host: &str| {
            let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
            !host.is_empty() && host.chars().all(is_fit)
        };
        let Self { host, port } = Self::default();
        if let Ok(port) = text.parse() {
            return Ok(Self { host, port });
        }
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, digits)) if !host.contains(':') || host.ends_with(']') => {
                (host, digits.parse().map_err(|_| wrong())?)
            }
            _ => (text, port),
        };
        if is_host(host) { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }
}

impl fmt::Display for ObsSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What a picture shows, as far as a scene can belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The card instead of the portrait: hidden, or no face is seen.
    Card,
    /// A portrait, whoever's.
    Live,
    /// The portrait of this identity, counted from 0.
    Identity(usize),
}

/// A scene of OBS and the moment that it belongs to: `card=Pause`, `live=Talk`, `2=Guest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SceneRule {
    /// When the scene is shown.
    pub moment: Moment,
    /// What OBS calls it.
    pub scene: String,
}

impl FromStr for SceneRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!(
                "no rule {text:?}; --obs-scene takes card=SCENE, live=SCENE, or an identity's number, from 1 to \
                 {MAX_IDENTITIES}, as in 2=SCENE"
            );
            Error::new(ErrorKind::Config, message)
        };
        let (when, scene) = text.split_once('=').filter(|(_, scene)| !scene.is_empty()).ok_or_else(wrong)?;
        let moment = match when {
            "card" => Moment::Card,
            "live" => Moment::Live,
            number => match number.parse() {
                Ok(number @ 1..=MAX_IDENTITIES) => Moment::Identity(number - 1),
                _ => return Err(wrong()),
            },
        };
        Ok(Self { moment, scene: scene.to_owned() })
    }
}

impl fmt::Display for SceneRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.moment {
            Moment::Card => write!(f, "card={}", self.scene),
            Moment::Live => write!(f, "live={}", self.scene),
            Moment::Identity(index) => write!(f, "{}={}", index + 1, self.scene),
        }
    }
}

/// The scene that belongs to a picture; `None` where no rule says one.
#[cfg_attr(not(feature = "obs"), allow(dead_code, reason = "asked by the link alone"))]
fn scene_for<'a>(rules: &'a [SceneRule], shown: &Shown) -> Option<&'a str> {
    let rule = |moment| rules.iter().find(|rule| rule.moment == moment);
    let found = if shown.card.is_some() {
        rule(Moment::Card)
    } else {
        rule(Moment::Identity(shown.identity)).or_else(|| rule(Moment::Live))
    };
    found.map(|rule| rule.scene.as_str())
}

/// What a scene that OBS was switched to asks of the run; nothing where no rule names it.
#[cfg_attr(not(feature = "obs"), allow(dead_code, reason = "asked by the link alone"))]
fn controls_for(rules: &[SceneRule], scene: &str, shown: &Shown) -> Vec<Control> {
    // One scene may belong to several moments: what it fits already is not left for another of them.
    if scene_for(rules, shown) == Some(scene) {
        return Vec::new();
    }
    let uncover = shown.is_card_asked.then_some(Control::Card(false));
    if scene_for(rules, &Shown { card: None, ..*shown }) == Some(scene) {
        return uncover.into_iter().collect();
    }
    let Some(rule) = rules.iter().find(|rule| rule.scene == scene) else { return Vec::new() };
    match rule.moment {
        // A card that stands because no face is seen needs not be asked for.
        Moment::Card => shown.card.is_none().then_some(Control::Card(true)).into_iter().collect(),
        Moment::Live => uncover.into_iter().collect(),
        Moment::Identity(index) => {
            uncover.into_iter().chain((shown.identity != index).then_some(Control::Identity(index))).collect()
        }
    }
}

/// What OBS shows, and the scenes that it was asked for and has not said yet: its saying those is nobody's wish.
#[cfg_attr(not(feature = "obs"), allow(dead_code, reason = "asked by the link alone"))]
#[derive(Default)]
struct Program {
    /// The scene that OBS said last.
    current: Option<String>,
    /// Each scene that was asked for once, and when it was asked for last.
    own: Vec<(String, Instant)>,
}

#[cfg_attr(not(feature = "obs"), allow(dead_code, reason = "asked by the link alone"))]
impl Program {
    /// A program whose scene is known.
    fn new(current: Option<String>) -> Self {
        Self { current, own: Vec::new() }
    }

    /// Whether OBS must be asked for a scene. Of one that it shows already it would say nothing, and what somebody switches to
    /// next would be taken for the answer.
    fn needs(&self, scene: &str, now: Instant) -> bool {
        let is_on_its_way = self.own.iter().any(|(_, at)| is_recent(*at, now));
        is_on_its_way || self.current.as_deref() != Some(scene)
    }

    /// OBS is about to be asked for a scene.
    fn asked(&mut self, scene: &str, now: Instant) {
        self.forget(scene);
        self.own.push((scene.to_owned(), now));
    }

    /// OBS has refused a scene: nothing will be said of it.
    fn forget(&mut self, scene: &str) {
        self.own.retain(|(own, _)| own != scene);
    }

    /// OBS says that it shows a scene; gives whether it was asked for it. Each time of asking is answered once.
    fn is_echo(&mut self, scene: &str, now: Instant) -> bool {
        let is_own = self.own.iter().any(|(own, at)| own == scene && is_recent(*at, now));
        self.forget(scene);
        self.current = Some(scene.to_owned());
        is_own
    }
}

/// Whether OBS may still have to say what it was asked for at a time.
fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < ECHO
}

/// The link to OBS, which this build does not have.
#[cfg(not(feature = "obs"))]
pub struct ObsLink;

#[cfg(not(feature = "obs"))]
impl ObsLink {
    /// Says that this build has none.
    ///
    /// # Errors
    /// Always.
    pub fn open(
        _spec: ObsSpec,
        _rules: Vec<SceneRule>,
        _password: Option<String>,
        _control: crossbeam_channel::Sender<Control>,
        _figures: std::sync::Arc<crate::report::LiveFigures>,
    ) -> Result<Self> {
        Err(Error::new(
            ErrorKind::BackendUnavailable,
            "this build does not speak with OBS; build it with `--features obs`, or steer by OSC (--osc)",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::composite::CardReason;

    fn rules(texts: &[&str]) -> Vec<SceneRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_and_rules_are_read_and_written() {
        for (text, written) in [
            ("4455", "127.0.0.1:4455"),
            ("4460", "127.0.0.1:4460"),
            ("studio.local", "studio.local:4455"),
            ("192.168.1.9:4444", "192.168.1.9:4444"),
            ("[::1]:4455", "[::1]:4455"),
        ] {
            assert_eq!(text.parse::<ObsSpec>().unwrap().to_string(), written);
        }
        for wrong in ["", "host:", "host:70000", "a b", "http://x", ":4455"] {
            assert!(wrong.parse::<ObsSpec>().unwrap_err().to_string().contains("--obs takes"), "{wrong:?}");
        }
        for text in ["card=Pause", "live=Talk = 2", "1=A", "64=Ü"] {
            assert_eq!(text.parse::<SceneRule>().unwrap().to_string(), text);
        }
        for wrong in ["", "card", "card=", "0=A", "65=A", "=A", "pause=A"] {
            assert!(wrong.parse::<SceneRule>().unwrap_err().to_string().contains("card=SCENE"), "{wrong:?}");
        }
    }

    #[test]
    fn the_scene_is_that_of_the_card_then_of_the_identity_then_of_all() {
        let all = rules(&["card=Pause", "2=Guest", "live=Talk"]);
        let shown = |identity, card| Shown { identity, card, ..Shown::default() };
        assert_eq!(scene_for(&all, &shown(0, None)), Some("Talk"));
        assert_eq!(scene_for(&all, &shown(1, None)), Some("Guest"));
        assert_eq!(scene_for(&all, &shown(1, Some(CardReason::LookingForFace))), Some("Pause"));
        assert_eq!(scene_for(&all[1..2], &shown(0, None)), None);
        assert_eq!(scene_for(&all[1..2], &shown(1, Some(CardReason::Paused))), None);
    }

    #[test]
    fn a_scene_asks_for_what_is_not_so_already() {
        let all = rules(&["card=Pause", "2=Guest", "live=Talk"]);
        let text = |scene, shown: Shown| format!("{:?}", controls_for(&all, scene, &shown));
        let plain = Shown::default();
        let hidden = Shown { is_card_asked: true, card: Some(CardReason::Paused), ..plain };
        let lost = Shown { card: Some(CardReason::LookingForFace), ..plain };
        assert_eq!(text("Pause", plain), "[Card(true)]");
        assert_eq!(text("Pause", hidden), "[]");
        assert_eq!(text("Pause", lost), "[]");
        assert_eq!(text("Talk", plain), "[]");
        assert_eq!(text("Talk", hidden), "[Card(false)]");
        assert_eq!(text("Guest", hidden), "[Card(false), Identity(1)]");
        assert_eq!(text("Guest", Shown { identity: 1, ..plain }), "[]");
        assert_eq!(text("Ads", plain), "[]");
    }

    #[test]
    fn a_scene_of_two_moments_does_not_change_who_is_shown() {
        let all = rules(&["card=Pause", "1=Talk", "2=Talk"]);
        let text = |scene, shown: Shown| format!("{:?}", controls_for(&all, scene, &shown));
        let second = Shown { identity: 1, ..Shown::default() };
        let hidden = Shown { is_card_asked: true, card: Some(CardReason::Paused), ..second };
        assert_eq!(text("Talk", second), "[]");
        assert_eq!(text("Pause", hidden), "[]");
        assert_eq!(text("Talk", hidden), "[Card(false)]");
        assert_eq!(text("Talk", Shown { identity: 2, ..second }), "[Identity(0)]");
    }

    #[test]
    fn what_obs_says_of_effigys_own_asking_is_not_followed() {
        let all = rules(&["live=Talk", "2=Guest"]);
        let mut own = Program::default();
        // The card was asked for while OBS still faded to the guest.
        let hidden = Shown { identity: 1, is_card_asked: true, card: Some(CardReason::Paused), ..Shown::default() };
        let begin = Instant::now();
        let heard = |own: &mut Program, scene, ms| {
            let is_echo = own.is_echo(scene, begin + Duration::from_millis(ms));
            if is_echo { "an echo".to_owned() } else { format!("{:?}", controls_for(&all, scene, &hidden)) }
        };
        own.asked("Guest", begin);
        assert_eq!(heard(&mut own, "Guest", 300), "an echo");
        // Somebody chooses it in OBS, later.
        assert_eq!(heard(&mut own, "Guest", 900), "[Card(false)]");
        // Asked for twice, it may be said once; what was refused or is long ago has no echo.
        own.asked("Guest", begin);
        own.asked("Guest", begin);
        assert_eq!(own.own.len(), 1);
        assert_eq!(heard(&mut own, "Talk", 300), "[Card(false)]");
        own.forget("Guest");
        assert_eq!(heard(&mut own, "Guest", 300), "[Card(false)]");
        own.asked("Guest", begin);
        assert_eq!(heard(&mut own, "Guest", 5000), "[Card(false)]");
    }

    #[test]
    fn a_scene_that_obs_shows_already_is_not_asked_for_and_has_no_echo() {
        let all = rules(&["card=Pause", "live=Talk"]);
        let begin = Instant::now();
        let at = |secs| begin + Duration::from_secs(secs);
        let live = Shown::default();
        let hidden = Shown { is_card_asked: true, card: Some(CardReason::Paused), ..live };
        let mut program = Program::new(Some("Talk".to_owned()));
        assert!(!program.needs("Talk", begin));
        // Somebody hides, shows and hides again in OBS, within the time of an echo; each is followed.
        for (secs, scene, before, after, change) in [
            (10, "Pause", live, hidden, "[Card(true)]"),
            (12, "Talk", hidden, live, "[Card(false)]"),
            (14, "Pause", live, hidden, "[Card(true)]"),
        ] {
            assert!(!program.is_echo(scene, at(secs)), "{scene} at {secs} s");
            assert_eq!(format!("{:?}", controls_for(&all, scene, &before)), change);
            // The moment follows; what it asks for is there.
            assert!(!program.needs(scene_for(&all, &after).unwrap(), at(secs)));
        }
        // What OBS shows while it is on its way to another scene is asked for.
        program.asked("Talk", at(20));
        assert!(program.needs("Pause", at(20)));
        assert!(program.is_echo("Talk", at(21)) && !program.needs("Talk", at(21)) && program.needs("Pause", at(21)));
    }
}
