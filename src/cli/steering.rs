//! What steers a run beside its own window and page: OSC, OBS, keyboards behind other programs.

use std::sync::Arc;

use clap::Args;
use crossbeam_channel::Sender;
use effigy::pipeline::Control;
use effigy::report::LiveFigures;
use effigy::steer::{ObsLink, ObsSpec, OscServer, OscSpec, SceneRule, ShortcutSpec, Shortcuts};
use effigy::{Error, ErrorKind, Result};

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SteeringArgs {
    /// Take Open Sound Control at this port or address, from control pads and scripts
    /// [without a value: 127.0.0.1:9010]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "9010")]
    pub(crate) osc: Option<OscSpec>,
    /// A scene of OBS that belongs to a moment, by obs-websocket: card=SCENE (hidden, or no face), live=SCENE, or an
    /// identity's number, as in 2=SCENE; OBS follows effigy and effigy follows OBS; may be repeated.
    /// EFFIGY_OBS_PASSWORD is OBS's password
    #[arg(long, value_name = "MOMENT=SCENE")]
    pub(crate) obs_scene: Vec<SceneRule>,
    /// Where OBS is, for --obs-scene
    /// [default: 127.0.0.1:4455]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) obs: Option<ObsSpec>,
    /// Listen to all keyboards (Linux: /dev/input), also while another program has the focus: these keys held and 1-9, P, C,
    /// M, B, V, R or S, as in the window. One device alone: ctrl+alt@/dev/input/event3, or none@DEVICE for a pad of its own
    /// [without a value: ctrl+alt]
    #[arg(long, value_name = "KEYS[@DEVICE]", num_args = 0..=1, default_missing_value = "ctrl+alt")]
    pub(crate) shortcuts: Option<ShortcutSpec>,
}

impl SteeringArgs {
    /// Refuses what would do nothing. In the settings --obs holds for those runs that have scenes.
    pub(crate) fn check(&self, is_obs_typed: bool) -> Result<()> {
        if is_obs_typed && self.obs_scene.is_empty() {
            let message = "--obs alone changes nothing; say which scene belongs to what, as in --obs-scene card=Pause";
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(())
    }

    /// Begins to listen.
    pub(crate) fn open(&self, control: &Sender<Control>, figures: &Arc<LiveFigures>) -> Result<Listeners> {
        let osc = self.osc.map(|spec| OscServer::open(spec, control.clone())).transpose()?;
        if let Some(server) = &osc {
            log::info!("OSC: listening at {}; README.md lists the addresses", server.address());
        }
        let obs = (!self.obs_scene.is_empty()).then(|| {
            let password = std::env::var("EFFIGY_OBS_PASSWORD").ok().filter(|password| !password.is_empty());
            let spec = self.obs.clone().unwrap_or_default();
            ObsLink::open(spec, self.obs_scene.clone(), password, control.clone(), Arc::clone(figures))
        });
        let obs = obs.transpose()?;
        let open = |spec| Shortcuts::open(spec, control.clone(), Arc::clone(figures));
        let shortcuts = self.shortcuts.as_ref().map(open).transpose()?;
        #[cfg(target_os = "linux")]
        if let (Some(shortcuts), Some(spec)) = (&shortcuts, &self.shortcuts) {
            log::info!("shortcuts: {spec} on {} keyboards; other keys are not looked at", shortcuts.n_devices());
        }
        Ok(Listeners { _osc: osc, _obs: obs, _shortcuts: shortcuts })
    }
}

/// Listens as long as it lives.
pub(crate) struct Listeners {
    _osc: Option<OscServer>,
    _obs: Option<ObsLink>,
    _shortcuts: Option<Shortcuts>,
}
