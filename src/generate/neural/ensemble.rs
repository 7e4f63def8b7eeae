//! One identity with all its views, ready to be played.

use std::sync::Arc;

use super::player::Player;
use super::{Elsewhere, Network};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::frame::Rgba;
use crate::generate::Portrait;
use crate::generate::mouth::MouthLayer;
use crate::generate::shade::ShadeLayer;
use crate::generate::views::{Mix, Views, mix, portraits};
use crate::identity::Identity;
use crate::signal::DrivingSignal;
use crate::trace::Away;

/// A player for each view of an identity.
pub(super) struct Ensemble {
    identity: Arc<Identity>,
    /// The main portrait's first.
    players: Vec<Player>,
    views: Views,
    shade: ShadeLayer,
    mouth: MouthLayer,
    /// The picture of the view that gives way; empty where there is one view.
    back: Portrait,
    /// The view that another machine was told of last.
    introduced: usize,
}

impl Ensemble {
    /// Makes ready every view, one after the other. Slow.
    pub(super) fn new(network: &Network, identity: Arc<Identity>) -> Result<Self> {
        let size_px = network.options.output_px;
        let players = portraits(&identity).map(|view| Player::new(network, view)).collect::<Result<Vec<_>>>()?;
        let back_px = if players.len() > 1 { size_px } else { 0 };
        Ok(Self {
            views: Views::new(&identity, size_px),
            shade: ShadeLayer::new(size_px),
            mouth: MouthLayer::new(&identity, size_px)?,
            back: Portrait { picture: Rgba::new(back_px, back_px) },
            identity,
            players,
            introduced: 0,
        })
    }

    /// What its frames run on, in the form that the main portrait got.
    pub(super) fn backend(&self) -> &str {
        self.players[0].backend()
    }

    /// Tells another machine of the view that is shown. That knows one at a time.
    pub(super) fn introduce(&mut self, elsewhere: &mut dyn Elsewhere) -> Result<()> {
        self.introduced = self.views.front();
        self.players[self.introduced].introduction().map_or(Ok(()), |whom| elsewhere.introduce(whom))
    }

    /// How many views it has ready.
    pub(super) fn n_views(&self) -> usize {
        self.players.len()
    }

    /// Whom it plays.
    pub(super) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Whether it plays this identity.
    pub(super) fn is_of(&self, identity: &Arc<Identity>) -> bool {
        Arc::ptr_eq(&self.identity, identity)
    }

    /// Says when the next picture is of.
    pub(super) fn set_time(&mut self, now: Timestamp) {
        self.views.set_time(now);
    }

    /// Draws the view that shows most nearly what `signal` asks for, mixed with the one that gives way to it; says what another
    /// machine had of the first.
    pub(super) fn draw(
        &mut self,
        signal: &DrivingSignal,
        mut elsewhere: Option<&mut (dyn Elsewhere + 'static)>,
        portrait: &mut Portrait,
    ) -> Result<Option<Away>> {
        let views = self.views.choose(signal);
        let Mix { front, back } = views;
        if let Some(elsewhere) = elsewhere.as_deref_mut().filter(|_| self.introduced != front) {
            self.introduce(elsewhere)?;
        }
        let player = &mut self.players[front];
        player.follow(self.views.signal_of(front, signal))?;
        let away = match (elsewhere, player.introduction()) {
            (Some(elsewhere), Some(whom)) => elsewhere.picture(whom, player.inputs(), &mut portrait.picture),
            _ => None,
        };
        if away.is_none() {
            player.play(portrait)?;
        }
        if let Some((back, share)) = back {
            // Here in any case: the other machine has been told of the view that is coming.
            let player = &mut self.players[back];
            player.follow(self.views.signal_of(back, signal))?;
            player.play(&mut self.back)?;
            mix(&mut portrait.picture, &self.back.picture, share);
        }
        let target = self.players[front].landmarks_px();
        self.shade.paint(&signal.dense.light, views.of_main(), target, &mut portrait.picture);
        self.mouth.paint(views, signal, target, &mut portrait.picture);
        Ok(away)
    }
}
