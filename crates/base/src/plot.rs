//! Plots as SVG: in a report that needs nothing but itself, or as a file.

use std::fmt::Write as _;

/// Width and height of a plot.
const SIZE: (f64, f64) = (640.0, 220.0);
/// Room for the axes: left, right, above, below.
const ROOM: (f64, f64, f64, f64) = (52.0, 12.0, 12.0, 34.0);
/// Colours of the variants, legible for every kind of colour vision (Okabe and Ito).
pub const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// How plots in a file of their own look; a page has its own style.
const STYLE: &str = "svg{font:11px system-ui,sans-serif}svg text{fill:#444}.g{stroke:#e4e4e8}";

/// Axes with what is drawn on them.
#[derive(Clone, Debug)]
pub struct Plot {
    body: String,
    x: (f64, f64),
    y: (f64, f64),
}

impl Plot {
    /// Starts a plot over these ranges, with axes.
    pub fn new(x: (f64, f64), y: (f64, f64), x_name: &str, y_name: &str) -> Self {
        let widen = |(low, high): (f64, f64)| if high > low { (low, high) } else { (low, low + 1.0) };
        let mut plot = Self { body: String::new(), x: widen(x), y: widen(y) };
        for tick in ticks(plot.x) {
            let at = plot.at_x(tick);
            let (top, bottom) = (ROOM.2, SIZE.1 - ROOM.3);
            let _ = write!(
                plot.body,
                "<line class='g' x1='{at:.1}' x2='{at:.1}' y1='{top}' y2='{bottom}'/><text x='{at:.1}' y='{:.1}' \
                 text-anchor='middle'>{tick}</text>",
                bottom + 14.0
            );
        }
        for tick in ticks(plot.y) {
            let at = plot.at_y(tick);
            let (left, right) = (ROOM.0, SIZE.0 - ROOM.1);
            let _ = write!(
                plot.body,
                "<line class='g' x1='{left}' x2='{right}' y1='{at:.1}' y2='{at:.1}'/><text x='{:.1}' y='{:.1}' \
                 text-anchor='end'>{tick}</text>",
                left - 6.0,
                at + 4.0
            );
        }
        let _ = write!(
            plot.body,
            "<text x='{:.0}' y='{:.0}' text-anchor='middle'>{}</text><text transform='translate(12 {:.0}) \
             rotate(-90)' text-anchor='middle'>{}</text>",
            (ROOM.0 + SIZE.0 - ROOM.1) / 2.0,
            SIZE.1 - 4.0,
            escaped(x_name),
            (ROOM.2 + SIZE.1 - ROOM.3) / 2.0,
            escaped(y_name)
        );
        plot
    }

    fn at_x(&self, x: f64) -> f64 {
        let share = ((x - self.x.0) / (self.x.1 - self.x.0)).clamp(0.0, 1.0);
        ROOM.0 + share * (SIZE.0 - ROOM.0 - ROOM.1)
    }

    fn at_y(&self, y: f64) -> f64 {
        let share = ((y - self.y.0) / (self.y.1 - self.y.0)).clamp(0.0, 1.0);
        SIZE.1 - ROOM.3 - share * (SIZE.1 - ROOM.2 - ROOM.3)
    }

    /// Draws a line through points.
    pub fn line(&mut self, points: impl Iterator<Item = (f64, f64)>, colour: &str) {
        let path: String = points.map(|(x, y)| format!("{:.1},{:.1} ", self.at_x(x), self.at_y(y))).collect();
        let _ = write!(self.body, "<polyline fill='none' stroke='{colour}' points='{}'/>", path.trim_end());
    }

    /// Draws a level line over the whole width.
    pub fn level(&mut self, y: f64, colour: &str) {
        let (at, left, right) = (self.at_y(y), ROOM.0, SIZE.0 - ROOM.1);
        let _ = write!(
            self.body,
            "<line stroke='{colour}' stroke-dasharray='5 4' x1='{left}' x2='{right}' y1='{at:.1}' y2='{at:.1}'/>"
        );
    }

    /// Draws a filled bar.
    pub fn bar(&mut self, x: (f64, f64), y: (f64, f64), colour: &str, opacity: f64, title: &str) {
        let (left, right, top, bottom) = (self.at_x(x.0), self.at_x(x.1), self.at_y(y.1), self.at_y(y.0));
        let _ = write!(
            self.body,
            "<rect fill='{colour}' fill-opacity='{opacity}' x='{left:.1}' y='{top:.1}' width='{:.2}' \
             height='{:.2}'><title>{}</title></rect>",
            (right - left).max(0.3),
            (bottom - top).max(0.0),
            escaped(title)
        );
    }

    /// Writes into the plot.
    pub fn text(&mut self, (x, y): (f64, f64), text: &str) {
        let (x, y) = (self.at_x(x), self.at_y(y));
        let _ = write!(self.body, "<text x='{:.1}' y='{:.1}'>{}</text>", x + 3.0, y, escaped(text));
    }

    /// Writes into the plot in a colour of its own.
    pub fn coloured_text(&mut self, (x, y): (f64, f64), text: &str, colour: &str) {
        let (x, y) = (self.at_x(x), self.at_y(y));
        let _ =
            write!(self.body, "<text style='fill:{colour}' x='{:.1}' y='{:.1}'>{}</text>", x + 3.0, y, escaped(text));
    }

    /// The plot as a part of a page.
    pub fn finish(self) -> String {
        format!("<svg viewBox='0 0 {} {}' role='img'>{}</svg>", SIZE.0, SIZE.1, self.body)
    }
}

/// A file of its own: plots one below the other.
pub fn file(plots: Vec<Plot>) -> String {
    let (width, height) = (SIZE.0, SIZE.1 * plots.len() as f64);
    let mut body = String::new();
    for (i, plot) in plots.into_iter().enumerate() {
        let _ = write!(body, "<g transform='translate(0 {})'>{}</g>", SIZE.1 * i as f64, plot.body);
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' \
         role='img'><style>{STYLE}</style><rect width='100%' height='100%' fill='#fff'/>{body}</svg>\n"
    )
}

/// Round numbers over a range.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(magnitude * 10.0);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    // Rounded, since 3 * 0.1 is not 0.3.
    (first..=last).map(|i| (i as f64 * step * 1e6).round() / 1e6).collect()
}

/// Text as HTML shows it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 10.0)), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks((0.05, 0.32)), [0.05, 0.1, 0.15, 0.2, 0.25, 0.3]);
        assert_eq!(escaped("<a href='x'>"), "&lt;a href=&#39;x&#39;&gt;");
    }
}
