//! How well a mouth follows speech that nothing was learned from.

use super::augment::augment;
use super::visemes::{JAW, Kind, SHUT_JAW};
use super::{Part, Utterance};
use effigy_base::random::Rng;
use effigy_network::speech::{LOOK_AHEAD, MOUTH_NAMES, Mouth, N_BANDS, N_MOUTH, SpeechNetwork, compressed};

/// A vowel is open when the jaw is, by so much.
const OPEN_JAW: f32 = 0.2;
/// A pause's first and last rows belong to what is said beside it.
const PAUSE_EDGE_SECS: f32 = 0.15;
/// Sounds are looked at this long before and after they are heard: half a picture.
const PLAY_SECS: f32 = 0.02;

/// How well a mouth follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Utterances that were looked at.
    pub n_utterances: usize,
    /// Correlation of each number with what it should be, over all rows.
    pub correlations: Mouth,
    /// Share of p, b and m at which the jaw is said to be shut ([`SHUT_JAW`]), and how many there are.
    pub shut: (f32, usize),
    /// Share of open vowels at which the jaw opens, and how many there are.
    pub open: (f32, usize),
    /// Share of open vowels at which the jaw is said to be shut all the time.
    pub wrongly_shut: f32,
    /// The jaw's mean in pauses.
    pub pause_jaw: f32,
    /// The same in rooms, with noise, over narrow lines: correlation of the jaw, share of p, b and m that are shut.
    pub in_noise: (f32, f32),
}

/// Measures with utterances of one part; `None` where there are none.
pub fn figures(network: &SpeechNetwork, utterances: &[Utterance], part: Part) -> Option<(Part, Figures)> {
    let mut clean = Sums::default();
    let mut noisy = Sums::default();
    let mut n_utterances = 0;
    for (i, utterance) in utterances.iter().enumerate().filter(|(_, utterance)| utterance.part == part) {
        n_utterances += 1;
        clean.add(&mouths(network, &utterance.powers), utterance);
        let mut powers = utterance.powers.clone();
        let mut sums: Vec<f32> = powers.iter().map(|row| row.iter().sum()).collect();
        sums.sort_by(f32::total_cmp);
        let upper = &sums[sums.len() / 2..];
        augment(&mut powers, upper.iter().sum::<f32>() / upper.len().max(1) as f32, &mut Rng::new(7, i as u64));
        noisy.add(&mouths(network, &powers), utterance);
    }
    let share = |(hits, n): (usize, usize)| (hits as f32 / n.max(1) as f32, n);
    (n_utterances > 0).then(|| {
        let figures = Figures {
            n_utterances,
            correlations: std::array::from_fn(|i| clean.correlation(i)),
            shut: share(clean.shut),
            open: share(clean.open),
            wrongly_shut: share(clean.wrongly_shut).0,
            pause_jaw: (clean.pause.0 / clean.pause.1.max(1) as f64) as f32,
            in_noise: (noisy.correlation(JAW), share(noisy.shut).0),
        };
        (part, figures)
    })
}

/// What the network says of each row.
fn mouths(network: &SpeechNetwork, powers: &[[f32; N_BANDS]]) -> Vec<Mouth> {
    let mut state = network.silence();
    let after = std::iter::repeat_n(&[0.0; N_BANDS], LOOK_AHEAD);
    let all: Vec<Mouth> = powers.iter().chain(after).map(|row| network.hear(&compressed(row), &mut state)).collect();
    all[LOOK_AHEAD..].to_vec()
}

#[derive(Default)]
struct Sums {
    n: f64,
    /// Of each number: said, asked, their squares, their product.
    sums: [[f64; 5]; N_MOUTH],
    shut: (usize, usize),
    open: (usize, usize),
    wrongly_shut: (usize, usize),
    pause: (f64, usize),
}

impl Sums {
    fn add(&mut self, said: &[Mouth], utterance: &Utterance) {
        for (said, asked) in said.iter().zip(&utterance.mouths) {
            self.n += 1.0;
            for (i, sums) in self.sums.iter_mut().enumerate() {
                let (x, y) = (f64::from(said[i]), f64::from(asked[i]));
                sums.iter_mut().zip([x, y, x * x, y * y, x * y]).for_each(|(sum, value)| *sum += value);
            }
        }
        for sound in &utterance.sounds {
            let [from, to] = sound.secs;
            let jaws = |from: f32, to: f32| {
                let row = |secs: f32| ((secs.max(0.0) * 100.0).round() as usize).min(said.len());
                said[row(from)..row(to).max(row(from))].iter().map(|mouth| mouth[JAW])
            };
            let hit = |count: &mut (usize, usize), is_hit: bool| {
                count.0 += usize::from(is_hit);
                count.1 += 1;
            };
            match sound.viseme.kind {
                Kind::Shut => {
                    hit(&mut self.shut, jaws(from - PLAY_SECS, to + PLAY_SECS).any(|jaw| jaw < SHUT_JAW));
                }
                Kind::Open if to - from > 0.05 => {
                    let highest = jaws(from, to).fold(0.0, f32::max);
                    hit(&mut self.open, highest > OPEN_JAW);
                    hit(&mut self.wrongly_shut, highest < SHUT_JAW);
                }
                Kind::Pause if to - from > 2.0 * PAUSE_EDGE_SECS => {
                    for jaw in jaws(from + PAUSE_EDGE_SECS, to - PAUSE_EDGE_SECS) {
                        self.pause.0 += f64::from(jaw);
                        self.pause.1 += 1;
                    }
                }
                _ => {}
            }
        }
    }

    fn correlation(&self, i: usize) -> f32 {
        let [x, y, xx, yy, xy] = self.sums[i].map(|sum| sum / self.n.max(1.0));
        ((xy - x * y) / ((xx - x * x) * (yy - y * y)).max(1e-18).sqrt()) as f32
    }
}

impl Figures {
    /// As lines of a table.
    pub fn table(&self) -> String {
        let mut text = format!("{} utterances; correlation\n", self.n_utterances);
        for (name, correlation) in MOUTH_NAMES.iter().zip(self.correlations) {
            text += &format!("  {name:<16}{correlation:>6.3}\n");
        }
        let (shut, n_shut) = self.shut;
        let (open, n_open) = self.open;
        text += &format!("  p, b, m shut      {:>5.1} % of {n_shut}\n", 100.0 * shut);
        text += &format!(
            "  open vowels open  {:>5.1} % of {n_open}; shut {:.1} %\n",
            100.0 * open,
            100.0 * self.wrongly_shut
        );
        text += &format!("  jaw in pauses     {:>6.3}\n", self.pause_jaw);
        let (correlation, shut) = self.in_noise;
        text += &format!("  in noise: jawOpen {correlation:.3}, p, b, m shut {:.1} %\n", 100.0 * shut);
        text
    }
}
